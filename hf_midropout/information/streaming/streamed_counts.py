"""Integer counts of a stream of activations, which add up over batches, shards and processes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import TypeVar

import torch

from ..checks import as_tensor, check_batch, check_sizes, widened
from ..copies import Copies
from ..counting.by_class import add_copies
from ..counting.edges import NUM_BINS
from ..counting.one_read import counting_path
from ..parallel import BLOCK_ELEMENTS
from ..row_keys import row_keys
from .locking import Locked
from .placing import different_rows, placed_edges
from .reduction import all_reduce
from .rows_seen import RowsSeen
from .waiting import Batch, Waiting


BUFFER_ROWS = 2048
"""Small batches are counted together: counting costs a fixed price per call."""

Self = TypeVar("Self", bound="StreamedCounts")


class StreamedCounts(Locked, ABC):
    """
    Counts of K neurons in bins, in columns of whatever is counted in each: batches wait until the bins are placed, and
    are then counted, some of them together. What a column is, the kinds of statistics say.

    Args:
        num_neurons (`int`): K.
        num_classes (`int`): Number of classes, or what else there is one column or more for.
        calibration_rows (`int`, *optional*, defaults to 2048): Rows that place the bins.
        device (`torch.device`, *optional*): Where the counts live; activations of another device are moved there.
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
        self._waiting = Waiting()
        self._seen_activations = 0
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
            self._count_waiting()
            return self._table()

    def _table(self) -> torch.Tensor:
        return self._cells[:-1].view(self.num_neurons, NUM_BINS, self.num_columns)

    def _append(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies | None) -> None:
        """Keeps a batch until there are enough rows to place the bins, or to be worth counting."""
        if copies is not None and copies.rows.numel() and int(copies.rows.max()) >= len(labels):
            raise ValueError(f"copies of row {int(copies.rows.max())}: must be of the batch's {len(labels)} rows.")
        device = self._cells.device
        # A copy to the CPU that is not waited for may be read before it is there.
        labels = labels.to(device, non_blocking=device.type == "cuda", copy=True)
        given, activations = activations, activations.to(device)
        with self._lock:
            counted_now = self.edges is not None and self._waiting.rows + labels.shape[0] >= self._buffer_rows
            if activations is given and not counted_now:
                activations = activations.clone()  # it goes on waiting, and the caller may write to it
            self._waiting.add(Batch(activations, labels, copies))
            if self.edges is None and self._waiting.rows >= self.calibration_rows:
                self.calibrate()
            elif self.edges is not None and self._waiting.rows >= self._buffer_rows:
                self._count_waiting()

    def calibrate(self, activations: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> None:
        """
        Places the bins, from the first `calibration_rows` rows seen so far, or from `activations` of shape `[N, K]`,
        which are then not counted: processes that are to be merged calibrate on the same rows. With the `labels` of
        `activations`, no bin mixes classes of which one begins where the other ends.

        Raises:
            `ValueError`: if there is no row, or for shapes that do not fit.
        """
        with self._lock:
            if activations is None:
                parts, labels = self._waiting.first(self.calibration_rows)
            else:
                activations = as_tensor(activations, "activations")
                labels = None if labels is None else as_tensor(labels, "labels")
                check_batch(activations, activations if labels is None else labels, self.num_neurons)
                if len(activations) == 0:
                    raise ValueError("No sample was given: needs at least one to place the bins.")
                parts = [activations.to(self._cells.device)]
            if labels is not None:
                labels = labels.to(self._cells.device)
            kept = different_rows(parts, None if labels is None else self._label_keys(labels))
            classes = None
            if labels is not None and self.LABELS_PLACE_BINS:
                classes = self._classes(labels)
                counted = ((classes >= 0) & (classes < self.num_classes)).cpu()
                if counted.any():
                    kept &= counted
                else:
                    classes = None
            self.edges = placed_edges(parts, kept, classes)
            counting_path(self.edges.device, parts[0].dtype, self._seen_activations)  # may wait, as all here does
            self._count_waiting()

    def _placed_edges(self) -> torch.Tensor:
        """`edges`, where rows are counted: until there are some, rows wait."""
        if self.edges is None:
            raise RuntimeError("The bins are not placed yet: call `calibrate`.")
        return self.edges

    def _label_keys(self, labels: torch.Tensor) -> torch.Tensor:
        """`[N]` integers: equal for labels that are equal."""
        return row_keys(labels) if labels.ndim == 2 else self._classes(labels)

    def _bins(self) -> tuple[torch.Tensor, ...]:
        """What must be the same in statistics that are added."""
        return (self._placed_edges(),)

    def _count_waiting(self) -> None:
        while self.edges is not None and self._waiting.batches:
            self._count_batches(self._waiting.take(self._buffer_rows))

    def _count_batches(self, batches: list[Batch]) -> None:
        parts, kept_labels, given = zip(*batches, strict=True)
        alone = len(parts) == 1
        labels = self._classes(kept_labels[0] if alone else torch.cat(kept_labels))
        activations = parts[0] if alone else torch.cat(parts)
        self._seen_activations += activations.numel()
        if not self._counted_in_one_read(activations, labels):
            activations = self._as_edges(activations)
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

    def _as_edges(self, activations: torch.Tensor) -> torch.Tensor:
        """Activations as they came, in the dtype of the edges."""
        return widened(activations).to(self._placed_edges().dtype)

    def _counted_in_one_read(self, activations: torch.Tensor, labels: torch.Tensor) -> bool:
        """Adds `[N, K]` activations as they came and counts those that are not finite, if there is a fast way to."""
        return False

    @abstractmethod
    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        """What is counted of labels that were kept."""

    @abstractmethod
    def _count(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        """Adds `[N, K]` activations in the dtype of the edges, and what `_classes` gave."""

    @abstractmethod
    def _find_copies(self, activations: torch.Tensor, labels: torch.Tensor) -> Copies:
        """Those that the activations `[N, K]` tell."""

    @abstractmethod
    def _count_copies(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies) -> None:
        """Adds `copies` of rows of `[N, K]` activations, whatever their dtype, with what `_classes` gave."""

    def _add_copies(
        self, activations: torch.Tensor, sums: list[list[tuple[torch.Tensor | int, torch.Tensor]]]
    ) -> None:
        """As `add_copies`, to tables that are made when the first copy comes."""
        if self._copies is None:
            self._copies = self._no_copies()
        add_copies(self._copies, self._as_edges(activations), self._placed_edges(), sums)

    def _no_copies(self) -> torch.Tensor:
        shape = (3, self.num_neurons, NUM_BINS, self.num_copy_columns)
        return torch.zeros(shape, dtype=torch.int64, device=self._cells.device)

    def merge(self, other: StreamedCounts) -> None:
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
        self._count_waiting()
        sums = self._cells, self.nonfinite, self.ignored, self.invalid
        if not copied:
            return sums
        if self._copies is None:
            self._copies = self._no_copies()
        return *sums, self._copies

    def _settled(self: Self) -> Self:
        """With all samples counted: if the bins are not yet placed, a copy, as more samples may come to place them."""
        if self.edges is None and self._waiting.batches:
            settled = copy.deepcopy(self)
            settled.calibrate()
            return settled
        self._count_waiting()
        return self

    @property
    def num_ignored(self) -> int:
        """Samples left out because their label was -100."""
        with self._lock:
            return int(self._settled().ignored)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other.to(one.device))
