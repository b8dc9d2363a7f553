"""Trains the heads of many seeds at once on what a frozen encoder gave, by one method at one setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..metrics.text_classification import classification_metrics
from ..models.configuration_midropout_bert import MIDropoutBertConfig
from ..models.head_loss import HeadLoss
from ..models.modeling_midropout import MIDropoutHead
from ..pruning.config import MIDropoutConfig
from ..pruning.head.inputs import HeadInputs
from ..pruning.head.network import HeadNetwork
from ..pruning.steps.head import HEAD_ROWS
from ..regularizers.base import default_weight
from .methods import Method, Setting
from .pruning import prune, score_head
from .seeded_noise import SeededNoise
from .stacked import StackedHeads


@dataclass(frozen=True)
class Schedule:
    """
    What is the same for every method.

    Args:
        rows (`int`): Training rows, drawn anew for each seed.
        steps (`int`): Optimizer steps, of which pruning comes after the first half.
        batch_size (`int`): Rows of a step.
        evaluations (`int`): On validation rows, evenly spaced, the last at the end.
        head_widths (`tuple[int, ...]`): Neurons of each hidden layer.
    """

    rows: int
    steps: int
    batch_size: int
    evaluations: int = 10
    head_widths: tuple[int, ...] = (256, 128, 64)

    def learning_rate(self, step: int, rewind: bool) -> float:
        """The factor on the highest learning rate at a step: it falls linearly to 0; again, from half the steps on."""
        if not rewind:
            return 1 - step / self.steps
        half = self.steps // 2
        return 1 - step / half if step < half else 1 - (step - half) / (self.steps - half)

    def evaluated(self) -> set[int]:
        """The steps after which validation rows are looked at."""
        return {self.steps * number // self.evaluations for number in range(1, self.evaluations + 1)}


@dataclass
class Outcome:
    """
    Of one seed.

    Args:
        seed (`int`): Of initial weights, training rows, their order and noise.
        curve (`list[dict]`): Metrics on validation rows, with the step, in its order.
        test (`dict[str, float]`, *optional*): Metrics on test rows at the end.
        kept (`list[int]`, *optional*): Neurons of each layer that were kept.
        bits (`dict[str, list[float]]`): Mean bits of each layer: `before` and `after` the middle of the training,
            and at its `end`; `_unmasked` over the neurons alone that are not masked, `before_kept` over those that
            the middle keeps.
    """

    seed: int
    curve: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] | None = None
    kept: list[int] | None = None
    bits: dict[str, list[float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content."""
        return dataclasses.asdict(self)


def train_heads(
    method: Method,
    setting: Setting,
    schedule: Schedule,
    seeds: Sequence[int],
    train: HeadInputs,
    validation: HeadInputs,
    test: HeadInputs | None = None,
    whole_record: bool = False,
) -> list[Outcome]:
    """
    Args:
        method ([`Method`]): How.
        setting ([`Setting`]): At which point of its grid.
        schedule ([`Schedule`]): The budget.
        seeds (`Sequence[int]`): One head each. A seed gives what it gives alone, whatever others are beside it.
        train, validation (`HeadInputs`): What the frozen encoder gives for all rows.
        test (`HeadInputs`, *optional*): Looked at once, at the end.
        whole_record (`bool`): Whether to look at validation rows all along, not at the end alone, and to measure the
            bits of every layer, for methods without pruning too.

    Returns:
        `list[Outcome]`: of each seed.

    Raises:
        `ValueError`: if there are fewer training rows than the schedule asks for.
    """
    if schedule.rows > len(train.labels):
        raise ValueError(f"{schedule.rows} rows: the training split has {len(train.labels)}.")
    num_classes = int(train.labels.max()) + 1
    heads = StackedHeads([make_head(method, setting, schedule, train, num_classes, seed) for seed in seeds])
    outcomes = [Outcome(seed) for seed in seeds]
    chosen = torch.stack([_chosen(schedule, len(train.labels), seed) for seed in seeds])  # [S, rows]
    optimizer = torch.optim.Adam(heads.parameters.values(), lr=setting.learning_rate)
    evaluated, half, order = schedule.evaluated(), schedule.steps // 2, _Order(schedule, seeds)
    noise = SeededNoise(seeds) if method.draws else nullcontext()
    asks_for_information = method.head.get("head_regularizer") == "drop_mi"

    def rows_of(number: int) -> HeadInputs:
        """What its neurons are scored with, as many as in a Trainer."""
        index = chosen[number, :HEAD_ROWS]
        return HeadInputs(train.hidden_states[index], train.labels[index])

    for step in range(schedule.steps):
        if step == half:
            for number, outcome in enumerate(outcomes):
                _middle(heads, number, method, setting, rows_of(number), num_classes, outcome, optimizer, whole_record)
        for group in optimizer.param_groups:
            group["lr"] = setting.learning_rate * schedule.learning_rate(step, method.rewind)
        index = chosen.gather(1, order.batch(step))
        with noise:
            loss = heads.map(head_loss, train.hidden_states[index], train.labels[index])
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        if step + 1 in evaluated and (whole_record or step + 1 == schedule.steps):
            for outcome, found in zip(outcomes, evaluate(heads, validation), strict=True):
                outcome.curve.append({"step": step + 1, **found})
        if step + 1 in evaluated and asks_for_information:
            for number in range(len(seeds)):
                _tell_information(heads, number, rows_of(number), num_classes)
    if test is not None:
        for outcome, found in zip(outcomes, evaluate(heads, test), strict=True):
            outcome.test = found
    if whole_record:
        for number, outcome in enumerate(outcomes):
            _note_bits(outcome, "end", heads.head(number), rows_of(number), num_classes)
    return outcomes


