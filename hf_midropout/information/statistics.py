"""What is remembered of a stream of activations: integer counts that add up over batches, shards and processes."""

from __future__ import annotations

import torch

from .binning import FINE_BINS, bin_indices, equal_mass_edges, merge_to_equal_mass, num_bins
from .contingency import MutualInformation, mutual_information_from_counts


class NeuronStatistics:
    """
    Counts of (bin, class) for K neurons, gathered in one pass at constant memory.

    The first `calibration_rows` rows are kept until they are complete; they fix the edges of 256 equal-mass bins per
    neuron. From then on only counts are kept: 8 * 256 * (num_classes + 1) bytes a neuron. Feed rows in random order,
    or the edges come from an unrepresentative start. Counts add exactly, so statistics with the same edges can be
    merged in any order.

    Args:
        num_neurons (`int`): K.
        num_classes (`int`): Number of classes C; labels are 0..C-1, and -100 marks a sample to leave out.
        calibration_rows (`int`, *optional*, defaults to 2048): Rows that fix the bins.
        device (`torch.device`, *optional*): Where the counts live; the device of the activations.
    """

    ignore_index = -100

    def __init__(
        self,
        num_neurons: int,
        num_classes: int,
        calibration_rows: int = 2048,
        device: torch.device | str | None = None,
    ):
        if num_neurons < 1 or num_classes < 2:
            raise ValueError(
                f"num_neurons={num_neurons}, num_classes={num_classes}: needs 1 neuron and 2 classes at least."
            )
        self.num_neurons = num_neurons
        self.num_classes = num_classes
        self.calibration_rows = calibration_rows
        # One class more than there are: ignored samples are counted there, which spares a data-dependent filter.
        self.counts = torch.zeros(num_neurons, FINE_BINS, num_classes + 1, dtype=torch.int64, device=device)
        self.edges: torch.Tensor | None = None
        self.nonfinite = torch.zeros(num_neurons, dtype=torch.int64, device=device)
        self._pending: list[tuple[torch.Tensor, torch.Tensor]] = []

    def update(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        """
        Adds a batch.

        Args:
            activations (`torch.Tensor` of shape `[N, K]`): Any floating dtype; counted in float32 or wider.
            labels (`torch.Tensor` of shape `[N]`): Integer class of each sample, or -100.

        Raises:
            `ValueError`: for shapes that do not fit and for labels that are not classes.
        """
        if activations.ndim != 2 or activations.shape[1] != self.num_neurons or len(activations) != len(labels):
            raise ValueError(
                f"activations {tuple(activations.shape)} and labels {tuple(labels.shape)}: "
                f"must be [N, {self.num_neurons}] and [N]."
            )
        labels = check_labels(labels, self.num_classes).to(self.counts.device)
        activations = activations.detach().to(torch.promote_types(activations.dtype, torch.float32))
        self.nonfinite += (~activations.isfinite()).sum(0)
        if self.edges is not None:
            self._count(activations, labels)
            return
        self._pending.append((activations, labels))
        if sum(len(labels) for _, labels in self._pending) >= self.calibration_rows:
            self.calibrate()

    def calibrate(self, activations: torch.Tensor | None = None) -> None:
        """
        Fixes the bins, from the rows seen so far or from `activations` of shape `[N, K]`, which are then not counted:
        processes that are to be merged calibrate on the same rows.
        """
        pending, self._pending = self._pending, []
        if activations is None:
            if not pending:
                raise ValueError("No sample was given: needs at least one to place the bins.")
            activations = torch.cat([batch for batch, _ in pending])
        self.edges = equal_mass_edges(activations.to(torch.promote_types(activations.dtype, torch.float32)))
        for batch, labels in pending:
            self._count(batch, labels)

    def _count(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        classes = self.num_classes + 1
        neuron = torch.arange(self.num_neurons, device=activations.device)[:, None]
        cell = (neuron * FINE_BINS + bin_indices(activations, self.edges)) * classes + labels[None, :]
        self.counts.view(-1).scatter_add_(0, cell.flatten(), torch.ones_like(cell.flatten()))

    def merge(self, other: NeuronStatistics) -> None:
        """
        Adds the counts of `other`.

        Raises:
            `ValueError`: if the two have different classes or different edges.
        """
        for statistics in (self, other):
            if statistics.edges is None:
                statistics.calibrate()
        if self.counts.shape != other.counts.shape or not torch.equal(self.edges, other.edges):
            raise ValueError("Statistics with different neurons, classes or bin edges cannot be merged.")
        self.counts += other.counts
        self.nonfinite += other.nonfinite

    def all_reduce(self) -> None:
        """Sums the counts over the processes of `torch.distributed`, whose edges must be the same."""
        torch.distributed.all_reduce(self.counts)
        torch.distributed.all_reduce(self.nonfinite)

    @property
    def num_ignored(self) -> int:
        """Samples left out because their label was -100."""
        return int(self.counts[0, :, -1].sum())

    def mutual_information(self) -> MutualInformation:
        """
        The estimate from the samples counted so far.

        Raises:
            `ValueError`: if activations were NaN or infinite, if there was no sample, or if all had the same label.
        """
        if self.edges is None:
            self.calibrate()
        if broken := int((self.nonfinite > 0).sum()):
            worst = int(self.nonfinite.argmax())
            raise ValueError(
                f"NaN or infinite activations in {broken} of {self.num_neurons} neurons "
                f"(neuron {worst}: {int(self.nonfinite[worst])} samples)."
            )
        counts = self.counts[:, :, :-1]
        per_class = counts[0].sum(0)
        if int((per_class > 0).sum()) < 2:
            raise ValueError(
                f"Labels of {int(per_class.sum())} samples are of {int((per_class > 0).sum())} class(es): "
                "needs samples of 2 classes at least."
            )
        bins = num_bins(int(per_class.sum()), int((per_class > 0).sum()))
        return mutual_information_from_counts(merge_to_equal_mass(counts, bins))


def check_labels(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Integer labels with the ignored ones (-100) moved to class `num_classes`; `ValueError` if one is no class."""
    if labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(f"labels {tuple(labels.shape)} of {labels.dtype}: must be one integer class per sample.")
    labels = labels.long()
    invalid = ((labels < 0) & (labels != NeuronStatistics.ignore_index)) | (labels >= num_classes)
    if invalid.any():
        raise ValueError(
            f"{int(invalid.sum())} label(s) such as {int(labels[invalid][0])}: "
            f"must be in 0..{num_classes - 1}, or -100."
        )
    return torch.where(labels == NeuronStatistics.ignore_index, num_classes, labels)
