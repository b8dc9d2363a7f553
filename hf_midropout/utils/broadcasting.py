"""Sends plain data and tensors from the main process to the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate import PartialState


def from_main_process(
    compute: Callable[[], tuple[Any, Mapping[str, torch.Tensor]]],
) -> tuple[Any, Mapping[str, torch.Tensor]]:
    """
    What `compute` gives on the main process, on every process. To be called on each.

    Raises:
        What `compute` raised, on the main process; on the others `ValueError` or `RuntimeError` with the same message.
    """
    process = PartialState()
    if process.num_processes == 1:
        return compute()
    message: dict[str, Any] = {}
    tensors: Mapping[str, torch.Tensor] = {}
    problem: Exception | None = None
    if process.is_main_process:
        try:
            message["content"], tensors = compute()
        except Exception as error:  # the other processes wait for an answer
            problem = error
            message = {"error": str(error), "is_value_error": isinstance(error, ValueError)}
    message, tensors = broadcast(message, tensors)
    if problem is not None:
        raise problem
    if "error" in message:
        raise (ValueError if message["is_value_error"] else RuntimeError)(message["error"])
    return message["content"], tensors


def broadcast(content: Any, tensors: Mapping[str, torch.Tensor]) -> tuple[Any, dict[str, torch.Tensor]]:
    """
    What the main process gives, on every process. To be called on each; what the others give is ignored.

    Args:
        content (`Any`): JSON-able.
        tensors (`Mapping[str, torch.Tensor]`): By name.

    Returns:
        `tuple[Any, dict[str, torch.Tensor]]`: the content and the tensors, these on the CPU.
    """
    process = PartialState()
    header, body = b"", torch.empty(0, dtype=torch.uint8)
    if process.is_main_process:
        shapes = {
            name: (str(tensor.dtype).removeprefix("torch."), list(tensor.shape)) for name, tensor in tensors.items()
        }
        header = json.dumps([content, shapes]).encode()
        parts = [tensor.detach().cpu().contiguous().flatten().view(torch.uint8) for tensor in tensors.values()]
        body = torch.cat(parts) if parts else body
    sizes = _send(torch.tensor([len(header), len(body)]), process)
    header_bytes = _send(torch.tensor(list(header), dtype=torch.uint8), process, int(sizes[0]))
    body = _send(body, process, int(sizes[1]))
    received, shapes = json.loads(header_bytes.numpy().tobytes())
    result, start = {}, 0
    for name, (kind, shape) in shapes.items():
        dtype = getattr(torch, kind)
        end = start + dtype.itemsize * torch.Size(shape).numel()
        result[name] = body[start:end].clone().view(dtype).view(shape)  # a copy, so that it begins where its type may
        start = end
    return received, result


def _send(values: torch.Tensor, process: PartialState, size: int | None = None) -> torch.Tensor:
    """`values` of the main process, of which others know the number: `size`, or as many as they give."""
    if size == 0:
        return values[:0]
    if not process.is_main_process and size is not None:
        values = torch.empty(size, dtype=values.dtype)
    values = values.to(process.device)
    torch.distributed.broadcast(values, 0)
    return values.cpu()
