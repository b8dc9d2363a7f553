"""The end of `hf-midropout train`: the compact model, proved equal, tested, and saved with its report."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from ...training.output_folder import OutputFolder
from ...utils.narration import tell
from ...utils.report_names import COMPACT
from .arguments import TrainArguments
from .dense import predictions_of
from .summary import print_summary


def finish(
    args: TrainArguments,
    model_source: str,
    output: OutputFolder,
    data,
    tokenized,
    trainer,
    record,
    seconds: dict[str, float],
    dense=None,
    command: str = "",
) -> Path:
    """
    Compacts the trained model, proves it equal, tests it, and saves it with its report and figures. To be called on
    every process; the main one saves.

    Args:
        dense ([`Dense`], *optional*): The network of the same training without pruning.
        command (`str`, *optional*): The command line, as it may be published.

    Returns:
        `Path`: the folder of the compact checkpoint.
    """
    from transformers.utils import logging as transformers_logging

    from ...groups.sharding import full_module
    from ...pruning.head.apply import verify_compaction
    from ...pruning.speed.latency import measure_latency
    from ...reporting.building import build_report, num_parameters, tested
    from ...reporting.drawing import draw_figures
    from ...reporting.examples import answers, example_texts
    from ...reporting.model_card import write_card
    from ...reporting.parts import MADE_HERE, training_log
    from ...reporting.report import Beside
    from ...scoring.batches import batches_for
    from ...utils.files import new_folder

    started = time.perf_counter()
    tokenizer = trainer.processing_class
    # Mixed precision wraps the forward pass: to be compared in float32, the model is taken out of it.
    masked = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    masked = full_module(masked, masked.config)
    compact = masked.compact()
    split = "test" if "test" in tokenized else "validation"
    batches = batches_for(compact, tokenized[split], args.per_device_eval_batch_size, processing_class=tokenizer)
    difference = verify_compaction(masked, compact, batches)
    found = predictions_of(compact, batches)
    test = tested(split, len(found.labels), found.metrics(), found.calibration())
    tell(f"Compact model: {num_parameters(compact):,} parameters, logits equal within {difference:.1e}")
    beside, dense_test = Beside(largest_class=found.largest_class()), None
    if dense is not None:
        of_dense = predictions_of(dense.model, batches)
        dense_test = tested(split, len(of_dense.labels), of_dense.metrics(), of_dense.calibration())
        beside.to_dense = found.less(of_dense, of_dense).accuracy
        beside.shared_steps = dense.shared_steps
        if trainer.is_world_process_zero():
            beside.latency = measure_latency(dense.model, compact, tokens=tokens_timed(args, compact))

    folder = output.path / COMPACT
    if not trainer.is_world_process_zero():
        return folder
    seconds["finishing"] = time.perf_counter() - started
    seconds["total"] = sum(seconds.values())
    report = build_report(
        record,
        data,
        args.model or MADE_HERE,
        model_source,
        masked,
        compact,
        difference,
        test,
        asdict(args),
        training_log(trainer.state.log_history),
        seconds,
    )
    report.beside, report.dense_test, report.command = beside, dense_test, command
    report.data.max_length = args.max_length
    report.examples = answers(compact, tokenizer, example_texts(data.name, data.paired))
    report.language = args.language or (["en"] if data.source == "builtin" else [])
    transformers_logging.disable_progress_bar()
    former = output.place_for_former()
    output.writes(COMPACT)
    with new_folder(folder, former) as saving:
        compact.save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        report.save(saving)
        figures = draw_figures(report, saving / "figures")
        write_card(saving, name=str(folder))
    output.finish()
    print_summary(report, folder, [f"{figure.parent.name}/{figure.name}" for figure in figures])
    if output.kept:
        tell(f"Kept, as no run wrote them: {', '.join(output.kept[:10])}.")
    return folder


def tokens_timed(args: TrainArguments, model) -> int:
    """Of the rows of a pass that is timed: as many as texts are cut to."""
    from ...model_types import position_limit

    limit = position_limit(model.config.to_dict())
    return min(args.max_length or 128, limit or args.max_length or 128)
