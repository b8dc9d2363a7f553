"""The end of `hf-midropout prune`: what was made is saved with its report, figures and card, and told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...utils.narration import tell
from ...utils.terminal import one_line
from ..checkpoint.classifier import bytes_of_weights
from .arguments import PruneArguments
from .command_line import command_line
from .smaller import check_fits
from .summary import print_end


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData
    from ...pruning.comparison.predictions import Predictions
    from ...pruning.encoder.one_shot import EncoderPruning
    from ...pruning.layers.dropping import LayerDropping
    from ...pruning.record.encoder_schema import Measured
    from ...pruning.record.latency_schema import Latency
    from ...pruning.record.schema import Sweep
    from ...pruning.vocabulary.trimming import VocabularyTrimming


@dataclass
class Outcome:
    """
    What came of a pruning.

    Args:
        parameters_before (`int`): Of the network before.
        network (`PreTrainedModel`): After.
        tokenizer (`PreTrainedTokenizerBase`): To save with it.
        pruned ([`EncoderPruning`]): What happened to the neurons.
        predictions (`dict[str, Predictions]`): Of the network before, and of those pruned by each criterion.
        measured ([`Measured`]): The rows that neurons were measured on.
        split (`str`): Of the rows of the predictions.
        max_length (`int`): Tokens that texts were cut to.
        seconds (`dict[str, float]`): Wall time by phase.
        sweep ([`Sweep`], *optional*): The search of the width.
        dropping ([`LayerDropping`], *optional*): What happened to layers before.
        trimming ([`VocabularyTrimming`], *optional*): What happened to the vocabulary after.
        latency ([`Latency`], *optional*): Time of the network before and after.
    """

    parameters_before: int
    network: Any
    tokenizer: Any
    pruned: EncoderPruning
    predictions: dict[str, Predictions]
    measured: Measured
    split: str
    max_length: int
    seconds: dict[str, float]
    sweep: Sweep | None = None
    dropping: LayerDropping | None = None
    trimming: VocabularyTrimming | None = None
    latency: Latency | None = None


def neurons_at_first(checkpoint: Path, neurons: int) -> int | None:
    """
    Neurons that the encoder had before this package pruned it; `None` if no report in the folder says that it did, or
    one says that it had fewer than the `neurons` it has.

    Raises:
        `ValueError`: for a report that is none of this package.
    """
    from ...reporting.report import Report

    report = Report.load(checkpoint, arrays=False)
    if report is None or report.encoder is None:
        return None
    at_first = report.encoder.neurons_at_first or report.encoder.neurons
    return at_first if at_first >= neurons else None


def remove_what_a_kill_left(output_dir: str) -> None:
    """
    Removes what earlier runs into `output_dir` that were killed left beside it; prints the path of anything there that
    no run writes, which stays.
    """
    from ...training.run_record import remove_written
    from ...utils.files import clean_up

    path = Path(output_dir).absolute()

    def remove(folder: Path) -> None:
        for name in remove_written(folder):
            tell(f"Left where it is, as no run wrote it: {one_line(folder.parent / name, 500)}")

    clean_up(path.parent, (path.name,), remove)


def finish(
    args: PruneArguments,
    checkpoint: Path,
    data: TextClassificationData,
    outcome: Outcome,
    dtype,
    at_first: int | None,
) -> None:
    """Saves the smaller classifier, in `dtype`, with tokenizer, report, figures and card; prints what came of it."""
    from ...reporting.building import num_parameters, source_of
    from ...reporting.drawing import draw_figures
    from ...reporting.encoder_building import build_encoder_report
    from ...reporting.examples import answers, example_texts
    from ...reporting.model_card import write_card
    from ...reporting.report import Model
    from ...utils.files import new_folder

    source = source_of(args.checkpoint)
    check_fits(outcome.network, dtype)
    with new_folder(args.output_dir) as saving:
        outcome.network.to(dtype).save_pretrained(saving)
        outcome.tokenizer.save_pretrained(saving)
        model = Model(
            base_model=args.checkpoint,
            base_model_source=source,
            parameters_before=outcome.parameters_before,
            parameters_after=num_parameters(outcome.network),
            bytes_before=bytes_of_weights(checkpoint),
            bytes_after=bytes_of_weights(saving),
        )
        report = build_encoder_report(
            model,
            data,
            args.criterion,
            outcome.pruned,
            outcome.predictions,
            outcome.measured,
            outcome.split,
            outcome.seconds,
            command_line(args, source, data.source),
            at_first,
            sweep=outcome.sweep,
            dropping=outcome.dropping,
            trimming=outcome.trimming,
            latency=outcome.latency,
        )
        report.data.max_length = outcome.max_length
        texts = example_texts(data.name, data.paired)
        report.examples = answers(outcome.network, outcome.tokenizer, texts)
        report.language = args.language or (["en"] if data.source == "builtin" else [])
        report.save(saving)
        draw_figures(report, saving / "figures")
        write_card(saving, name=args.output_dir)
    print_end(report, args.output_dir)
