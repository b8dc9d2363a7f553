"""Makes the report of a training: what was done, with what, and what came of it."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..data.datasets import TextClassificationData
from ..groups import find_groups
from ..pruning.record.training import PruningRecord
from .parts import HUB_ID, MADE_HERE
from .report import Bin, Data, Model, Report, Tested


if TYPE_CHECKING:
    from transformers import PreTrainedModel


def build_report(
    record: PruningRecord,
    data: TextClassificationData,
    model_name: str,
    model_source: str,
    masked: PreTrainedModel,
    compact: PreTrainedModel,
    largest_logit_difference: float,
    test: Tested,
    training_arguments: dict[str, Any],
    training_log: list[dict[str, float]],
    seconds: dict[str, float],
) -> Report:
    """
    The report of `hf-midropout train`.

    Args:
        record ([`PruningRecord`]): What happened to the neurons.
        data ([`TextClassificationData`]): What was trained on.
        model_name (`str`): The checkpoint that training started from.
        model_source (`str`): How it was loaded: `"hub"`, `"local"` or `"builtin"`, as [`source_of`] gives.
        masked, compact (`nn.Module`): The model before and after compaction.
        largest_logit_difference (`float`): Between the two, on real inputs.
        test ([`Tested`]): The compact model on rows that nothing was chosen with.
        training_arguments (`dict`): The arguments of the run.
        training_log (`list[dict]`): What [`parts.training_log`] gave.
        seconds (`dict[str, float]`): Wall time by phase.
    """
    return Report.of(
        record,
        model=Model(
            base_model=model_name,
            base_model_source=model_source,
            largest_logit_difference=largest_logit_difference,
            **model_sizes(masked, compact, record),
        ),
        data=Data(
            name=data.name,
            source=data.source,
            labels=data.label_names,
            rows={split: len(rows) for split, rows in data.splits.items()},
            notes=data.notes,
            pairs=data.paired,
        ),
        test=test,
        training_arguments=without_tokens(training_arguments),
        training_log=training_log,
        seconds=seconds,
        environment=environment(),
    )


def tested(split: str, rows: int, metrics: dict[str, float], calibration: list[dict[str, Any]]) -> Tested:
    """What was measured on the `rows` of `split`, as the report's type."""
    return Tested(split=split, rows=rows, calibration=[Bin(**each) for each in calibration], **metrics)


def source_of(model_name: str | None) -> str:
    """
    How a model that is loaded by now was loaded: `"builtin"`, `"hub"`, or `"local"` from a folder. A path such as
    `models/mini` looks like a repository's id; only what is in the Hub's cache came from there.
    """
    if model_name is None or model_name == MADE_HERE:
        return "builtin"
    if not HUB_ID.fullmatch(model_name) or Path(model_name).exists():
        return "local"
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return "hub" if isinstance(try_to_load_from_cache(model_name, "config.json"), str) else "local"
    except HFValidationError:
        return "local"


def model_sizes(masked: PreTrainedModel, compact: PreTrainedModel, record: PruningRecord) -> dict[str, Any]:
    """Parameters and widths of the model before any neuron was dropped, and after compaction."""
    before, after = num_parameters(masked) + parameters_cut(masked, record), num_parameters(compact)
    sizes: dict[str, Any] = {
        "parameters_before": before,
        "parameters_after": after,
        "bytes_before": before * compact.dtype.itemsize,
        "bytes_after": after * compact.dtype.itemsize,
    }
    if hasattr(masked, "masked_layers"):
        sizes |= {
            "head_parameters_before": num_parameters(masked.classifier),
            "head_parameters_after": num_parameters(compact.classifier),
            "head_widths_before": list(masked.config.head_widths),
            "head_widths_after": list(compact.config.head_widths),
        }
    return sizes


def parameters_cut(model: PreTrainedModel, record: PruningRecord) -> int:
    """Parameters that the encoder of `model` lost when neurons were removed in the middle of its training."""
    kept = record.selection.kept if record.selection else {}
    if not any(name.startswith("encoder.") for name in kept):
        return 0
    return sum(
        int((~kept[name]).sum()) * group.parameters_per_unit(model)
        for name, group in find_groups(model, "encoder").items()
    )


def without_tokens(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a run as they may be published: `--hub_token` without its value."""
    shown: list[str] = []
    for option in arguments.get("training_options") or []:
        name, equals, _ = option.partition("=")
        if option.startswith("--") and equals and "token" in name:
            option = f"{name}=[hidden]"
        elif shown and shown[-1].startswith("--") and "token" in shown[-1] and "=" not in shown[-1]:
            option = "[hidden]"
        shown.append(option)
    return arguments | {"training_options": shown}


def num_parameters(module: nn.Module) -> int:
    """Parameters of `module`, shared ones counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


def environment() -> dict[str, Any]:
    """Versions and machine."""
    packages = ("transformers", "accelerate", "datasets", "evaluate", "huggingface-hub", "safetensors")
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "peak_memory_mib": peak_memory_mib(),
        "torch": torch.__version__,  # with the build, such as +cpu
        **{package: version(package) for package in packages},
    }


def peak_memory_mib() -> int | None:
    """Peak resident memory of this process in MiB; `None` where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)
