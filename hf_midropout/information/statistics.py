"""What is remembered of a stream of activations: integer counts that add up over batches, shards and processes."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch

from .binning import add_counts, bin_indices
from .checks import (
    IGNORE_INDEX,
    check_batch,
    check_classes,
    check_finite,
    check_integers,
    check_labels,
    check_sizes,
    invalid_labels,
    widened,
)
from .contingency import MutualInformation, Table, num_bins
from .copies import Copies, DistinctRows
from .edges import NUM_BINS, stream_edges
from .estimation import estimate
from .locking import Locked
from .reduction import all_reduce
from .row_keys import row_keys, rows_are_told_apart
from .rows_seen import RowsSeen


BUFFER_ROWS = 2048
"""Small batches are counted together: counting costs a fixed price per call."""
BLOCK_ELEMENTS = 2**24
"""Activations, or cells of tables, handled at once."""

Self = TypeVar("Self", bound="NeuronStatistics")
Pending = tuple[torch.Tensor, torch.Tensor, Copies | None]


class NeuronStatistics(Locked):
    """
    Counts of (bin, class) for K neurons, gathered in one pass.

    The first `calibration_rows` rows are kept until they are complete; they place the bins. From then on only counts
    are kept, 2 KB a neuron and class, and 2 KB of edges a neuron. Feed rows in random order, or the bins come from
    an unrepresentative start. Counts add exactly, so statistics with the same edges can be merged in any order.
    Several threads may update one object.

    Rows that come more than once weigh as often as they come in the shares of the classes and in the bits, but are no
    independent evidence, as in [`mutual_information`]. Copies are told by their activations, on the CPU, if there are
    4 neurons or more; or by a [`RowsSeen`], for activations on a GPU, or such as differ in the last bits from batch to
    batch. For that, 16 bytes a row are kept, of the first 4 million rows; and once a copy came, 12 KB a neuron and
    class more. Statistics that are merged do not know of copies of each other's rows: noise in two shards of the same
    2,000 rows is given 0.4 bits. Where that can be, number the rows of all shards with one [`RowsSeen`], as
    [`score_neurons`] does.

    Memory, in bytes, for K neurons and C classes: 4 K calibration_rows before the bins are placed, then
    2048 K (C + 1), and 256 MB at work at the most.

    Args:
        num_neurons (`int`): K.
        num_classes (`int`): Number of classes C; labels are 0..C-1, and -100 marks a sample to leave out.
        calibration_rows (`int`, *optional*, defaults to 2048): Rows that place the bins.
        device (`torch.device`, *optional*): Where the counts live; the device of the activations.
    """

    LABELS_PLACE_BINS = True
    """Whether bins keep apart classes of which one begins where the other ends."""
    DTYPE = torch.int32

    def __init__(
        self,
        num_neurons: int,
        num_classes: int,
        calibration_rows: int = 2048,
        device: torch.device | str | None = None,
    ):
        check_sizes(num_neurons, num_classes)
        super().__init__()
        self.num_neurons = num_neurons
        self.num_classes = num_classes
        self.calibration_rows = calibration_rows
        # The last cell takes what is not to be counted, which spares a filter whose size a GPU would have to tell.
        self._cells = torch.zeros(num_neurons * NUM_BINS * self.num_columns + 1, dtype=self.DTYPE, device=device)
        self.edges: torch.Tensor | None = None
        self.nonfinite = torch.zeros(num_neurons, dtype=torch.int32, device=device)
        self.ignored = torch.zeros((), dtype=torch.int64, device=device)
        self.invalid = torch.zeros((), dtype=torch.int64, device=device)
        self.reduced = False
        self._copies: torch.Tensor | None = None
        self._seen = RowsSeen()
        self._pending: list[Pending] = []
        self._pending_rows = 0
        self._buffer_rows = max(1, min(BUFFER_ROWS, BLOCK_ELEMENTS // num_neurons))

    @property
    def num_columns(self) -> int:
        """What is counted in each bin: the classes."""
        return self.num_classes

    @property
    def num_copy_columns(self) -> int:
        """Of these, the first that copies are counted for."""
        return self.num_columns

    @property
    def counts(self) -> torch.Tensor:
        """`[K, bins, columns]` integer counts of the samples given so far."""
        with self._lock:
            self._count_pending()
            return self._table()

    def _table(self) -> torch.Tensor:
        return self._cells[:-1].view(self.num_neurons, NUM_BINS, self.num_columns)

    def update(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies | None = None) -> None:
        """
        Adds a batch. On a GPU nothing is copied to the CPU, and the CPU does not wait.

        Args:
            activations (`torch.Tensor` of shape `[N, K]`): Any dtype of real numbers; counted in float32 or wider.
            labels (`torch.Tensor` of shape `[N]`): Integer class of each sample, or -100.
            copies ([`Copies`], *optional*): What [`RowsSeen.add`] returned for these rows; by default rows of equal
                activations are copies.

        Raises:
            `ValueError`: for shapes that do not fit and for labels that are not classes; if the labels are on a GPU,
                the latter is told by `mutual_information`.
        """
        check_batch(activations, labels, self.num_neurons)
        if len(labels) == 0:
            return
        if labels.is_cuda:
            check_integers(labels)
        else:
            check_labels(labels, self.num_classes)
        self._append(activations, labels.long(), copies)

    def _append(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies | None) -> None:
        """Keeps a batch until there are enough rows to place the bins, or to be worth counting."""
        if copies is not None and len(copies.rows) and int(copies.rows.max()) >= len(labels):
            raise ValueError(f"copies of row {int(copies.rows.max())}: must be of the batch's {len(labels)} rows.")
        activations = activations.detach().clone()
        labels = labels.to(self._cells.device, non_blocking=True, copy=True)
        with self._lock:
            self._pending.append((activations, labels, copies))
            self._pending_rows += len(labels)
            if self.edges is None and self._pending_rows >= self.calibration_rows:
                self.calibrate()
            elif self.edges is not None and self._pending_rows >= self._buffer_rows:
                self._count_pending()

    def calibrate(self, activations: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> None:
        """
        Places the bins, from the first `calibration_rows` rows seen so far, or from `activations` of shape `[N, K]`,
        which are then not counted: processes that are to be merged calibrate on the same rows. With the `labels` of
        `activations`, no bin mixes classes of which one begins where the other ends.
        """
        with self._lock:
            if activations is not None:
                parts = [activations]
            else:
                parts, labels = self._calibration_samples()
            keys = torch.cat([row_keys(part) for part in parts])
            names = torch.zeros_like(keys) if labels is None else self._label_keys(labels)
            kept = torch.ones(len(keys), dtype=torch.bool)

            def told_apart(rows: torch.Tensor) -> torch.Tensor:
                return torch.cat([rows_are_told_apart(part) for part in parts])[rows]

            if (distinct := DistinctRows.of_keys(keys.numpy(), names, told_apart)) is not None:
                kept[:] = False
                kept[distinct.rows] = True
            if labels is not None and self.LABELS_PLACE_BINS:
                labels = self._classes(labels)
                counted = ((labels >= 0) & (labels < self.num_classes)).cpu()
                if counted.any():
                    kept &= counted
                else:
                    labels = None
            else:
                labels = None
            chosen = None if kept.all() else kept.nonzero().flatten().to(parts[0].device)
            if labels is not None and chosen is not None:
                labels = labels[chosen.to(labels.device)]
            edges = []
            for block in torch.arange(self.num_neurons).split(max(1, BLOCK_ELEMENTS // len(keys))):
                neurons = slice(int(block[0]), int(block[-1]) + 1)
                values = torch.cat([part[:, neurons] for part in parts])
                values = widened(values if chosen is None else values[chosen]).nan_to_num(0.0, 0.0, 0.0)
                edges.append(stream_edges(values, labels))
            self.edges = torch.cat(edges)
            self._count_pending()

    def _calibration_samples(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """The first rows that wait: their activations in parts, and their labels."""
        if not self._pending:
            raise ValueError("No sample was given: needs at least one to place the bins.")
        parts, left = [], self.calibration_rows
        for activations, labels, _ in self._pending:
            parts.append((activations[:left], labels[:left]))
            left -= len(parts[-1][1])
            if left <= 0:
                break
        return [activations for activations, _ in parts], torch.cat([labels for _, labels in parts])

    def _label_keys(self, labels: torch.Tensor) -> torch.Tensor:
        """`[N]` integers: equal for labels that are equal."""
        return row_keys(labels) if labels.ndim == 2 else self._classes(labels)

    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        """`[N]` integer classes of labels that were kept."""
        return labels.long()

    def _bins(self) -> tuple[torch.Tensor, ...]:
        """What must be the same in statistics that are added."""
        return (self.edges,)

    def _count_pending(self) -> None:
        if self.edges is None:
            return
        while self._pending:
            rows, number = 0, 0
            while number < len(self._pending) and (number == 0 or rows < self._buffer_rows):
                rows += len(self._pending[number][1])
                number += 1
            batches, self._pending = self._pending[:number], self._pending[number:]
            self._pending_rows -= rows
            self._count_batches(batches)

    def _count_batches(self, batches: list[Pending]) -> None:
        parts, labels, given = zip(*batches, strict=True)
        activations, labels = torch.cat(parts), self._classes(torch.cat(labels))
        assert self.edges is not None  # else rows wait
        activations = widened(activations).to(self.edges.dtype)
        if activations.is_cuda or not activations.sum().isfinite():
            self.nonfinite += (~activations.isfinite()).sum(0, dtype=torch.int32)
        self._count(activations, labels)
        start, known, unknown = 0, [], []
        for part, copies in zip(parts, given, strict=True):
            if copies is None:
                unknown.append(slice(start, start + len(part)))
            else:
                known.append(copies.moved(start))
            start += len(part)
        if unknown and not activations.is_cuda:
            if not known:
                known = [self._find_copies(activations, labels)]
            else:
                known += [self._find_copies(activations[rows], labels[rows]).moved(rows.start) for rows in unknown]
        copies = Copies.joined(known)
        if len(copies.rows):
            self._count_copies(activations, labels, copies)

    def _find_copies(self, activations: torch.Tensor, labels: torch.Tensor) -> Copies:
        """Those that the activations `[N, K]` tell."""
        return self._seen.add(
            row_keys(activations),
            labels,
            lambda rows: rows_are_told_apart(activations, torch.from_numpy(rows)).numpy(),
        )

    def _count_copies(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies) -> None:
        """Adds `copies` of rows of `[N, K]` activations with what `_classes` gave."""
        rows, column, *sums = (part.to(activations.device, non_blocking=True) for part in copies)
        column = torch.where(column < 0, labels[rows], column)
        counted = (column >= 0) & (column < self.num_copy_columns)  # not those of rows that are left out
        column = column.where(counted, 0)
        self._add_copies(activations[rows], [[(column, part.where(counted, 0))] for part in sums])

    def _add_copies(
        self, activations: torch.Tensor, sums: list[list[tuple[torch.Tensor | int, torch.Tensor]]]
    ) -> None:
        """Adds, for rows `[n, K]`, the columns and the `[n]` integers of each of the three sums."""
        if self._copies is None:
            self._copies = self._no_copies()
        neuron = torch.arange(self.num_neurons, device=activations.device)[:, None]
        cell = (neuron * NUM_BINS + bin_indices(activations, self.edges)) * self.num_copy_columns
        for table, of_columns in zip(self._copies, sums, strict=True):
            for column, values in of_columns:
                table.view(-1).scatter_add_(0, (cell + column).flatten(), values.repeat(self.num_neurons))

    def _no_copies(self) -> torch.Tensor:
        shape = (3, self.num_neurons, NUM_BINS, self.num_copy_columns)
        return torch.zeros(shape, dtype=torch.int64, device=self._cells.device)

    def _count(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        """Adds `[N, K]` activations in the dtype of the edges, and what `_classes` gave."""
        ignored, invalid = labels == IGNORE_INDEX, invalid_labels(labels, self.num_classes)
        self.ignored += ignored.sum()
        self.invalid += invalid.sum()
        left_out = ignored | invalid
        if not activations.is_cuda and activations.dtype == torch.float32:
            kept = ~left_out
            add_counts(self._table(), activations if kept.all() else activations[kept], labels[kept], self.edges)
            return
        neuron = torch.arange(self.num_neurons, device=activations.device)[:, None]
        cell = (neuron * NUM_BINS + bin_indices(activations, self.edges)) * self.num_classes + labels
        cell = torch.where(left_out, self._cells.numel() - 1, cell).flatten()
        self._cells.scatter_add_(0, cell, torch.ones_like(cell, dtype=torch.int32))

    def merge(self, other: NeuronStatistics) -> None:
        """
        Adds the counts of `other`.

        Raises:
            `ValueError`: if the two have different neurons, classes or edges, or are one and the same.
        """
        if other is self:
            raise ValueError("Statistics cannot be merged with themselves: every sample would count twice.")
        first, second = sorted((self, other), key=id)  # two threads that merge both ways do not wait for each other
        with first._lock, second._lock:
            for statistics in (self, other):
                if statistics.edges is None:
                    statistics.calibrate()
            same_shape = self.counts.shape == other.counts.shape
            if not same_shape or not all(map(_equal, self._bins(), other._bins())):
                raise ValueError("Statistics with different neurons, classes or bin edges cannot be merged.")
            copied = self._copies is not None or other._copies is not None
            for mine, others in zip(self._sums(copied), other._sums(copied), strict=True):
                mine += others.to(mine.device)

    def all_reduce(self) -> None:
        """
        Sums the counts over the processes of `torch.distributed`, whose edges must be the same; once, as each then
        holds the counts of all.
        """
        all_reduce([self])

    def _sums(self, copied: bool) -> tuple[torch.Tensor, ...]:
        """What adds up; with the sums of copies if there are any anywhere."""
        self._count_pending()
        sums = self._cells, self.nonfinite, self.ignored, self.invalid
        if not copied:
            return sums
        if self._copies is None:
            self._copies = self._no_copies()
        return *sums, self._copies

    def _settled(self: Self) -> Self:
        """With all samples counted: if the bins are not yet placed, a copy, as more samples may come to place them."""
        if self.edges is None and self._pending:
            settled = copy.deepcopy(self)
            settled.calibrate()
            return settled
        self._count_pending()
        return self

    @property
    def num_ignored(self) -> int:
        """Samples left out because their label was -100."""
        with self._lock:
            return int(self._settled().ignored)

    def mutual_information(self) -> MutualInformation:
        """
        The estimate from the samples so far; more may follow.

        Raises:
            `ValueError`: if activations were NaN or infinite, if labels were no classes, if there was no sample, or if
                all had the same label.
        """
        with self._lock:
            return self._settled()._mutual_information()

    def _mutual_information(self) -> MutualInformation:
        counts = self._checked_counts()
        if invalid := int(self.invalid):
            raise ValueError(f"{invalid} label(s) were neither in 0..{self.num_classes - 1} nor -100.")
        check_classes(counts[0].sum(0))
        return self._estimate(Table(counts, self._copies))

    def _checked_counts(self) -> torch.Tensor:
        """`counts`; `ValueError` if activations were NaN or infinite, or if there was no sample."""
        if self.edges is None:
            self.calibrate()
        check_finite(self.nonfinite)
        return self._table()

    def _estimate(self, table: Table) -> MutualInformation:
        samples = int(table.counts[0].sum())
        block = max(1, BLOCK_ELEMENTS // (NUM_BINS * table.counts.shape[2]))
        results = []
        for start in range(0, self.num_neurons, block):
            part = table.of(slice(start, start + block)).without_frequent()

            def finer(neurons: torch.Tensor, bins: int, part: Table = part):
                return part.of(neurons).merged(bins)

            bins = num_bins(part.independent if part.copies is not None else samples)
            results.append(estimate(part.merged(bins), finer, resolution=NUM_BINS))
        return joined(results)


def joined(results: list[MutualInformation]) -> MutualInformation:
    """The estimates for some neurons and those for others from the same samples."""
    bits, stderr, p_value = (torch.cat(part) for part in list(zip(*results, strict=True))[:3])
    return results[0]._replace(bits=bits, stderr=stderr, p_value=p_value)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other.to(one.device))