def make_head(
    method: Method, setting: Setting, schedule: Schedule, train: HeadInputs, num_classes: int, seed: int
) -> MIDropoutHead:
    """A new head, its weights drawn as a model's are."""
    fields = dict(method.head)
    if method.pruning is None and setting.value is not None:
        fields["head_dropout"] = setting.value
    fields["head_regularizer_weight"] = default_weight(fields.get("head_regularizer", "none"), schedule.rows)
    config = MIDropoutBertConfig(
        hidden_size=train.hidden_states.shape[1],
        head_widths=list(schedule.head_widths),
        num_labels=num_classes,
        **fields,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = MIDropoutHead(config)
        # As `MIDropoutClassifierMixin._init_weights`: what a regularizer learns is drawn as the output layer is.
        for module in head.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=config.initializer_range)
                nn.init.zeros_(module.bias)
        for layer in head.hidden_layers():
            nn.init.kaiming_normal_(layer.dense.weight, nonlinearity="relu")
    return head.train()


def head_loss(head: MIDropoutHead, hidden_states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """As a model computes it."""
    return HeadLoss(head)(hidden_states, labels)


def evaluate(heads: StackedHeads, rows: HeadInputs) -> list[dict[str, float]]:
    """Metrics of each head."""
    with heads.inference():
        parts = [heads.map(lambda head, x: head(x), part, shared=True) for part in rows.hidden_states.split(2048)]
    labels = rows.labels.numpy()
    return [classification_metrics(logits.numpy(), labels) for logits in torch.cat(parts, 1)]


def _middle(heads, number, method, setting, rows, num_classes, outcome, optimizer, measure_bits) -> None:
    """Scores one head and does what the method says."""
    if method.pruning is None and not measure_bits:
        return
    head = heads.head(number)
    scores = _note_bits(outcome, "before", head, rows, num_classes)
    if method.pruning is None:
        return
    config = MIDropoutConfig(keep=setting.value, seed=outcome.seed, **method.pruning)
    kept = prune(head, rows, scores, config)
    outcome.kept = [int(mask.sum()) for mask in kept.values()]
    outcome.bits["before_kept"] = list(scores.layer_average(kept).values())
    heads.put(number, head)
    if config.action == "dropout":
        for layer in heads.template.hidden_layers():
            layer.mi_dropout = True
    if config.action == "reinitialize":
        _forget(heads, number, kept, optimizer)
    if measure_bits:
        _note_bits(outcome, "after", head, rows, num_classes)


def _note_bits(outcome: Outcome, when: str, head: MIDropoutHead, rows: HeadInputs, num_classes: int):
    scores = score_head(head, rows, num_classes)
    masks = {name: layer.mask for name, layer in HeadNetwork(head).masked_layers().items()}
    for key, kept in ((when, None), (f"{when}_unmasked", masks)):  # a masked neuron carries no bits
        outcome.bits[key] = list(scores.layer_average(kept).values())
    return scores


def _tell_information(heads: StackedHeads, number: int, rows: HeadInputs, num_classes: int) -> None:
    """As the callback does after each epoch: rates follow the bits of the neurons."""
    head = heads.head(number)
    head.set_information(list(score_head(head, rows, num_classes).bits.values()))
    heads.put(number, head)


def _forget(heads: StackedHeads, number: int, kept: dict[str, torch.Tensor], optimizer) -> None:
    """What the optimizer remembers of weights that were drawn anew."""
    for name, mask in kept.items():
        for parameter in ("weight", "bias"):
            state = optimizer.state[heads.parameters[f"{name.removeprefix('classifier.')}.dense.{parameter}"]]
            for key in ("exp_avg", "exp_avg_sq"):
                state[key][number, ~mask] = 0


def _chosen(schedule: Schedule, rows: int, seed: int) -> torch.Tensor:
    """`[schedule.rows]` of all training rows."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[: schedule.rows]


class _Order:
    """The order of each seed's rows: an epoch after another, each in a new order, cut into batches of one size."""

    def __init__(self, schedule: Schedule, seeds: Sequence[int]):
        self.schedule = schedule
        self.generators = [torch.Generator().manual_seed(seed + 1_000_003) for seed in seeds]
        self.waiting = torch.empty(len(seeds), 0, dtype=torch.long)

    def batch(self, step: int) -> torch.Tensor:
        """`[S, batch_size]` numbers of rows."""
        while self.waiting.shape[1] < self.schedule.batch_size:
            epoch = [torch.randperm(self.schedule.rows, generator=generator) for generator in self.generators]
            self.waiting = torch.cat([self.waiting, torch.stack(epoch)], 1)
        batch, self.waiting = self.waiting.split(
            [self.schedule.batch_size, self.waiting.shape[1] - self.schedule.batch_size], 1
        )
        return batch
