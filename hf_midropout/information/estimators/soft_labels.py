"""Streams whose labels are probabilities of classes."""

from __future__ import annotations

import torch

from ..checks import as_tensor, check_batch, check_classes
from ..copies import Copies
from ..counting.binning import bin_indices
from ..counting.edges import NUM_BINS
from ..estimation.contingency import MutualInformation, Table, entropy, merge_to_equal_mass, num_bins
from ..estimation.smoothing import Smoothed, smoothed_information
from ..parallel import BLOCK_ELEMENTS
from ..row_keys import row_keys, rows_are_told_apart
from ..targets import soft_labels
from .neurons import NeuronStatistics


UNIT = 2**20
"""Probabilities are added up as integers, in units of one in a million: sums then do not depend on their order."""


class SoftLabelStatistics(NeuronStatistics):
    """
    [`NeuronStatistics`] of soft labels: sums of the probabilities of the classes, and of their squares, in each bin;
    8 KB a neuron and class.

    Args:
        num_neurons (`int`): K.
        num_classes (`int`): C.
        calibration_rows (`int`, *optional*, defaults to 2048): Rows that place the bins.
        device (`torch.device`, *optional*): Where the sums live; activations elsewhere are moved there.
    """

    LABELS_PLACE_BINS = False
    DTYPE = torch.int64

    @property
    def num_columns(self) -> int:
        """Columns 0..C-1 hold probabilities, C..2C-1 their squares, in units of 2^-20."""
        return 2 * self.num_classes

    @property
    def num_copy_columns(self) -> int:
        return self.num_classes

    def update(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies | None = None) -> None:
        """
        Adds a batch.

        Args:
            activations (`torch.Tensor` of shape `[N, K]`): Any floating dtype; binned in float32 or wider.
            labels (`torch.Tensor` of shape `[N, C]`): Probabilities, which add up to 1 in each row.
            copies ([`Copies`], *optional*): As in [`NeuronStatistics.update`], of [`RowsSeen.add`] without labels;
                copies have the same probabilities.

        Raises:
            `ValueError`: for shapes that do not fit and rows that are no probabilities.
        """
        activations, labels = as_tensor(activations, "activations"), as_tensor(labels, "labels")
        check_batch(activations, labels, self.num_neurons)
        probabilities = soft_labels(labels)
        if probabilities.shape[1] != self.num_classes:
            raise ValueError(f"labels {tuple(labels.shape)}: must be [N, {self.num_classes}].")
        if len(labels):
            self._append(activations, probabilities, copies)

    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        """`[N, C]` probabilities."""
        return labels

    def _count(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        units = torch.cat([labels, labels.square()], 1).mul(UNIT).round().long()
        row = torch.arange(self.num_neurons, device=activations.device)[:, None] * NUM_BINS
        row = (row + bin_indices(activations, self._placed_edges())).flatten()
        table = self._table().flatten(0, 1)
        for sums, values in zip(table.unbind(1), units.unbind(1), strict=True):
            sums.scatter_add_(0, row, values.repeat(self.num_neurons))

    def _find_copies(self, activations: torch.Tensor, labels: torch.Tensor) -> Copies:
        keys = row_keys(activations) * 3 + row_keys(labels)
        return self._seen.add(
            keys, None, lambda rows: rows_are_told_apart(activations, torch.from_numpy(rows)).numpy()
        )

    def _count_copies(self, activations: torch.Tensor, labels: torch.Tensor, copies: Copies) -> None:
        rows, _, *sums = (part.to(activations.device, non_blocking=True) for part in copies)
        probabilities = labels[rows]
        values = (probabilities.square(), probabilities, probabilities)
        self._add_copies(
            activations[rows],
            [
                list(enumerate((each * value.t()).mul(UNIT).round().long()))
                for each, value in zip(sums, values, strict=True)
            ],
        )

    def mutual_information(self) -> MutualInformation:
        """
        The estimate from the samples so far; `p_value` is NaN, as a G-test needs counts.

        Raises:
            `ValueError`: if activations were NaN or infinite, if there was no sample, or if all were of one class.
        """
        return super().mutual_information()

    def _mutual_information(self) -> MutualInformation:
        sums = self._checked_counts()
        per_class = sums[0, :, : self.num_classes].sum(0)
        check_classes(per_class)
        samples = round(int(per_class.sum()) / UNIT)
        ceiling = float(entropy(per_class.double()))
        block = max(1, BLOCK_ELEMENTS // 8 // (NUM_BINS * self.num_columns))
        parts = [self._smoothed(slice(start, start + block), samples) for start in range(0, self.num_neurons, block)]
        bits, stderr, _ = (torch.cat(part) for part in zip(*parts, strict=True))
        return MutualInformation(
            bits=bits.clamp(0.0, ceiling),
            stderr=stderr,
            p_value=torch.full_like(bits, torch.nan),
            label_entropy=ceiling,
            num_samples=samples,
        )

    def _smoothed(self, neurons: slice, samples: int) -> Smoothed:
        sums = self._table()[neurons]
        counts = sums[:, :, : self.num_classes]
        table = Table(counts, None if self._copies is None else self._copies[:, neurons])
        copies = table.without_frequent(samples).copies
        if copies is not None:
            samples = round(int((counts - copies[2])[0].sum()) / UNIT)
            sums = torch.cat([sums, *copies], 2)
        mass = (counts if copies is None else counts - copies[2]).sum(2)
        merged = merge_to_equal_mass(sums, num_bins(samples), mass).double() / UNIT
        probabilities, squares, *rest = merged.split(self.num_classes, 2)
        return smoothed_information(probabilities, squares, torch.stack(rest) if rest else None)
