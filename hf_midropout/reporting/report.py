"""
The report of a training or a pruning: its one schema, its one writer and its one reader. Needs no torch.

It is two files: `midropout_report.json`, also for people, and `midropout_report.safetensors`, values per neuron.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..pruning.record.arrays import Arrays, ArraySets, named_arrays, read_arrays, save_with_arrays
from ..pruning.record.encoder_schema import Estimate, Fraction, PrunedEncoder, check_encoder
from ..pruning.record.latency_schema import Latency
from ..pruning.record.schema import FORMAT_VERSION, Count, Metrics, Pruning, check_pruning, check_version
from ..utils.json_files import read_json
from ..utils.report_names import REPORT, json_name
from ..utils.safe_paths import check_link
from ..utils.typed_json import AtMost, Between, from_json, to_json
from ..version import __version__
from .verdict import verdict


if TYPE_CHECKING:
    from ..pruning.record.training import PruningRecord


Widths = Annotated[list[Annotated[int, Between(1, 65_536)]], AtMost(99)]


@dataclass(kw_only=True)
class Model:
    """
    Args:
        base_model (`str`, *optional*): The checkpoint that training or pruning started from.
        base_model_source (`str`, *optional*): How it was loaded: `"hub"`, `"local"` or `"builtin"`.
        parameters_before, parameters_after, head_parameters_before, head_parameters_after (`int`, *optional*): Before
            and after compaction.
        head_widths_before, head_widths_after (`list[int]`, *optional*): Likewise.
        bytes_before, bytes_after (`int`, *optional*): Of the files of weights.
        largest_logit_difference (`float`, *optional*): Between the two, on real inputs.
    """

    base_model: str | None = None
    base_model_source: str | None = None
    parameters_before: Count | None = None
    parameters_after: Count | None = None
    head_parameters_before: Count | None = None
    head_parameters_after: Count | None = None
    head_widths_before: Widths | None = None
    head_widths_after: Widths | None = None
    bytes_before: Count | None = None
    bytes_after: Count | None = None
    largest_logit_difference: float | None = None


@dataclass(kw_only=True)
class Data:
    """
    What was trained on: `name` and `source` (`str`, *optional*), `labels` (`list[str]`), `rows` (`dict[str, int]`, by
    split), `notes` (`list[str]`), `pairs` (`bool`): whether a row is a pair of texts, `max_length` (`int`,
    *optional*): tokens that texts were cut to.
    """

    name: str | None = None
    source: str | None = None
    labels: list[str] = field(default_factory=list)
    rows: Annotated[dict[str, Count], AtMost(1_000)] = field(default_factory=dict)
    notes: Annotated[list[str], AtMost(1_000)] = field(default_factory=list)
    pairs: bool = False
    max_length: Count | None = None


@dataclass
class Bin:
    """Of a reliability diagram: `rows` (`int`), their mean `confidence` (`float`), and their `accuracy` (`float`)."""

    rows: Count
    confidence: float
    accuracy: float


@dataclass(kw_only=True)
class Tested(Metrics):
    """[`Metrics`] on `rows` (`int`), of a `split` (`str`), that nothing was chosen with, and their `calibration`."""

    split: str
    rows: Count
    calibration: Annotated[list[Bin], AtMost(1_000)] = field(default_factory=list)


@dataclass(kw_only=True)
class Example:
    """
    What the model answers to a text that is no one's: `text`, `text_pair` (`str`, *optional*), `label` (`str`), and
    its probability, `score` (`float`).
    """

    text: str
    text_pair: str | None = None
    label: str
    score: Fraction


@dataclass(kw_only=True)
class Beside:
    """
    What an accuracy of a training has to be compared with, on the rows of its `test`.

    Args:
        largest_class (`float`): Share of the rows that are of the most frequent class.
        to_dense ([`Estimate`], *optional*): Accuracy less that of the same training without pruning, row against row.
        shared_steps (`int`, *optional*): Optimizer steps that the two have in common.
        latency ([`Latency`], *optional*): Time of the dense and of the saved network.
    """

    largest_class: Fraction
    to_dense: Estimate | None = None
    shared_steps: Count | None = None
    latency: Latency | None = None


@dataclass(kw_only=True)
class Report:
    """
    What is known of a training, or of a pruning without one; any part may be absent.

    Args:
        hf_midropout_version (`str`, *optional*): That wrote it.
        model ([`Model`]), data ([`Data`]): What was trained or pruned, and on what.
        test ([`Tested`], *optional*): The compact model.
        dense_test ([`Tested`], *optional*): The same training without pruning, or the network that was pruned.
        beside ([`Beside`], *optional*): Of a training: what the accuracy has to be compared with.
        pruning ([`Pruning`], *optional*): What happened to the neurons in a training.
        encoder ([`PrunedEncoder`], *optional*): What happened to those of the encoder, without a training.
        command (`str`): That made it, of a training, as it may be published.
        examples (`list[Example]`): Answers of the saved model.
        language (`list[str]`): Of the texts, as ISO 639 codes, if that is known.
        training_arguments (`dict`): The arguments of the run.
        training_log (`list[dict[str, float]]`): Losses and accuracies by step.
        seconds (`dict[str, float]`): Wall time by phase.
        environment (`dict`): Versions and machine.
        arrays (`dict[str, numpy.ndarray]`): The values per neuron, if they were read.
    """

    hf_midropout_version: str | None = None
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    test: Tested | None = None
    dense_test: Tested | None = None
    beside: Beside | None = None
    pruning: Pruning | None = None
    encoder: PrunedEncoder | None = None
    command: str = ""
    examples: Annotated[list[Example], AtMost(20)] = field(default_factory=list)
    language: Annotated[list[str], AtMost(20)] = field(default_factory=list)
    training_arguments: Annotated[dict[str, Any], AtMost(1_000)] = field(default_factory=dict)
    training_log: list[Annotated[dict[str, float], AtMost(10)]] = field(default_factory=list)
    seconds: Annotated[dict[str, float], AtMost(100)] = field(default_factory=dict)
    environment: Annotated[dict[str, str | int | None], AtMost(100)] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict, repr=False, metadata={"json": False})

    @classmethod
    def of(cls, record: PruningRecord, **parts) -> Report:
        """The report with this version's number, and with what `record` tells."""
        pruning, arrays = record.split()
        return cls(hf_midropout_version=__version__, pruning=pruning, arrays=arrays, **parts)

    @property
    def record(self) -> PruningRecord:
        """What `pruning` and `arrays` hold, put together; `ValueError` if they were not read."""
        from ..pruning.record.training import PruningRecord  # brings torch

        if self.pruning is None:
            raise ValueError("it does not say what happened to the neurons")
        return PruningRecord.join(self.pruning, self.arrays)

    def array_sets(self) -> ArraySets:
        """The values per neuron that it is about."""
        if self.pruning is not None:
            yield from named_arrays(self.pruning)
        if self.encoder is not None:
            yield from self.encoder.named_arrays()

    def save(self, folder: str | os.PathLike, stem: str = REPORT) -> None:
        """Writes both files into `folder`; see `pruning/record/arrays.py`."""
        content: dict[str, Any] = {"format_version": FORMAT_VERSION}
        if self.test is not None and (self.encoder is not None or self.pruning is not None):
            content["verdict"] = verdict(self)  # for people: whoever reads the file makes it anew
        save_with_arrays(Path(folder), stem, content | to_json(self), self.arrays)

    @classmethod
    def load(cls, folder: str | os.PathLike, stem: str = REPORT, arrays: bool = True) -> Report | None:
        """
        The report in `folder`, which may be a stranger's; `None` if there is none.

        Args:
            folder (`str` or `os.PathLike`): Where it is.
            stem (`str`, *optional*, defaults to `"midropout_report"`): The names of its files without their endings.
            arrays (`bool`, *optional*, defaults to `True`): Read the values per neuron too.

        Raises:
            `ValueError`: if it is no report of this package, of another version of the format, or has more in it than
                a page can show.
        """
        folder = Path(folder)
        path = folder / json_name(stem)
        if path.is_symlink():
            check_link(folder, path)
        if not path.is_file():
            return None
        content = read_json(path)
        try:
            check_version(content)
            report = from_json(cls, content)
            if report.pruning is not None:
                check_pruning(report.pruning)
            if report.encoder is not None:
                check_encoder(report.encoder, report.test, report.dense_test)
            if report.beside is not None:
                check_beside(report.beside, report.dense_test)
            sets = list(report.array_sets())
            report.arrays = read_arrays(folder, stem, sets) if arrays and sets else {}
        except ValueError as error:
            raise ValueError(f"{path.name} is not a report of this package, or not whole: {error}.") from error
        return report


def check_beside(beside: Beside, dense: Tested | None) -> None:
    """`ValueError` for parts that do not fit each other."""
    if beside.to_dense is not None and (dense is None or dense.accuracy is None):
        raise ValueError("it lacks the accuracy of dense_test, which beside.to_dense is about")
    if beside.latency is not None and not beside.latency.timings:
        raise ValueError("beside.latency.timings is empty")
