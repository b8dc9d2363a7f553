"""The end of `hf-midropout train`: the compact model, proved equal, tested, and saved with its report."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from ..training.output_folder import OutputFolder
from ..training.run_record import COMPACT
from .train_arguments import TrainArguments
from .train_summary import print_summary


def finish(
    args: TrainArguments,
    model_source: str,
    output: OutputFolder,
    data,
    tokenized,
    trainer,
    record,
    seconds: dict[str, float],
) -> Path:
    """
    Compacts the trained model, proves it equal, tests it, and saves it with its report and figures. To be called on
    every process; the main one saves.

    Returns:
        `Path`: the folder of the compact checkpoint.
    """
    from transformers.utils import logging as transformers_logging

    from ..groups.sharding import full_module
    from ..pruning.apply import verify_compaction
    from ..pruning.head_evaluation import collect_head_inputs
    from ..reporting.figures import draw_figures
    from ..reporting.model_card import write_card
    from ..reporting.parts import MADE_HERE, REPORT_NAME, training_log
    from ..reporting.report import build_report
    from ..scoring.inference import batches_for
    from ..utils.files import new_folder, write_json

    started = time.perf_counter()
    tokenizer = trainer.processing_class
    # Mixed precision wraps the forward pass: to be compared in float32, the model is taken out of it.
    masked = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    masked = full_module(masked, masked.config)
    compact = masked.compact()
    split = "test" if "test" in tokenized else "validation"
    batches = batches_for(compact, tokenized[split], args.per_device_eval_batch_size, processing_class=tokenizer)
    difference = verify_compaction(masked, compact, batches)
    test = {"split": split, "rows": len(tokenized[split])}
    inputs = collect_head_inputs(compact, batches)
    test |= inputs.metrics(compact.classifier)
    test["calibration"] = inputs.reliability(compact.classifier)

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
        seconds,
    )
    report["training_log"] = training_log(trainer.state.log_history)
    transformers_logging.disable_progress_bar()
    former = output.place_for_former()
    output.writes(COMPACT)
    with new_folder(folder, former) as saving:
        compact.save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        write_json(saving / REPORT_NAME, report)
        figures = draw_figures(record, trainer.state.log_history, saving / "figures")
        write_card(saving, name=str(folder))
    output.finish()
    print_summary(report, folder, [f"{figure.parent.name}/{figure.name}" for figure in figures])
    if output.kept:
        print(f"Kept, as no run wrote them: {', '.join(output.kept[:10])}.")
    return folder
