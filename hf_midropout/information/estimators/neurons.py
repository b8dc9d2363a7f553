"""What is remembered of a stream of activations with one class each."""

from __future__ import annotations

import torch

from ..checks import (
    IGNORE_INDEX,
    as_tensor,
    check_batch,
    check_classes,
    check_finite,
    check_integers,
    check_labels,
    invalid_labels,
)
from ..copies import Copies
from ..counting.by_class import count_classes
from ..counting.one_read import counted_in_one_read
from ..estimation.bits import estimate_in_blocks
from ..estimation.contingency import MutualInformation, Table
from ..row_keys import row_keys, rows_are_told_apart
from ..streaming.streamed_counts import StreamedCounts


class NeuronStatistics(StreamedCounts):
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
        device (`torch.device`, *optional*): Where the counts live; activations elsewhere are moved there.
    """

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
        activations, labels = as_tensor(activations, "activations"), as_tensor(labels, "labels")
        check_batch(activations, labels, self.num_neurons)
        if labels.shape[0] == 0:
            return
        if labels.is_cuda:
            check_integers(labels)
        else:
            check_labels(labels, self.num_classes)
        self._append(activations, labels.long(), copies)

    def _classes(self, labels: torch.Tensor) -> torch.Tensor:
        """`[N]` integer classes of labels that were kept."""
        return labels.long()

    def _counted_in_one_read(self, activations: torch.Tensor, labels: torch.Tensor) -> bool:
        if not activations.is_cuda or labels.ndim > 1:
            return False
        tensors = self._cells, self.nonfinite, self.ignored, self.invalid
        return counted_in_one_read(*tensors, activations, labels, self._placed_edges(), self._seen_activations)

    def _count(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        ignored, invalid = labels == IGNORE_INDEX, invalid_labels(labels, self.num_classes)
        self.ignored += ignored.sum()
        self.invalid += invalid.sum()
        count_classes(self._cells, activations, labels, ignored | invalid, self._placed_edges())

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
        return estimate_in_blocks(Table(counts, self._copies))

    def _checked_counts(self) -> torch.Tensor:
        """`counts`; `ValueError` if activations were NaN or infinite, or if there was no sample."""
        if self.edges is None:
            self.calibrate()
        check_finite(self.nonfinite)
        return self._table()
