"""What is remembered of a stream of activations: integer counts that add up over batches, shards and processes."""

from __future__ import annotations

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
)
from .contingency import MutualInformation, merge_to_equal_mass, num_bins
from .edges import NUM_BINS, stream_edges
from .estimation import estimate
from .reduction import all_reduce


BUFFER_ROWS = 2048
"""Small batches are counted together: counting costs a fixed price per call."""


class NeuronStatistics:
    """
    Counts of (bin, class) for K neurons, gathered in one pass at constant memory.

    The first `calibration_rows` rows are kept until they are complete; they place the bins. From then on only counts
    are kept, 2 KB a neuron and class, and 2 KB of edges a neuron. Feed rows in random order, or the bins come from
    an unrepresentative start. Counts add exactly, so statistics with the same edges can be merged in any order.

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
        self.num_neurons = num_neurons
        self.num_classes = num_classes
        self.calibration_rows = calibration_rows
        # The last cell takes what is not to be counted, which spares a filter whose size a GPU would have to tell.
        self._cells = torch.zeros(num_neurons * NUM_BINS * self.num_columns + 1, dtype=self.DTYPE, device=device)
        self.edges: torch.Tensor | None = None
        self.nonfinite = torch.zeros(num_neurons, dtype=torch.int32, device=device)
        self.ignored = torch.zeros((), dtype=torch.int64, device=device)
        self.invalid = torch.zeros((), dtype=torch.int64, device=device)
        self._pending: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._pending_rows = 0

    @property
    def num_columns(self) -> int:
        """What is counted in each bin: the classes."""
        return self.num_classes

    @property
    def counts(self) -> torch.Tensor:
        """`[K, bins, columns]` integer counts of the samples given so far."""
        self._count_pending()
        return self._table()

    def _table(self) -> torch.Tensor:
        return self._cells[:-1].view(self.num_neurons, NUM_BINS, self.num_columns)

    def update(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        """
        Adds a batch. On a GPU nothing is copied to the CPU, and the CPU does not wait.

        Args:
            activations (`torch.Tensor` of shape `[N, K]`): Any floating dtype; counted in float32 or wider.
            labels (`torch.Tensor` of shape `[N]`): Integer class of each sample, or -100.

        Raises:
            `ValueError`: for shapes that do not fit and for labels that are not classes; if the labels are on a GPU,
                the latter is told by `mutual_information`.
        """
        check_batch(activations, labels, self.num_neurons)
        if labels.is_cuda:
            check_integers(labels)
        else:
            check_labels(labels, self.num_classes)
        self._append(activations, labels)

    def _append(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        """Keeps a batch until there are enough rows to place the bins, or to be worth counting."""
        self._pending.append(
            (activations.detach().clone(), labels.to(self._cells.device, non_blocking=True, copy=True))
        )
        self._pending_rows += len(labels)
        if self.edges is None and self._pending_rows >= self.calibration_rows:
            self.calibrate()
        elif self.edges is not None and self._pending_rows >= BUFFER_ROWS:
            self._count_pending()

    def calibrate(self, activations: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> None:
        """
        Places the bins, from the rows seen so far or from `activations` of shape `[N, K]`, which are then not counted:
        processes that are to be merged calibrate on the same rows. With the `labels` of `activations`, no bin mixes
        classes of which one begins where the other ends.
        """
        if activations is None:
            activations, labels = self._pending_samples()
        activations = widened(activations).nan_to_num(0.0, 0.0, 0.0)
        if not self.LABELS_PLACE_BINS:
            labels = None
        if labels is not None:
            labels = self._classes(labels)
            counted = (labels >= 0) & (labels < self.num_classes)
            if not counted.any():
                labels = None
            elif not counted.all():
                activations, labels = activations[counted.to(activations.device)], labels[counted]
        self.edges = stream_edges(activations, labels)
        self._count_pending()

    def _pending_samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._pending:
            raise ValueError("No sample was given: needs at least one to place the bins.")
        activations, labels = (torch.cat(part) for part in zip(*self._pending, strict=True))
        return activations, labels

    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        """`[N]` integer classes of labels that were kept."""
        return labels.long()

    def _bins(self) -> tuple[torch.Tensor, ...]:
        """What must be the same in statistics that are added."""
        return (self.edges,)

    def _count_pending(self) -> None:
        if self.edges is None or not self._pending:
            return
        activations, labels = self._pending_samples()
        self._pending, self._pending_rows = [], 0
        activations, labels = widened(activations).to(self.edges.dtype), self._classes(labels)
        if activations.is_cuda or not activations.sum().isfinite():
            self.nonfinite += (~activations.isfinite()).sum(0, dtype=torch.int32)
        self._count(activations, labels)

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
            `ValueError`: if the two have different neurons, classes or edges.
        """
        for statistics in (self, other):
            if statistics.edges is None:
                statistics.calibrate()
        same_shape = self.counts.shape == other.counts.shape
        if not same_shape or not all(map(torch.equal, self._bins(), other._bins())):
            raise ValueError("Statistics with different neurons, classes or bin edges cannot be merged.")
        for mine, others in zip(self._sums(), other._sums(), strict=True):
            mine += others

    def all_reduce(self) -> None:
        """Sums the counts over the processes of `torch.distributed`, whose edges must be the same."""
        all_reduce([self])

    def _sums(self) -> tuple[torch.Tensor, ...]:
        self._count_pending()
        return self._cells, self.nonfinite, self.ignored, self.invalid

    @property
    def num_ignored(self) -> int:
        """Samples left out because their label was -100."""
        self._count_pending()
        return int(self.ignored)

    def mutual_information(self) -> MutualInformation:
        """
        The estimate from the samples counted so far.

        Raises:
            `ValueError`: if activations were NaN or infinite, if labels were no classes, if there was no sample, or if
                all had the same label.
        """
        counts = self._checked_counts()
        if invalid := int(self.invalid):
            raise ValueError(f"{invalid} label(s) were neither in 0..{self.num_classes - 1} nor -100.")
        check_classes(counts[0].sum(0))
        return self._estimate(counts)

    def _checked_counts(self) -> torch.Tensor:
        """`counts`, with bins placed; `ValueError` if activations were NaN or infinite, or if there was no sample."""
        if self.edges is None:
            self.calibrate()
        counts = self.counts
        check_finite(self.nonfinite)
        return counts

    def _estimate(self, counts: torch.Tensor) -> MutualInformation:
        return estimate(
            merge_to_equal_mass(counts, num_bins(int(counts[0].sum()))),
            lambda neurons, bins: merge_to_equal_mass(counts[neurons], bins),
            resolution=NUM_BINS,
        )


def widened(activations: torch.Tensor) -> torch.Tensor:
    """float32 or wider: half precision is too coarse to place edges between its values."""
    return activations.to(torch.promote_types(activations.dtype, torch.float32))
