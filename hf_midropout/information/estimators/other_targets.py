"""Streams whose labels are not one class per sample."""

from __future__ import annotations

import torch

from ..checks import IGNORE_INDEX, as_tensor, check_batch, check_sizes
from ..copies import Copies
from ..estimation.bits import estimate_in_blocks
from ..estimation.contingency import MutualInformation, Table
from ..row_keys import row_keys, rows_are_told_apart
from ..targets import TARGET_BINS, binary_labels, check_targets, target_classes, target_edges
from .neurons import NeuronStatistics


class RegressionStatistics(NeuronStatistics):
    """
    [`NeuronStatistics`] of a regression target, in bins of equal mass: the bits are about the bin that the target is
    in. The rows that place the bins of the activations place those of the target too.

    Args:
        num_neurons (`int`): K.
        target_bins (`int`, *optional*, defaults to 8): Bins of the target; no neuron has more than log2 of it in bits.
        calibration_rows (`int`, *optional*, defaults to 2048): Rows that place the bins.
        device (`torch.device`, *optional*): Where the counts live; activations elsewhere are moved there.
    """

    def __init__(
        self,
        num_neurons: int,
        target_bins: int = TARGET_BINS,
        calibration_rows: int = 2048,
        device: torch.device | str | None = None,
    ):
        super().__init__(num_neurons, target_bins, calibration_rows, device)
        self.target_edges: torch.Tensor | None = None

    def update(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies | None = None) -> None:
        """
        Adds a batch of `[N, K]` activations and `[N]` or `[N, 1]` targets; `ValueError` for NaN or infinity. `copies`
        are as in [`NeuronStatistics.update`], of [`RowsSeen.add`] without labels; copies have the same target.
        """
        activations, targets = as_tensor(activations, "activations"), check_targets(as_tensor(labels, "labels"))
        check_batch(activations, targets, self.num_neurons)
        if len(targets):
            self._append(activations, targets, copies)

    def calibrate(self, activations: torch.Tensor | None = None, labels: torch.Tensor | None = None) -> None:
        """As [`NeuronStatistics.calibrate`]; activations need their targets."""
        with self._lock:
            if activations is None:
                labels = self._waiting.first(self.calibration_rows)[1]
            if labels is None:
                raise ValueError("labels=None: regression targets are needed to place their bins.")
            targets = check_targets(as_tensor(labels, "labels")).to(self._cells.device)
            self.target_edges = target_edges(targets, self.num_classes)
            super().calibrate(activations, targets)

    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        return target_classes(labels, self._placed_target_edges())

    def _bins(self) -> tuple[torch.Tensor, ...]:
        return *super()._bins(), self._placed_target_edges()

    def _placed_target_edges(self) -> torch.Tensor:
        if self.target_edges is None:
            raise RuntimeError("The bins of the target are not placed yet: call `calibrate`.")
        return self.target_edges


