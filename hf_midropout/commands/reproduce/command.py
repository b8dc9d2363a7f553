"""`hf-midropout reproduce`: the paper's comparison of regularizers, every method at the same budget."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...utils import interruption
from ..options.parser import command_parser
from .arguments import GROUPS, ReproduceArguments
from .checks import check_arguments, check_finished, short_name
from .folder import check_output_folder, study_folder


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData
    from ...study.plan import Run, Suite
    from ...study.sources import Source


NAMED = 5
"""Failed runs that a message names."""


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
            something else, is in use, or has runs made with other options, before anything is trained; at the end,
            if runs failed.
        `OSError`: for a model or dataset that cannot be read.
    """
    from ...study.methods import KINDS, METHODS
    from ...study.plan import SUITES

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
    loaded = _load_datasets(args.dataset or suite.datasets, suite)

    from ...study.encoder import load_encoder

    tokenizer, model = load_encoder(args.model_name_or_path, new_head=suite.fine_tuned)
    interruption.check()
    with study_folder(folder, suite.fine_tuned):
        methods = args.method or suite.methods or list(METHODS)
        sources, expected = _sources(args, suite, folder, methods, loaded, tokenizer, model)
        del loaded, tokenizer, model  # runs read what they need
        print(f"{len(expected)} runs: {len(methods)} methods, {len(sources)} datasets, {len(suite.sizes)} sizes.")
        _run(args, suite, folder, sources, expected)


def _load_datasets(names: Sequence[str], suite: Suite) -> dict[str, TextClassificationData]:
    """All that is wrong with one is said before the first forward pass."""
    from ...data.datasets import load_text_classification
    from ...study.features import check_splits

    loaded = {name: load_text_classification(name, max_eval_samples=suite.max_test_samples) for name in names}
    for data in loaded.values():
        check_splits(data)
        for size in suite.sizes:
            suite.schedule(size, len(data.splits["train"]))
    return loaded


def _sources(
    args: ReproduceArguments, suite: Suite, folder: Path, methods: Sequence[str], loaded, tokenizer, model
) -> tuple[dict[str, Source], dict[Run, dict[str, Any]]]:
    """
    What runs are made from, by the dataset's name, and the fingerprint of each run; the features of a frozen encoder
    are made if they are not there.
    """
    from ...study.features import digest_of, encode, feature_file
    from ...study.plan import fingerprints, plan
    from ...study.sources import FineTunedEncoder, FrozenEncoder

    sources: dict[str, Source] = {}
    digests = {name: digest_of(model, data, suite.max_length) for name, data in loaded.items()}
    for name, digest in digests.items():
        if suite.fine_tuned:
            sources[short_name(name)] = FineTunedEncoder(
                args.model_name_or_path, name, suite.max_length, suite.max_test_samples, digest, folder / "trainings"
            )
        else:
            sources[short_name(name)] = FrozenEncoder(feature_file(folder / "features", digest))
    keys = {name: source.key for name, source in sources.items()}
    expected = fingerprints(plan(list(sources), suite.sizes, methods), suite, keys)
    check_finished(folder, expected)
    for name, data in loaded.items() if not suite.fine_tuned else ():
        encode(model, tokenizer, data, suite.max_length, folder / "features", digest=digests[name])
    return sources, expected


def _run(
    args: ReproduceArguments,
    suite: Suite,
    folder: Path,
    sources: dict[str, Source],
    expected: dict[Run, dict[str, Any]],
) -> None:
    """Makes the runs that are not there, then tables, figures and page of all that are."""
    from ...study.results import finished
    from ...study.running import run_all

    runs = list(expected)
    made = run_all(runs, suite, folder, sources, args.workers or _workers(suite))
    failed = {run: reason for run, reason in made.items() if reason}
    results = list(finished(folder, expected))
    page = _write(results, suite, short_name(args.model_name_or_path), folder, failed) if results else None
    if failed:
        raise ValueError(_told(failed, len(runs), page))
    print(f"{len(made)} runs made, {len(runs) - len(made)} were there. The page: {page}")


def _write(
    results: list[tuple[Run, dict[str, Any]]], suite: Suite, encoder: str, folder: Path, failed: dict[Run, str]
) -> Path:
    from ...study.figures import draw_figures
    from ...study.page import write_page
    from ...study.tables import write_tables

    table = write_tables(results, folder)
    drawn = draw_figures(results, folder / "figures")
    return write_page(results, table, suite, encoder, folder, drawn, failed)


def _told(failed: dict[Run, str], runs: int, page: Path | None) -> str:
    """Which runs failed, where the others are, and why the first of them failed."""
    named = [str(run) for run in failed][:NAMED]
    if len(failed) > NAMED:
        named.append(f"and {len(failed) - NAMED} more")
    others = f" The page of the others: {page}." if page else ""
    reason = next(iter(failed.values()))
    return f"{len(failed)} of {runs} runs failed ({'; '.join(named)}).{others} The first failed with: {reason}"


def _workers(suite: Suite) -> int:
    """One for each core; for fine-tuning on a GPU, one."""
    import torch

    return 1 if suite.fine_tuned and torch.accelerator.is_available() else os.cpu_count() or 1
