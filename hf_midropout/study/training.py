"""Trains the heads of many seeds at once on what a frozen encoder gave, by one method at one setting."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from ..metrics.text_classification import classification_metrics
from ..models.head_loss import HeadLoss
from ..models.modeling_midropout import MIDropoutHead
from ..pruning.head.inputs import HeadInputs
from ..pruning.steps.head import HEAD_ROWS
from .methods import Method, Setting
from .middle import middle, note_bits, tell_information
from .new_head import make_head
from .outcome import Outcome
from .schedule import RowOrder, Schedule, chosen_rows
from .seeded_noise import SeededNoise
from .stacked import StackedHeads


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
    chosen = torch.stack([chosen_rows(schedule, len(train.labels), seed) for seed in seeds])  # [S, rows]
    optimizer = torch.optim.Adam(heads.parameters.values(), lr=setting.learning_rate)
    evaluated, half, order = schedule.evaluated(), schedule.steps // 2, RowOrder(schedule, seeds)
    noise = SeededNoise(seeds) if method.draws else nullcontext()
    asks_for_information = method.head.get("head_regularizer") == "drop_mi"

    def rows_of(number: int) -> HeadInputs:
        """What its neurons are scored with, as many as in a Trainer."""
        index = chosen[number, :HEAD_ROWS]
        return HeadInputs(train.hidden_states[index], train.labels[index])

    for step in range(schedule.steps):
        if step == half:
            for number, outcome in enumerate(outcomes):
                middle(heads, number, method, setting, rows_of(number), num_classes, outcome, optimizer, whole_record)
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
                tell_information(heads, number, rows_of(number), num_classes)
    if test is not None:
        for outcome, found in zip(outcomes, evaluate(heads, test), strict=True):
            outcome.test = found
    if whole_record:
        for number, outcome in enumerate(outcomes):
            note_bits(outcome, "end", heads.head(number), rows_of(number), num_classes)
    return outcomes


def head_loss(head: MIDropoutHead, hidden_states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """As a model computes it."""
    return HeadLoss(head)(hidden_states, labels)


def evaluate(heads: StackedHeads, rows: HeadInputs) -> list[dict[str, float]]:
    """Metrics of each head."""
    with heads.inference():
        parts = [heads.map(lambda head, x: head(x), part, shared=True) for part in rows.hidden_states.split(2048)]
    labels = rows.labels.numpy()
    return [classification_metrics(logits.numpy(), labels) for logits in torch.cat(parts, 1)]
