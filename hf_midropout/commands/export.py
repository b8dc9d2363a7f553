"""`hf-midropout export`: a checkpoint as ONNX, or as one of transformers' own class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model_types import is_uneven
from ..utils.narration import tell, write
from ..utils.terminal import folded, one_line
from .options.data import TOLD, Telling, option
from .options.parser import command_parser
from .output.narrating import narrate


POSITIONAL = ("checkpoint",)
FLAGS = ("--onnx",)


GROUPS = {
    "what is exported, and as what": "checkpoint onnx output compare stock trust_remote_code",
    "messages and help": TOLD,
}


@dataclass(kw_only=True)
class ExportArguments(Telling):
    """Options of `hf-midropout export`; each field is `--field`."""

    checkpoint: str = field(
        metadata={
            "help": "The checkpoint's folder, the output of hf-midropout train, or a Hub id. The option's name may be "
            "left out."
        }
    )
    onnx: bool = option(False, "Export to ONNX, with dynamic batch and sequence length; checked against PyTorch.")
    stock: str | None = option(
        None,
        "Folder for a checkpoint of transformers' own class, loadable without this package and without "
        "trust_remote_code. Only for ALBERT and BERT with a head that computes what one linear layer can.",
        metavar="FOLDER",
    )
    output: str | None = option(
        None,
        "The ONNX file. None: onnx/model.onnx in the checkpoint's folder, or here if it is on the Hub.",
        metavar="FILE",
    )
    compare: bool = option(True, "With --onnx: also time it beside the model before pruning.")
    trust_remote_code: bool = option(
        False, "Run code that comes with the checkpoint, should its model be neither in transformers nor here."
    )


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        ExportArguments,
        "export",
        "Exports a checkpoint to ONNX, or to a checkpoint of transformers' own class. Nothing is written "
        "unless the exported model gives the same logits.",
        GROUPS,
        positional=POSITIONAL,
    )


def main(args: ExportArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for a checkpoint that is refused, or that cannot be exported so.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    if not args.onnx and not args.stock:
        raise ValueError("Nothing to do: give --onnx, --stock FOLDER, or both.")
    narrate(args)
    from ..hub.publishing import pull

    local = Path(args.checkpoint).exists()
    folder = pull(args.checkpoint, trust_remote_code=args.trust_remote_code)

    import torch
    from transformers.utils import logging as transformers_logging

    from ..checkpoints.loading import load_checked_model

    tell(f"Loading {one_line(args.checkpoint)}")
    transformers_logging.disable_progress_bar()
    model = load_checked_model(folder, trust_remote_code=args.trust_remote_code, dtype=torch.float32)
    if args.stock:
        save_stock(model, folder, Path(args.stock))
    if args.onnx:
        from ..export.onnx import export_onnx

        target, name = (folder if local else Path(), "onnx/model.onnx")
        if args.output:
            target, name = Path(args.output).parent, Path(args.output).name
        path = target / name
        tell("Exporting to ONNX, and comparing logits with PyTorch's")
        difference = export_onnx(model, target, name)
        told = f"Saved {path}: logits equal PyTorch's within {difference:.1e}, for any batch and sequence length."
        write(folded(told, "  "))
        if args.compare:
            tell("Timing passes")
            print_comparison(model, folder, path)


def save_stock(model, folder: Path, target: Path) -> None:
    """Writes the stock checkpoint, with tokenizer, report and card."""
    import shutil

    from ..export.stock import to_stock
    from ..reporting.model_card import write_card
    from ..utils.files import new_folder
    from ..utils.report_names import REPORT_ARRAYS, REPORT_NAME
    from ..utils.tokenizer_files import TOKENIZER_FILES

    if is_uneven(model.config.model_type):
        raise ValueError(
            f"--stock: {folder} has layers of different widths, which transformers' own classes cannot load; prune "
            "the model that it was made from with --scope layer."
        )
    if not hasattr(model, "masked_layers"):
        raise ValueError(f"--stock: {folder} holds a {type(model).__name__}, not a MIDropout model.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"--stock {target}: exists already and is not empty.")
    stock, difference = to_stock(model)
    with new_folder(target) as saving:
        stock.save_pretrained(saving)
        for path in sorted(folder.iterdir()):
            if path.name in (*TOKENIZER_FILES, REPORT_NAME, REPORT_ARRAYS):
                shutil.copyfile(path, saving / path.name)
        write_card(saving, name=str(target))
    told = f"Saved {target}: a stock checkpoint, {sum(p.numel() for p in stock.parameters()):,} parameters; "
    write(folded(f"{told}its logits equal within {difference:.1e}.", "  "))


def print_comparison(model, folder: Path, exported: Path) -> None:
    """Size and latency, beside a model with the widths that the report gives from before pruning."""
    import copy

    import torch

    from ..export.onnx import TIMED_SHAPES, compare_models
    from ..reporting.report import Report

    models: dict[str, Any] = {"this model": model}
    report = Report.load(folder, arrays=False)
    widths = report.model.head_widths_before if report else None
    if hasattr(model, "masked_layers") and widths and widths != list(model.config.head_widths):
        config = copy.deepcopy(model.config)
        config.head_widths = widths
        # Neither size nor speed depends on the weights, which are no longer there.
        models = {f"before pruning ({', '.join(map(str, widths))} neurons)": type(model)(config).eval()} | models
    heading = [f"{batch} × {length}" for batch, length in TIMED_SHAPES]
    write(f"\n{'':<58}{'ms, rows × tokens':>21}")
    write(f"{'':<38}{'parameters':>12}{'MB':>8}" + "".join(f"{each:>10}" for each in heading))
    for name, result in compare_models(models, {"this model": exported.read_bytes()}).items():
        times = "".join(f"{value:>10.2f}" for value in result["milliseconds"].values())
        write(f"{name:<38}{result['parameters']:>12,}{result['bytes'] / 1e6:>8.2f}{times}")
    threads = torch.get_num_threads()
    write(f"Medians, by turns, onnxruntime on the CPU with {threads} thread{'s' * (threads > 1)}.")
