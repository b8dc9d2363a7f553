"""`hf-midropout reproduce`: the paper's comparison of regularizers, every method at the same budget."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...utils.files import write_text
from ..options.parser import command_parser
from .arguments import GROUPS, ReproduceArguments
from .checks import MARK, check_arguments, check_output_folder, mark


if TYPE_CHECKING:
    from ...study.sources import Source


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        ReproduceArguments,
        "reproduce",
        "Compares MI-Dropout with other regularizers, as the paper does, on what a frozen encoder gives or with the "
        "whole classifier fine-tuned: every method at the same budget, with paired differences. It may be stopped at "
        "any moment; started again, it goes on.",
        GROUPS,
    )


def main(args: ReproduceArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for options that do not fit, datasets without a test split, or an output folder that holds
            something else, before anything is trained.
        `OSError`: for a model or dataset that cannot be read.
    """
    from ...study.methods import KINDS, METHODS
    from ...study.plan import SUITES, finished, plan

    if args.list_methods:
        for name, suite in SUITES.items():
            encoder = "fine-tuned" if suite.fine_tuned else "frozen"
            sizes = ", ".join(str(size or "all") for size in suite.sizes)
            print(f"suite {name}: {encoder} encoder, {suite.seeds} seeds, sizes {sizes}")
        for name, method in METHODS.items():
            print(f"  {name:<24}{method.label} ({KINDS[method.kind]})")
        return
    check_arguments(args)
    suite = SUITES[args.suite]
    suite = replace(
        suite,
        seeds=args.seeds or suite.seeds,
        tuning_seeds=suite.tuning_seeds if args.tuning_seeds is None else args.tuning_seeds,
        max_length=args.max_length or suite.max_length,
        sizes=tuple(args.size) if args.size is not None else suite.sizes,
    )
    folder = Path(args.output_dir)
    check_output_folder(folder, suite.fine_tuned)
    methods = args.method or suite.methods or list(METHODS)
    sources = _sources(args, suite, folder)
    runs = plan(list(sources), suite.sizes, methods)
    print(f"{len(runs)} runs: {len(methods)} methods, {len(sources)} datasets, {len(suite.sizes)} sizes.")

    from ...study.figures import draw_figures
    from ...study.page import write_page
    from ...study.running import run_all
    from ...study.tables import write_tables

    made = run_all(runs, suite, folder, sources, args.workers or _workers(suite))
    results = list(finished(folder, runs))
    table = write_tables(results, folder)
    draw_figures(results, folder / "figures")
    page = write_page(results, table, suite, Path(args.model_name_or_path).name, folder, len(runs) - len(results))
    print(f"{made} runs made, {len(runs) - made} were there. The page: {page}")


def _workers(suite) -> int:
    """One for each core; for fine-tuning on a GPU, one."""
    import torch

    return 1 if suite.fine_tuned and torch.accelerator.is_available() else os.cpu_count() or 1


def _sources(args: ReproduceArguments, suite, folder: Path) -> dict[str, Source]:
    """By the dataset's name; the features of a frozen encoder are made if they are not there."""
    from ...data.datasets import load_text_classification
    from ...study.encoder import load_encoder
    from ...study.features import check_splits, digest_of, encode
    from ...study.sources import FineTunedEncoder, FrozenEncoder

    names = args.dataset or list(suite.datasets)
    loaded = [(name, load_text_classification(name, max_eval_samples=suite.max_test_samples)) for name in names]
    for _, data in loaded:  # all of it before the first forward pass
        check_splits(data)
        for size in suite.sizes:
            suite.schedule(size, len(data.splits["train"]))
    encoder = args.model_name_or_path
    tokenizer, model = load_encoder(encoder, new_head=suite.fine_tuned)
    write_text(folder / MARK, mark(suite.fine_tuned))
    sources: dict[str, Source] = {}
    for name, data in loaded:
        if suite.fine_tuned:
            digest = digest_of(model, data, suite.max_length)
            sources[Path(name).name] = FineTunedEncoder(
                encoder, name, suite.max_length, suite.max_test_samples, digest, folder / "trainings"
            )
        else:
            sources[Path(name).name] = FrozenEncoder(
                encode(model, tokenizer, data, suite.max_length, folder / "features")
            )
    return sources
