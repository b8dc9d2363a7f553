"""
Weights of which each process holds a part (FSDP2), or a part of a float32 original (DeepSpeed ZeRO-1 and 2): read and
written as a whole. Where weights are neither, all of this does what it says on plain tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor


AnyModule = TypeVar("AnyModule", bound=nn.Module)

PLAIN = "Plain data parallelism (accelerate's MULTI_GPU) works."


def check_fsdp(version: int, cpu_ram_efficient_loading: bool) -> None:
    """
    Raises:
        `ValueError`: for settings of FSDP under which masks or scores cannot be made.
    """
    if version != 2:
        raise ValueError(
            f"fsdp_version={version} is not supported: it flattens weights, of which no neuron's can be told apart. "
            f"Set it to 2. {PLAIN}"
        )
    if cpu_ram_efficient_loading:
        raise ValueError(
            "fsdp_cpu_ram_efficient_loading=true is not supported: accelerate cannot distribute buffers, which the "
            "masks are. Set it to false."
        )


def check_deepspeed(stage: int, fp16: bool = False) -> None:
    """
    Raises:
        `ValueError`: for settings of DeepSpeed under which masks or refits cannot be made.
    """
    if stage not in (1, 2):
        why = {3: "it leaves each process a part of every weight", 0: "its float32 originals cannot be reached"}
        raise ValueError(
            f"zero_stage={stage} of DeepSpeed is not supported: {why.get(stage, 'there is no such stage')}. Set it "
            f"to 1 or 2. {PLAIN}"
        )
    if fp16:
        raise ValueError("DeepSpeed with fp16 is not supported: it turns all weights to float16. Use bf16.")


def check_trainer(trainer) -> None:
    """
    Args:
        trainer ([`~transformers.Trainer`]): One that is about to train.

    Raises:
        `ValueError`: if it distributes the model in a way that is not supported.
    """
    if trainer.args.n_gpu > 1:
        raise ValueError(f"DataParallel over {trainer.args.n_gpu} GPUs is not supported: start one process per GPU.")
    parallelism = getattr(trainer.accelerator, "parallelism_config", None)
    if parallelism is not None or getattr(trainer, "is_distributed_loading_by_transformers", False):
        raise ValueError(
            f"parallelism_config or distributed_config is not supported: scores need a batch per process. {PLAIN}"
        )
    if trainer.is_deepspeed_enabled:
        plugin = trainer.accelerator.state.deepspeed_plugin
        check_deepspeed(plugin.hf_ds_config.config.get("zero_optimization", {}).get("stage", 0), is_fp16(plugin))
    elif trainer.is_fsdp_enabled:
        plugin = trainer.accelerator.state.fsdp_plugin
        check_fsdp(plugin.fsdp_version, plugin.cpu_ram_efficient_loading)


def is_fp16(plugin) -> bool:
    """Whether `plugin` (`accelerate.DeepSpeedPlugin`) trains in float16; "auto" stands for what the Trainer says."""
    return plugin.hf_ds_config.config.get("fp16", {}).get("enabled", False) is True


def is_sharded(parameter: torch.Tensor) -> bool:
    """Whether this process holds a part of `parameter` or of its float32 original only."""
    return isinstance(parameter, DTensor) or hasattr(parameter, "_hp_mapping")


def full_value(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a parameter or buffer, as the optimizer has it. To be called on every process."""
    if isinstance(tensor, DTensor):
        return tensor.full_tensor().detach()
    if hasattr(tensor, "_hp_mapping"):
        from deepspeed.utils import safe_get_full_fp32_param

        return safe_get_full_fp32_param(tensor)
    return tensor.detach()


def parts(module: nn.Module) -> dict[str, Any]:
    """
    Parameters and buffers of `module` by name, as the optimizer has them. FSDP leaves whole copies of weights in the
    modules after a forward pass; asked for a state dict, it puts the parts back, and gathers anew next time.
    """
    return module.state_dict(keep_vars=True)


def full_module(module: AnyModule, config) -> AnyModule:
    """
    `module` itself, or, if its weights are sharded, a copy of it that is whole. To be called on every process.

    Args:
        module (`nn.Module`): A model or its head, whose class is made from a `config`.
        config ([`~transformers.PreTrainedConfig`]): That of the model.
    """
    state = parts(module)
    if not any(is_sharded(tensor) for tensor in state.values()):
        return module
    with torch.random.fork_rng(devices=[]):  # the throw-away weights must not shift the caller's
        whole = type(module)(config)
    values = {name: full_value(tensor).clone() for name, tensor in state.items()}
    whole.load_state_dict(values, assign=True)
    # Buffers that are in no state dict, such as positions, were made on the CPU.
    return whole.to(next(iter(values.values())).device).train(module.training)


@torch.no_grad()
def overwrite(module: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    """
    Writes whole `values` into the parameters of `module` by name, in place, and into their originals in the optimizer,
    which would undo it at the next step. To be called on every process, with the same values.
    """
    parameters = parts(module)
    for name, value in values.items():
        parameter = parameters[name]
        write(parameter, value)
        if hasattr(parameter, "_hp_mapping"):
            from deepspeed.utils import safe_set_full_fp32_param

            safe_set_full_fp32_param(parameter, value.to(parameter.device, torch.float32))


@torch.no_grad()
def write(tensor: torch.Tensor, value: torch.Tensor) -> None:
    """Copies a whole `value` into `tensor`, in place."""
    value = value.to(tensor.device, tensor.dtype)
    if isinstance(tensor, DTensor):
        # Every process has the value: each cuts its own part, none is sent.
        value = distribute_tensor(value, tensor.device_mesh, tensor.placements, src_data_rank=None)
    tensor.copy_(value)


@torch.no_grad()
def forget_rows(module: nn.Module, rows: torch.Tensor, optimizer) -> None:
    """Sets to 0 what `optimizer` remembers of the `rows` (bool) of each parameter of `module`. On every process."""
    while hasattr(optimizer, "optimizer"):  # accelerate's wrapper, DeepSpeed's
        optimizer = optimizer.optimizer
    for parameter in parts(module).values():
        if hasattr(parameter, "_hp_mapping"):
            forget_rows_of_part(parameter, rows, optimizer)
            continue
        for memory in optimizer.state.get(parameter, {}).values():
            if isinstance(memory, torch.Tensor) and memory.shape == parameter.shape:
                whole = full_value(memory).clone()
                whole[rows] = 0
                write(memory, whole)


def forget_rows_of_part(parameter: Any, rows: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """
    The same in the part of this process under DeepSpeed, which strings parameters together, and hangs its
    `_hp_mapping` on each. (Its own
    `safe_set_full_optimizer_state`, up to 0.19.8 at least, reaches the first of the optimizer's groups only.)
    """
    mapping = parameter._hp_mapping
    if mapping is None:  # this process holds no part
        return
    here, there = mapping.lp_fragment_address, mapping.hp_fragment_address
    forgotten = rows.view(-1, *[1] * (parameter.ndim - 1)).expand_as(parameter).flatten()
    forgotten = forgotten[here.start : here.start + here.numel]
    (strung,) = optimizer.param_groups[mapping.param_group_index]["params"]
    for memory in optimizer.state[strung].values():
        if isinstance(memory, torch.Tensor) and memory.shape == strung.shape:
            memory[there.start : there.start + there.numel][forgotten.to(memory.device)] = 0
