"""
What a record is in JSON: the part of a report that tells what happened to the neurons. Needs no torch.

Values per neuron are not in it: they are arrays, of which it holds the sizes and a SHA-256, see `arrays.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from ...choices import Metric
from ...utils.typed_json import AtMost, Between, from_json, to_json


FORMAT_VERSION = 2
MAX_NEURONS = 2_000_000
"""Of all layers; those of the largest encoder in the table are 300,000."""
MAX_LAYERS = 64
MAX_PRUNING_STEPS = 100
MAX_BITS = 64.0
"""More classes than 2**64 no one has."""

# A rounding error below 0 is none.
Bits = Annotated[float, Between(-1e-6, MAX_BITS)]
Count = Annotated[int, Between(0, 2**53)]
Neurons = Annotated[int, Between(0, MAX_NEURONS)]


@dataclass(kw_only=True)
class Metrics:
    """
    Of a classifier on some rows: `accuracy`, `macro_f1`, `loss` (nats), `expected_calibration_error`, of several draws
    `accuracy_std`, and `bits_lost` (mean divergence from the dense network's prediction) with its standard error
    `bits_lost_stderr`; each a `float`, `None` if it was not measured.
    """

    accuracy: float | None = None
    macro_f1: float | None = None
    loss: float | None = None
    expected_calibration_error: float | None = None
    accuracy_std: float | None = None
    bits_lost: float | None = None
    bits_lost_stderr: float | None = None


@dataclass(kw_only=True)
class Validation:
    """[`Metrics`] of `rows` (`int`) validation rows at three moments."""

    rows: Count | None = None
    before_pruning: Metrics | None = None
    after_pruning: Metrics | None = None
    after_retraining: Metrics | None = None


@dataclass
class Layer:
    """
    Args:
        name (`str`), neurons, kept (`int`): Of the layer.
        mean_bits_before, mean_bits_before_of_kept (`float`): Mean bits (eq. 3) of all neurons before, and of the kept
            ones: this tells arithmetic (dropping the lowest raises a mean) from what is learned.
        mean_bits_after_of_kept (`float`, *optional*): Of the kept ones, after retraining.
        lowest_bits_kept (`float`, *optional*): Before; `None` if nothing was dropped.
    """

    name: str
    neurons: Neurons
    kept: Neurons
    mean_bits_before: Bits
    mean_bits_before_of_kept: Bits
    mean_bits_after_of_kept: Bits | None = None
    lowest_bits_kept: Bits | None = None


@dataclass
class ScoredLayer:
    """How many `neurons` (`int`) the arrays of a layer have."""

    neurons: Annotated[int, Between(1, MAX_NEURONS)]


@dataclass
class Scores:
    """[`NeuronScores`] without its arrays, whose SHA-256 is `sha256` (`str`)."""

    problem_type: Literal["single_label_classification", "multi_label_classification", "regression"]
    num_classes: Count
    num_samples: Count
    num_ignored: Count
    label_entropy_bits: Bits
    seconds: float
    bytes_reduced: Count
    layers: Annotated[dict[str, ScoredLayer], AtMost(MAX_LAYERS)]
    sha256: str


@dataclass
class SelectedLayer:
    """`kept` (`int`) neurons, and the lowest importance of one, `threshold` (`float`)."""

    kept: Neurons
    threshold: float


@dataclass
class Selected:
    """[`Selection`] without its masks, whose SHA-256 is `sha256` (`str`)."""

    layers: Annotated[dict[str, SelectedLayer], AtMost(MAX_LAYERS)]
    sha256: str


@dataclass
class SweepRow:
    """
    Args:
        threshold (`dict[str, float]`): By layer, the lowest importance among the neurons kept; bits if the criterion
            is mutual information.
        kept (`dict[str, int]`): Neurons kept, by layer.
        accuracy, macro_f1, loss (`float`): On the validation rows; the loss in nats.
        difference, stderr (`float`): How much worse than the dense network in the chosen metric; its error.
        p_value (`float`): Of the hypothesis that it is worse by the margin or more.
    """

    threshold: Annotated[dict[str, float], AtMost(MAX_LAYERS)]
    kept: Annotated[dict[str, Neurons], AtMost(MAX_LAYERS)]
    accuracy: float
    macro_f1: float
    loss: float
    difference: float
    stderr: float
    p_value: float


@dataclass
class Sweep:
    """
    Args:
        metric (`str`), margin (`float`), alpha (`float`): Of the test.
        rows (`int`): Validation rows.
        dense (`dict`): Metrics of the network before.
        levels (`list[SweepRow]`): From the least to the most pruned.
        chosen (`int`, *optional*): Number of the last level before the first that fails; `None` if the first fails.
    """

    metric: Metric
    margin: float
    alpha: float
    rows: Count
    dense: Annotated[dict[str, float], AtMost(10)]
    levels: list[SweepRow] = field(default_factory=list)
    chosen: Count | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `chosen` is `None` if the first level fails."""
        return {**to_json(self), "chosen": self.chosen}


@dataclass
class Baselines:
    """[`Metrics`] by criterion, `one_shot`, on `rows` (`int`) validation rows right after pruning."""

    one_shot: Annotated[dict[str, Metrics], AtMost(100)]
    rows: Count | None = None


@dataclass
class Step:
    """[`PruningResult`] without its arrays."""

    step: Count
    scores: Scores
    selection: Selected | None = None
    refused: str | None = None
    sweep: Sweep | None = None
    baselines: Baselines | None = None
    validation: Validation = field(default_factory=Validation)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Pruning:
    """
    [`PruningRecord`] without its arrays; what follows from others is spelled out for readers.

    Args:
        config (`dict`): Of [`MIDropoutConfig`].
        max_steps (`int`): Optimizer steps of the whole training.
        step (`int`): The step after which neurons were first scored.
        label_entropy_bits (`float`): No neuron can carry more.
        layers (`list[Layer]`): In the order in which the model runs them.
        pruning_steps (`list[Step]`): In order; usually one.
        validation ([`Validation`]): Before the first pruning step, after the last one, and at the end.
        refused (`str`, *optional*): Why nothing was dropped in the last pruning step, although it was asked for.
        after ([`Scores`], *optional*): At the end of training.
        after_retraining ([`Metrics`], *optional*): Of the validation rows at the end of training.
    """

    config: Annotated[dict[str, Any], AtMost(100)]
    max_steps: Count
    step: Count
    label_entropy_bits: Bits
    layers: Annotated[list[Layer], AtMost(MAX_LAYERS)]
    pruning_steps: Annotated[list[Step], AtMost(MAX_PRUNING_STEPS)]
    validation: Validation = field(default_factory=Validation)
    refused: str | None = None
    after: Scores | None = None
    after_retraining: Metrics | None = None

    def last(self, part: Literal["sweep", "baselines"]) -> Any:
        """`part` of the last pruning step that has it; `None` if none has."""
        return next((found for each in reversed(self.pruning_steps) if (found := getattr(each, part))), None)


def check_version(content: dict[str, Any]) -> None:
    """`ValueError` if `content` is of another `format_version` than this package reads."""
    version = content.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        raise ValueError(
            f"format_version={version} is newer than the {FORMAT_VERSION} that this version of hf_midropout reads: "
            "upgrade it"
        )
    if type(version) is not int or version != FORMAT_VERSION:
        raise ValueError(f"format_version={str(version)[:40]!r}: must be {FORMAT_VERSION}")


def read_pruning(content: Any, where: str = "") -> Pruning:
    """
    What a JSON file holds, as [`Pruning`].

    Raises:
        `ValueError`: for what is of the wrong kind, out of range, or too much.
    """
    pruning = from_json(Pruning, content, where)
    check_pruning(pruning)
    return pruning


def check_pruning(pruning: Pruning) -> None:
    """`ValueError` for parts that do not fit each other, or more neurons than a page can show."""
    if not pruning.pruning_steps:
        raise ValueError("it has no pruning_steps")
    scores = [*(each.scores for each in pruning.pruning_steps), *([pruning.after] if pruning.after else [])]
    for each in scores:
        if not each.layers:
            raise ValueError("scores must have layers")
        if sum(layer.neurons for layer in each.layers.values()) > MAX_NEURONS:
            raise ValueError(f"it has more than {MAX_NEURONS:,} neurons, which no page can show")
        if list(each.layers) != list(scores[0].layers):
            raise ValueError("its scores are of different layers")
    for step in pruning.pruning_steps:
        if step.selection and set(step.selection.layers) != set(step.scores.layers):
            raise ValueError("its selection is of other layers than its scores")
        if step.sweep and step.sweep.chosen is not None and step.sweep.chosen >= len(step.sweep.levels):
            raise ValueError(f"chosen={step.sweep.chosen} is none of the levels of the sweep")
        if step.sweep and step.sweep.metric not in step.sweep.dense:
            raise ValueError(f"the sweep lacks the {step.sweep.metric} of the dense network")
