"""The end of a `hf-midropout prune`, for a person."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...reporting.report import Report
from ...utils.narration import is_quiet, write
from ...utils.terminal import folded, one_line


def print_end(report: Report, folder: str) -> None:
    """The end of the run, for a person, in 80 columns; with `--quiet` the verdict only."""
    from ...reporting.parts import in_order
    from ...reporting.verdict import plus_minus, verdict

    encoder, test, dense = report.encoder, report.test, report.dense_test
    assert encoder is not None and test is not None and dense is not None  # of a run that is finished
    if not is_quiet():
        layers = f"{len(encoder.groups)} layer{'s' * (len(encoder.groups) > 1)}"
        heading = f"{encoder.kept:,} of {encoder.neurons:,} neurons in {layers}, chosen by"
        rows = {f"{encoder.criterion} (saved)": (test.accuracy, encoder.to_dense.bits)} | {
            name: (encoder.controls[name].accuracy, encoder.controls[name].to_dense.bits)
            for name in in_order(encoder.controls, encoder.criterion)
        }
        write(f"\n{heading:<50}{'accuracy':>10}{'bits lost':>19}")
        write(f"  {'dense':<48}{dense.accuracy:>10.4f}")
        for name, (accuracy, bits) in rows.items():
            write(f"  {name:<48}{accuracy:>10.4f}{plus_minus(bits, sign='-'):>19}")
        write()
    for line in verdict(report):
        write(folded(line))
    if is_quiet():
        return
    needs = ", with hf_midropout installed and imported, or trust_remote_code=True" if needs_code(folder) else ""
    saved = f"Saved in {folder}; AutoModelForSequenceClassification.from_pretrained loads it{needs}."
    write("\n" + folded(saved, "  "))
    write(f"{report.seconds['total']:.0f} s, of which measuring {report.seconds['measuring']:.0f} s.")
    write(f"Next: hf-midropout report {shlex.quote(one_line(folder, 500))}")


def needs_code(folder: str) -> bool:
    """Whether the checkpoint in `folder` is of a class that transformers does not have, such as a head of ours."""
    from ...checkpoints.checks import read_json

    return "auto_map" in read_json(Path(folder) / "config.json")
