"""`hf-midropout prune`: a fine-tuned classifier with fewer neurons in its encoder, in one shot, without training."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .classifier_checks import check_label_names, find_checkpoint, skeleton_of, tokens_to_cut_to
from .data_arguments import load_data
from .option_names import options_named
from .parser import command_parser
from .prune_arguments import PruneArguments
from .prune_checks import check_arguments, check_checkpoint, check_problem_type
from .prune_smaller import (
    check_layers_option,
    check_vocabulary_option,
    drop_layers_as_asked,
    dtype_to_save,
    trim_as_asked,
)


POSITIONAL = ("checkpoint",)
REPORT = "midropout_pruning.json"


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
    from transformers import AutoConfig
    from transformers.utils import logging as transformers_logging

    from ..checkpoints.loading import load_checked_model, load_checked_tokenizer, loading
    from ..pruning.encoder import measure_encoder, prune_encoder
    from ..reporting.building import num_parameters
    from ..scoring.inference import batches_for
    from ..utils.files import new_folder, write_json

    with loading(checkpoint):
        config = AutoConfig.from_pretrained(checkpoint, trust_remote_code=args.trust_remote_code)
    check_problem_type(args.checkpoint, config)
    skeleton = skeleton_of(config, args.trust_remote_code)
    check_checkpoint(args.checkpoint, skeleton)
    check_layers_option(args, skeleton)
    max_length = tokens_to_cut_to(args.max_length, skeleton)
    data = load_data(args)
    check_label_names(config.id2label, data.label_names)
    if args.split not in data.splits:
        raise ValueError(f"--split {args.split}: the data has {', '.join(data.splits)} only.")
    tokenizer = load_checked_tokenizer(checkpoint, trust_remote_code=args.trust_remote_code)
    transformers_logging.disable_progress_bar()
    model = load_checked_model(checkpoint, trust_remote_code=args.trust_remote_code, dtype=torch.float32).eval()
    check_vocabulary_option(args, model, tokenizer)
    held_out = "test" if "test" in data.splits else "validation"
    rows = data.tokenize(tokenizer, max_length, list(dict.fromkeys([args.split, held_out])))
    with options_named(type(args)):
        batches = batches_for(
            model, rows[args.split], args.batch_size, processing_class=tokenizer, max_samples=args.max_samples,
            seed=args.seed,
        )  # fmt: skip
    test = batches_for(
        model, rows[held_out], args.batch_size, processing_class=tokenizer, max_samples=args.max_eval_samples,
        seed=args.seed,
    )  # fmt: skip
    compared = min(args.max_eval_samples, len(rows[held_out]))
    print(f"Data: {data.name}; {min(args.max_samples, len(rows[args.split])):,} {args.split} rows to measure with, "
          f"{compared:,} {held_out} rows to compare on.", flush=True)  # fmt: skip

    results: dict[str, dict[str, Any]] = {"dense": evaluate(model, test)}
    sizes = {"dense": num_parameters(model)}
    dropping = drop_layers_as_asked(args, model, batches)
    started = time.perf_counter()
    evidence = measure_encoder(model, batches, args.seed, [args.criterion])
    print(f"Measured {len(evidence.groups)} layers in {time.perf_counter() - started:.0f} s.", flush=True)
    others = [name for name in ("std_times_norm", "magnitude", "random") if args.compare and name != args.criterion]
    for name in [args.criterion, *others]:
        narrow = copy.deepcopy(model)
        result = prune_encoder(narrow, batches, args.keep, name, args.seed, evidence)
        results[name] = evaluate(narrow, test, results["dense"])
        if name == args.criterion:
            pruned, done = narrow, result
    tokenizer, trimming = trim_as_asked(args, pruned, tokenizer, data, held_out)
    if trimming is not None:  # on the same rows, in the tokens that they have now
        retokenized = data.tokenize(tokenizer, max_length, [held_out])[held_out]
        test = batches_for(
            pruned, retokenized, args.batch_size, processing_class=tokenizer, max_samples=args.max_eval_samples,
            seed=args.seed,
        )  # fmt: skip
        results["trimmed_vocabulary"] = evaluate(pruned, test, results["dense"])
    sizes["pruned"] = num_parameters(pruned)
    kept, units = next(iter(done.selection.widths.values()))
    report = {
        "checkpoint": args.checkpoint,
        "criterion": args.criterion,
        "keep": args.keep,
        "layers": {name: {"units": width, "kept": left} for name, (left, width) in done.selection.widths.items()},
        "unexplained": done.unexplained,
        **({"dropped_layers": asdict(dropping)} if dropping else {}),
        **({"vocabulary": asdict(trimming)} if trimming else {}),
        "parameters": sizes,
        "split": held_out,
        "rows": compared,
        "results": {
            name: {key: value for key, value in result.items() if key != "logits"} for name, result in results.items()
        },
        "seconds": done.seconds,
    }
    with new_folder(args.output_dir) as saving:
        pruned.to(dtype_to_save(args, config)).save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        write_json(saving / REPORT, report)
    print_results(args, results, kept, units, len(evidence.groups), sizes)


def evaluate(model, batches, dense: dict[str, Any] | None = None) -> dict[str, Any]:
    """Logits and accuracy of `model`, and the bits by which its prediction differs from that of the `dense` one."""
    import torch

    from ..pruning.encoder import bits_lost
    from ..scoring.inference import frozen_inference
    from ..scoring.passes import forward_passes

    logits, labels = [], []
    with frozen_inference(model):
        for each in forward_passes(model, batches):
            logits.append(each.outputs.logits.float().cpu())
            labels.append(each.labels)
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
