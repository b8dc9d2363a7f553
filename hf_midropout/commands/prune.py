"""`hf-midropout prune`: a fine-tuned classifier with fewer neurons in its encoder, in one shot, without training."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .data_arguments import DataArguments, load_data, option
from .option_names import options_named
from .parser import command_parser
from .prune_checks import check_arguments, check_checkpoint
from .score_checks import check_label_names, find_checkpoint, skeleton_of, tokens_to_cut_to


POSITIONAL = ("checkpoint",)
REPORT = "midropout_pruning.json"


@dataclass(kw_only=True)
class PruneArguments(DataArguments):
    """Options of `hf-midropout prune`; each field is `--field`."""

    checkpoint: str = field(
        metadata={"help": "The fine-tuned classifier: a local folder or a Hub id. The option's name may be left out."}
    )
    output_dir: str = field(metadata={"help": "Folder for the smaller classifier: a new or an empty one."})
    keep: float = option(0.25, "Fraction of each layer's feed-forward neurons to keep, in (0, 1).")
    criterion: str = option(
        "prediction_information",
        "What makes a neuron important: prediction_information (bits about the prediction that only it carries), "
        "prediction_variance, brain_surgeon, mask_fisher, mutual_information, joint_information, magnitude, "
        "activation, taylor or random.",
    )
    split: str = option("train", "Split to measure and reconstruct on. Labels play no part in prediction_information.")
    max_samples: int = option(2048, "Rows of it to use, drawn at random.")
    compare: bool = option(True, "Also prune by magnitude, activation and random neurons, to compare with.")
    max_length: int | None = option(
        None, "Tokens to cut texts to. None: 128, or as many as the model takes if that is less."
    )
    batch_size: int = option(32, "Rows per batch.")
    seed: int = option(0, "Seed of the draws.")
    trust_remote_code: bool = option(
        False, "Run code that comes with the checkpoint, should its model be neither in transformers nor here."
    )


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        PruneArguments,
        "prune",
        "Removes the feed-forward neurons of a fine-tuned classifier's encoder that carry the least information about "
        "its prediction, and refits the weights that read the others. Nothing is trained. What it saves loads with "
        "transformers' own classes.",
    )


def main(args: PruneArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for options or data that do not fit the checkpoint, or a checkpoint that is refused, before
            anything is measured.
        `OSError`: for a checkpoint or dataset that cannot be read, or a folder that cannot be written.
    """
    check_arguments(args)
    checkpoint = find_checkpoint(args.checkpoint, args.trust_remote_code)

    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    from ..pruning.encoder import measure_encoder, prune_encoder
    from ..scoring.inference import batches_for
    from ..utils.files import new_folder, write_json

    config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=args.trust_remote_code)
    skeleton = skeleton_of(config, args.trust_remote_code)
    check_checkpoint(args.checkpoint, skeleton)
    max_length = tokens_to_cut_to(args.max_length, skeleton)
    data = load_data(args)
    check_label_names(config.id2label, data.label_names)
    if args.split not in data.splits:
        raise ValueError(f"--split {args.split}: the data has {', '.join(data.splits)} only.")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=args.trust_remote_code)
    transformers_logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, trust_remote_code=args.trust_remote_code, dtype=torch.float32
    ).eval()
    held_out = "test" if "test" in data.splits else "validation"
    rows = data.tokenize(tokenizer, max_length, list(dict.fromkeys([args.split, held_out])))
    with options_named(type(args)):
        batches = batches_for(
            model, rows[args.split], args.batch_size, processing_class=tokenizer, max_samples=args.max_samples,
            seed=args.seed,
        )  # fmt: skip
    test = batches_for(model, rows[held_out], args.batch_size, processing_class=tokenizer)
    print(f"Data: {data.name}; {min(args.max_samples, len(rows[args.split])):,} {args.split} rows to measure with, "
          f"{len(rows[held_out]):,} {held_out} rows to compare on.", flush=True)  # fmt: skip

    started = time.perf_counter()
    evidence = measure_encoder(model, batches, args.seed)
    print(f"Measured {len(evidence.groups)} layers in {time.perf_counter() - started:.0f} s.", flush=True)
    others = [name for name in ("activation", "magnitude", "random") if args.compare and name != args.criterion]
    results: dict[str, dict[str, Any]] = {"dense": evaluate(model, test)}
    for name in [args.criterion, *others]:
        narrow = copy.deepcopy(model)
        result = prune_encoder(narrow, batches, args.keep, name, args.seed, evidence)
        results[name] = evaluate(narrow, test, results["dense"])
        if name == args.criterion:
            pruned, done = narrow, result
    sizes = {"dense": num_parameters(model), "pruned": num_parameters(pruned)}
    kept, units = next(iter(done.selection.widths.values()))
    report = {
        "checkpoint": args.checkpoint,
        "criterion": args.criterion,
        "keep": args.keep,
        "layers": {name: {"units": width, "kept": left} for name, (left, width) in done.selection.widths.items()},
        "unexplained": done.unexplained,
        "parameters": sizes,
        "split": held_out,
        "rows": len(rows[held_out]),
        "results": {
            name: {key: value for key, value in result.items() if key != "logits"} for name, result in results.items()
        },
        "seconds": done.seconds,
    }
    with new_folder(args.output_dir) as saving:
        pruned.save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        write_json(saving / REPORT, report)
    print_results(args, results, kept, units, len(evidence.groups), sizes)


def num_parameters(model) -> int:
    """Numbers in the weights of `model`."""
    return sum(parameter.numel() for parameter in model.parameters())


def evaluate(model, batches, dense: dict[str, Any] | None = None) -> dict[str, Any]:
    """Logits and accuracy of `model`, and the bits by which its prediction differs from that of the `dense` one."""
    import torch

    from ..pruning.encoder import bits_lost
    from ..scoring.inference import frozen_inference, split_labels, to_device

    logits, labels = [], []
    with frozen_inference(model):
        for _, batch in batches.of_process(0, 1):
            inputs, truth = split_labels(batch, batches.label_names)
            logits.append(model(**to_device(inputs, model)).logits.float().cpu())
            labels.append(truth)
    result: dict[str, Any] = {"logits": torch.cat(logits)}
    right = (result["logits"].argmax(-1) == torch.cat(labels)).double()
    result["accuracy"] = float(right.mean())
    if dense is not None:
        result["bits_lost"], result["bits_lost_stderr"] = bits_lost(dense["logits"], result["logits"])
    return result


def print_results(
    args: PruneArguments, results: dict[str, dict[str, Any]], kept: int, units: int, layers: int, sizes: dict[str, int]
) -> None:
    """The end of the run, for a person."""
    print(f"\n{kept:,} of {units:,} neurons in each of {layers} layers, chosen by{'accuracy':>12}{'bits lost':>20}")
    for name, result in results.items():
        lost = f"{result['bits_lost']:.4f} ± {result['bits_lost_stderr']:.4f}" if "bits_lost" in result else ""
        mark = " (saved)" if name == args.criterion else ""
        print(f"  {name + mark:<40}{result['accuracy']:>12.4f}{lost:>22}")
    print(
        f"\nParameters: {sizes['dense']:,} -> {sizes['pruned']:,}."
        f"\nSaved in {Path(args.output_dir)}; it loads with AutoModelForSequenceClassification.from_pretrained."
    )