class MultiLabelStatistics(NeuronStatistics):
    """
    [`NeuronStatistics`] of several binary labels: how many samples were in a bin, and how many of them had each label.

    Args:
        num_neurons (`int`): K.
        num_labels (`int`): L.
        calibration_rows (`int`, *optional*, defaults to 2048): Rows that place the bins; those with labels count more.
        device (`torch.device`, *optional*): Where the counts live; activations elsewhere are moved there.
    """

    LABELS_PLACE_BINS = False

    def __init__(
        self,
        num_neurons: int,
        num_labels: int,
        calibration_rows: int = 2048,
        device: torch.device | str | None = None,
    ):
        check_sizes(num_neurons, num_labels + 1)
        super().__init__(num_neurons, num_labels + 1, calibration_rows, device)
        self.num_labels = num_labels

    def update(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies | None = None) -> None:
        """
        Adds a batch. Labels on a GPU make the CPU wait; leave them on the CPU.

        Args:
            activations (`torch.Tensor` of shape `[N, K]`): Any floating dtype; counted in float32 or wider.
            labels (`torch.Tensor` of shape `[N, L]`): 0 or 1 of any dtype; rows of -100 are left out.
            copies ([`Copies`], *optional*): As in [`NeuronStatistics.update`], of [`RowsSeen.add`] without labels;
                copies have the same labels.

        Raises:
            `ValueError`: for shapes that do not fit and labels that are neither 0 nor 1.
        """
        activations, labels = as_tensor(activations, "activations"), as_tensor(labels, "labels")
        check_batch(activations, labels, self.num_neurons)
        has, counted = binary_labels(labels)
        if has.shape[1] != self.num_labels:
            raise ValueError(f"labels {tuple(labels.shape)}: must be [N, {self.num_labels}].")
        # Each sample counts once in column 0, and again for each label that it has.
        row, column = torch.cat([torch.ones_like(has[:, :1]), has], 1).nonzero(as_tuple=True)
        column = torch.where(counted[row], column, IGNORE_INDEX)
        if copies is not None:
            copies = copies.spread(row.cpu(), column.cpu())
        if len(row):
            self._append(activations[row.to(activations.device, non_blocking=True)], column, copies)

    def _find_copies(self, activations: torch.Tensor, labels: torch.Tensor) -> Copies:
        first = labels <= 0  # each sample begins with column 0, or is left out
        sample = first.cumsum(0) - 1
        activations = activations[first]
        having = torch.zeros(len(activations), self.num_columns)
        having[sample, labels.clamp(min=0)] = 1.0
        copies = self._seen.add(
            row_keys(activations) * 3 + row_keys(having),
            torch.where(labels[first] < 0, IGNORE_INDEX, 0),
            lambda rows: rows_are_told_apart(activations, torch.from_numpy(rows)).numpy(),
        )
        return copies.spread(sample, labels)

    def mutual_information(self) -> MutualInformation:
        """
        The mean over the labels, in bits per label: it ranks neurons as the sum does. `stderr` is the mean of the
        labels' standard errors, which is as large as it can get; `p_value` is the least of the labels', times their
        number (Bonferroni); `label_entropy` is the mean over the labels.

        Raises:
            `ValueError`: if activations were NaN or infinite, if there was no sample, or if no label varied.
        """
        return super().mutual_information()

    def _mutual_information(self) -> MutualInformation:
        labels = [result for result in self._of_each_label() if result is not None]
        share = 1 / self.num_labels
        return MutualInformation(
            bits=share * torch.stack([result.bits for result in labels]).sum(0),
            stderr=share * torch.stack([result.stderr for result in labels]).sum(0),
            p_value=(len(labels) * torch.stack([result.p_value for result in labels]).amin(0)).clamp(max=1),
            label_entropy=share * sum(result.label_entropy for result in labels),
            num_samples=labels[0].num_samples,
        )

    def of_each_label(self) -> list[MutualInformation | None]:
        """The estimate of each label; `None` for one that all samples have or none. Raises as `mutual_information`."""
        with self._lock:
            return self._settled()._of_each_label()

    def _of_each_label(self) -> list[MutualInformation | None]:
        counts = self._checked_counts()
        per_column = counts[0].sum(0)
        samples, positive = int(per_column[0]), per_column[1:]
        varies = (positive > 0) & (positive < samples)
        if not varies.any():
            raise ValueError(
                f"Each of {self.num_labels} label(s) is the same in all {samples} samples: needs one that varies."
            )
        everything = counts[None] if self._copies is None else torch.cat([counts[None], self._copies])

        def table(label: int) -> Table:
            having = everything[..., label]
            parts = torch.stack([everything[..., 0] - having, having], -1)
            return Table(parts[0].to(counts.dtype), parts[1:] if self._copies is not None else None)

        of_each = enumerate(varies.tolist(), start=1)
        return [estimate_in_blocks(table(label)) if varying else None for label, varying in of_each]
