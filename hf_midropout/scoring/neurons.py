"""Runs a model over a dataset and measures the mutual information between each tapped neuron and the label."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from accelerate import PartialState
from torch import nn
from tqdm.auto import tqdm

from ..information import MultiLabelStatistics, NeuronStatistics, RegressionStatistics
from ..information.copies import Copies
from ..information.streaming.reduction import all_reduce
from ..information.targets import TARGET_BINS, check_problem_type
from .batches import Batches, LoaderBatches, batches_for
from .checks import (
    check_batch_labels,
    check_columns,
    check_device,
    check_model,
    classes_of,
    explained,
    rows_of,
    run,
)
from .inference import frozen_inference, to_device
from .passes import gather_numbered, rounds
from .problem_types import check_dataset, find_problem_type
from .scores import NeuronScores
from .shared_batches import shared_batches
from .taps import Taps, uncompiled


def score_neurons(
    model: nn.Module,
    dataset,
    *,
    targets: str = "head",
    layers: Mapping[str, nn.Module] | Sequence[str] | str | None = None,
    num_classes: int | None = None,
    problem_type: str | None = None,
    collate_fn: Callable[[list], dict[str, Any]] | None = None,
    processing_class=None,
    remove_unused_columns: bool = True,
    batch_size: int = 32,
    max_samples: int | None = 10_000,
    calibration_rows: int = 2048,
    seed: int = 0,
    progress: bool = True,
    observe: Callable[[int, torch.Tensor], None] | None = None,
) -> NeuronScores:
    """
    Scores neurons: I(a; y) = H(a) - H(a | y) in bits (eq. 2 of the paper), with activations
    taken in eval mode and without gradients. The model, its mode and the random number generators are left as they
    were. With several processes each takes its share of the batches; integer counts are summed once, at the end, so
    the scores do not depend on the number of processes. Rows of the same inputs, padding aside, are copies: they weigh
    as often as they come, but are no independent evidence, as in [`~information.mutual_information`].

    Args:
        model (`nn.Module`): A classifier of any architecture.
        dataset (`datasets.Dataset` or `torch.utils.data.Dataset`): What `collate_fn` makes of its items must hold the
            model's inputs and `labels`: an integer class; with several binary labels, 0 or 1 for each; a number for
            regression. -100 (for each label) leaves an item out of a classification. Of a dataset without a length, a
            stream, the first `max_samples` items are read anew, on every process. Or `Batches`, which need none of the
            options that make batches.
        targets (`str`, *optional*, defaults to `"head"`): Which prunable groups to score: the hidden layers of a
            MI-Dropout head (`"head"`), the feed-forward neurons of the encoder (`"encoder"`) of any architecture in
            `groups/architectures.py`, or `"all"`. Units are taken as the next layer reads them: after the activation
            function. Those of tokens are averaged over the tokens that are no padding and, where ALBERT applies a
            layer several times, over the applications.
        layers (`Mapping[str, nn.Module]`, `Sequence[str]` or `str`, *optional*): For anything else: the outputs of
            modules, given by name, or of those whose names match patterns such as `"*.pooler"`. An output
            `[batch, tokens, neurons]` is averaged over the tokens that are no padding; of a module that runs several
            times in a pass the last output counts.
        num_classes (`int`, *optional*): Number of classes or of binary labels; `model.config.num_labels` by default.
            Of regression targets, the number of bins of equal mass that they are put in, 8 by default.
        problem_type (`str`, *optional*): `"single_label_classification"`, `"multi_label_classification"`, where a
            neuron's bits are the mean over the labels, or `"regression"`, where they are about the target's bin. By
            default that of `model.config`, or regression if the config has one label, or else the first.
        collate_fn (`Callable`, *optional*): Makes a batch of a list of items; by default as the Trainer does: padding
            with `processing_class` if there is one, else `default_data_collator`.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*): Tokenizer to pad with.
        remove_unused_columns (`bool`, *optional*, defaults to `True`): Drops what `model.forward` does not take before
            collation.
        batch_size (`int`, *optional*, defaults to 32): Items in a batch, per process.
        max_samples (`int`, *optional*, defaults to 10000): Items to score, drawn at random; `None` for all.
        calibration_rows (`int`, *optional*, defaults to 2048): Of these, the items that place the bins.
        seed (`int`, *optional*, defaults to 0): Seed of the draw.
        progress (`bool`, *optional*, defaults to `True`): Shows a progress bar.
        observe (`Callable`, *optional*): Called after the forward pass of each batch with its number and its labels,
            for what else is to be gathered from the same pass.

    Returns:
        [`NeuronScores`]

    Raises:
        `ValueError`: for an empty dataset, labels that are no classes or all the same, NaN or infinite activations
        (the message names the group or layer and counts them), a model without such groups or layers, or processes
        that were given different data: all of them raise it, if lengths, order or labels differ.
    """
    check_model(model)
    check_device(model)
    taps = Taps(model, layers, targets)
    if problem_type is None:
        problem_type = find_problem_type(getattr(model, "config", None))
    check_problem_type(problem_type)
    if num_classes is None:
        num_classes = TARGET_BINS if problem_type == "regression" else classes_of(model)
    if isinstance(dataset, Batches):
        batches, batch_size = dataset, getattr(dataset, "batch_size", batch_size)
    else:
        check_dataset(dataset, num_classes, problem_type)
        if collate_fn is None:
            check_columns(model, dataset)
        batches = batches_for(
            model, dataset, batch_size, collate_fn, processing_class, remove_unused_columns, max_samples, seed
        )
        if not isinstance(batches, LoaderBatches):  # which is made elsewhere
            batches.collate_fn = explained(batches.collate_fn)
    process = PartialState()
    calibration_batches = -(-calibration_rows // batch_size)
    statistics: dict[str, NeuronStatistics] = {}
    waiting: list[Waiting] = []

    started = time.perf_counter()
    with frozen_inference(model), uncompiled(model), taps:
        bar = tqdm(
            shared_batches(batches, problem_type),
            total=rounds(batches, process.num_processes),
            desc="Scoring neurons",
            unit="batch",
            disable=not (progress and process.is_main_process),
        )
        for step, (number, inputs, labels, copies) in enumerate(bar):
            check_batch_labels(labels, num_classes, problem_type, partial(rows_of, batches, number))
            inputs = to_device(inputs, model)
            taps.begin(inputs.get("attention_mask"))
            run(model, inputs)
            # At the same step on every process: they wait for each other here and, if sharded, in forward passes.
            if not statistics and step * process.num_processes >= calibration_batches:
                statistics = calibrate(waiting, calibration_batches, num_classes, problem_type)
            if number is None:
                continue
            activations = taps.activations()
            if observe:
                observe(number, labels)
            if statistics:
                for name, values in activations.items():
                    statistics[name].update(values, labels, copies)
            else:
                waiting.append((number, activations, labels, copies))
        if not statistics:
            statistics = calibrate(waiting, calibration_batches, num_classes, problem_type)

    bytes_reduced = all_reduce(list(statistics.values())) if process.num_processes > 1 else 0
    results = {}
    for name, layer in statistics.items():
        try:
            results[name] = layer.mutual_information()
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    num_ignored = next(iter(statistics.values())).num_ignored
    seconds = time.perf_counter() - started
    return NeuronScores(results, num_classes, num_ignored, seconds, problem_type, bytes_reduced)


Waiting = tuple[int, dict[str, torch.Tensor], torch.Tensor, Copies]
"""A batch seen before the bins were placed: its number, activations by layer, labels, copies of earlier rows."""


STATISTICS = {
    "single_label_classification": NeuronStatistics,
    "multi_label_classification": MultiLabelStatistics,
    "regression": RegressionStatistics,
}


def calibrate(
    waiting: list[Waiting], num_batches: int, num_classes: int, problem_type: str
) -> dict[str, NeuronStatistics]:
    """
    Statistics by layer, with bins placed on the first `num_batches` batches of all processes, and those `waiting` in
    this process counted.
    """
    process = PartialState()
    everyones = gather_numbered([entry for entry in waiting if entry[0] < num_batches])
    if not everyones:
        raise ValueError("The dataset to score gave no rows: needs labelled rows of 2 classes at least.")
    labels = torch.cat([labels.cpu() for _, _, labels, _ in everyones])
    statistics = {}
    for name in everyones[0][1]:
        # One process counts where the model is, which need not be its GPU; several add up on their devices.
        device = process.device if process.num_processes > 1 else everyones[0][1][name].device
        values = torch.cat([activations[name] for _, activations, *_ in everyones]).to(device)
        statistics[name] = STATISTICS[problem_type](values.shape[1], num_classes, device=values.device)
        statistics[name].calibrate(values, labels)
        for _, activations, labels_of_batch, copies in waiting:
            statistics[name].update(activations[name], labels_of_batch, copies)
    return statistics
