"""A classifier as ONNX, checked against PyTorch; size and latency beside those of the model before pruning."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import statistics
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..model_types import position_limit
from ..scoring.inference import frozen_inference
from ..utils.project import INSTALL_EXPORT
from ..utils.safe_paths import write_inside


if TYPE_CHECKING:
    from transformers import PreTrainedModel


# Other lengths and batches than those it is traced with, a single row and the shortest input among them.
CHECKED_SHAPES = ((1, 2), (2, 9), (5, 16), (3, 40))
TIMED_SHAPES = ((1, 32), (32, 64))
ROUNDS = 30


class OnnxExportError(RuntimeError):
    """The ONNX model does not compute what the PyTorch model computes."""


class Logits(nn.Module):
    """The logits alone, from token ids and attention mask: what is exported."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """`[batch, sequence]` twice -> `[batch, classes]`."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def export_onnx(model: nn.Module, folder: str | os.PathLike, name: str = "model.onnx", atol: float = 1e-4) -> float:
    """
    Writes `model` as ONNX with dynamic batch and sequence length, if it passes the check; else nothing.

    Args:
        model (`PreTrainedModel`): A text classifier.
        folder (`str` or `os.PathLike`): Where the file goes; made if it does not exist.
        name (`str`, *optional*, defaults to `"model.onnx"`): Path of the file inside `folder`.
        atol (`float`, *optional*, defaults to 1e-4): Largest absolute difference of a logit, in float32.

    Returns:
        `float`: the largest difference from PyTorch's logits, over inputs of several shapes with padding.

    Raises:
        `ValueError`: if onnx, onnxscript or onnxruntime are not installed, or a link stands in the way.
        [`OnnxExportError`]: if a logit differs by more than `atol`.
    """
    model = in_float32(model)
    content = to_onnx(model)
    difference = largest_difference(model, content)
    if not difference <= atol:
        raise OnnxExportError(f"Logits of the ONNX model differ by {difference:.2e}: {atol:.0e} is allowed.")
    write_inside(folder, name, content)
    return difference


def to_onnx(model: nn.Module) -> bytes:
    """`model` in float32 as an ONNX file's content."""
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(f"ONNX export needs {error.name}: {INSTALL_EXPORT}.") from error
    batch = torch.export.Dim("batch", min=1)
    sequence = torch.export.Dim("sequence", min=2, max=positions(model))
    inputs = random_inputs(model, 3, 7)
    model = in_float32(model)
    # The exporter reports its progress on stdout, and warns of names of axes that it gave itself and of torchvision.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with frozen_inference(model), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Logits(model).eval(),
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=({0: batch, 1: sequence}, {0: batch, 1: sequence}),
            input_names=list(inputs),
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    assert program is not None  # of a call with dynamo=True
    return program.model_proto.SerializeToString()


def in_float32(model: nn.Module) -> nn.Module:
    """`model`, or a copy of it if it has other floats: the caller's stays as it is."""
    if all(value.dtype == torch.float32 for value in model.state_dict().values() if value.is_floating_point()):
        return model
    return copy.deepcopy(model).float()


def positions(model: nn.Module) -> int:
    """The longest input of `model`, in tokens."""
    config: Any = model.config
    limit = position_limit(config.to_dict())
    return getattr(config, "max_position_embeddings", 512) if limit is None else limit


def random_inputs(model: PreTrainedModel, batch: int, sequence: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Token ids and a mask with padding in the last row if there are several."""
    generator = torch.Generator().manual_seed(seed)
    sequence = min(sequence, positions(model))
    mask = torch.ones(batch, sequence, dtype=torch.long)
    if batch > 1:
        mask[-1, sequence // 2 :] = 0
    ids = torch.randint(0, model.config.vocab_size, (batch, sequence), generator=generator)
    return {"input_ids": ids, "attention_mask": mask}


def session_of(content: bytes):
    """An `onnxruntime.InferenceSession` with as many threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def largest_difference(model: nn.Module, content: bytes) -> float:
    """Of a logit, between `model` and the ONNX model, over inputs of several shapes."""
    session = session_of(content)
    largest = 0.0
    for seed, shape in enumerate(CHECKED_SHAPES):
        inputs = random_inputs(model, *shape, seed=seed)
        with frozen_inference(model):
            expected = model(**inputs).logits.numpy()
        (actual,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        difference = float(np.abs(expected - actual).max())
        largest = difference if np.isnan(difference) else max(largest, difference)
    return largest


def compare_models(
    models: dict[str, nn.Module], exported: dict[str, bytes], rounds: int = ROUNDS
) -> dict[str, dict[str, Any]]:
    """
    Size and latency of each model as ONNX, by turns, so that a busy moment hits all alike.

    Args:
        models (`dict[str, nn.Module]`): The models, by name.
        exported (`dict[str, bytes]`): The ONNX files' contents of those that have one already.
        rounds (`int`, *optional*, defaults to 30): Runs to time.

    Returns:
        `dict[str, dict]`: by name, `parameters`, `bytes`, and `milliseconds`, the median of `rounds` runs by shape of
        the input.
    """
    contents = {name: exported.get(name) or to_onnx(model) for name, model in models.items()}
    sessions = {name: session_of(content) for name, content in contents.items()}
    results: dict[str, dict[str, Any]] = {
        name: {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "bytes": len(contents[name]),
            "milliseconds": {},
        }
        for name, model in models.items()
    }
    for shape in TIMED_SHAPES:
        times: dict[str, list[float]] = {name: [] for name in models}
        for turn in range(rounds + 3):  # the first three warm up
            for name, model in models.items():
                inputs = {key: tensor.numpy() for key, tensor in random_inputs(model, *shape, seed=turn).items()}
                started = time.perf_counter()
                sessions[name].run(None, inputs)
                times[name].append(time.perf_counter() - started)
        for name, seconds in times.items():
            results[name]["milliseconds"][shape] = 1000 * statistics.median(seconds[3:])
    return results
