"""Goes on training with a model whose parameters were replaced by narrower ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.parallel import DistributedDataParallel

from ..groups.cutting import plain_optimizer


if TYPE_CHECKING:
    from transformers import Trainer

    from ..pruning.config import MIDropoutConfig


PACKED = ("apollo_torch", "bitsandbytes", "galore_torch", "lomo_optim", "torchao")
"""Libraries whose optimizers remember projections of the weights, or blocks of 8-bit numbers, which cannot be cut."""


def check_can_cut(trainer: Trainer, config: MIDropoutConfig) -> None:
    """
    Raises:
        `ValueError`: if the weights are spread over processes, or what the optimizer remembers of them is packed, so
            that they cannot be cut in the middle of a training; or if `config` would have layers of different widths,
            which the model's class cannot have.
    """
    if config.scope == "global":
        raise ValueError(
            f"scope='global' with targets={config.targets!r} in a training is not supported: layers of different "
            "widths need another class than the one that is being trained. Give scope='layer', or prune the finished "
            "checkpoint with `hf-midropout prune --scope global`."
        )
    kind = "FSDP" if trainer.is_fsdp_enabled else "DeepSpeed" if trainer.is_deepspeed_enabled else None
    if kind is not None:
        raise ValueError(
            f"targets='encoder' or 'all' with {kind} is not supported: its parts of the weights cannot be cut in the "
            "middle of a training. Plain data parallelism (accelerate's MULTI_GPU) works; or prune the finished "
            "checkpoint with `hf-midropout prune`."
        )
    optimizer = plain_optimizer(trainer.optimizer)
    library = type(optimizer).__module__.partition(".")[0]
    if library in PACKED:
        raise ValueError(
            f"targets={config.targets!r} with {type(optimizer).__name__} of {library} is not supported: what it "
            "remembers of the weights cannot be cut with them. Use an optimizer such as AdamW, SGD or Adafactor; or "
            "prune the finished checkpoint with `hf-midropout prune`."
        )


def after_cutting(trainer: Trainer) -> None:
    """
    To be called on every process after its model was cut. A `DistributedDataParallel` around it would reduce the
    gradients of parameters that are gone: it is made anew, in place, as the Trainer's loop holds it.
    """
    wrapped = trainer.model_wrapped
    wrapped = getattr(wrapped, "_orig_mod", wrapped)
    if not isinstance(wrapped, DistributedDataParallel):
        return
    handler = trainer.accelerator.ddp_handler
    device_ids, output_device, model = wrapped.device_ids, wrapped.output_device, wrapped.module
    # What it registered on parameters that stay goes with it.
    del wrapped.reducer, wrapped.logger
    wrapped.__init__(  # type: ignore[misc]
        model, device_ids=device_ids, output_device=output_device, **(handler.to_kwargs() if handler else {})
    )
    if handler is not None:
        handler.register_comm_hook(wrapped)
