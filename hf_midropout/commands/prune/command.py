"""`hf-midropout prune`: a fine-tuned classifier with fewer neurons in its encoder, in one shot, without training."""

from __future__ import annotations

import time
from dataclasses import replace

from ...utils.narration import tell
from ...utils.terminal import one_line
from ..checkpoint.checks import (
    check_label_names,
    check_problem_type,
    config_of,
    find_checkpoint,
    skeleton_of,
    tokens_to_cut_to,
)
from ..checkpoint.classifier import load
from ..options.data import load_data
from ..options.parser import command_parser
from ..output.narrating import narrate
from .arguments import GROUPS, PruneArguments
from .checks import check_arguments, check_checkpoint, num_neurons, output_folder
from .finish import finish, neurons_at_first, remove_what_a_kill_left
from .networks import prune_and_compare
from .rows import draw_rows
from .smaller import check_fits, check_layers_option, check_vocabulary_option, dtype_to_save
from .speed import check_latency_tokens, search_as_asked


POSITIONAL = ("checkpoint",)


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        PruneArguments,
        "prune",
        "Removes the feed-forward neurons of a fine-tuned classifier's encoder that carry the least information about "
        "its prediction, and refits the weights that read the others. Nothing is trained. What it saves loads with "
        "transformers' own classes, and has a report, figures and a model card with it.",
        GROUPS,
        positional=POSITIONAL,
        from_files=True,
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
    args = replace(args, output_dir=str(output_folder(args.output_dir)))
    narrate(args)
    started = time.perf_counter()
    checkpoint = find_checkpoint(args.checkpoint, args.trust_remote_code)
    config = config_of(checkpoint, args.trust_remote_code)
    check_problem_type(args.checkpoint, config)
    skeleton = skeleton_of(config, args.trust_remote_code)
    check_checkpoint(args.checkpoint, skeleton, args.fraction, args.scope)
    check_layers_option(args, skeleton)
    max_length = tokens_to_cut_to(args.max_length, skeleton, checkpoint)
    check_latency_tokens(args, skeleton)
    at_first = neurons_at_first(checkpoint, num_neurons(skeleton))
    data = load_data(args)
    check_label_names(config.id2label, data.label_names)
    # Before tokenizing all rows of a large dataset, which takes longer than the pruning.
    splits = draw_rows(args, data)
    tell(f"Loading {one_line(args.checkpoint)}")
    tokenizer, model = load(checkpoint, args.trust_remote_code)
    model.eval()
    if args.label_names is not None:  # of a model that has none, or has the same
        model.config.id2label = dict(enumerate(data.label_names))
        model.config.label2id = {name: number for number, name in enumerate(data.label_names)}
    check_vocabulary_option(args, model, tokenizer)
    check_fits(model, dtype := dtype_to_save(args, config))
    remove_what_a_kill_left(args.output_dir)
    search = search_as_asked(args, model, max_length)
    outcome = prune_and_compare(args, model, tokenizer, data, splits, max_length, search)
    outcome.seconds["total"] = time.perf_counter() - started
    finish(args, checkpoint, data, outcome, dtype, at_first)
