"""Retraining against the predictions of the network before pruning, in any Trainer: through a forward hook."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..utils.files import new_folder, write_json


if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer


TEACHER = "_midropout_teacher"
"""Folder in the output folder of a training; `Trainer.push_to_hub` leaves out what begins with an underscore."""
HASH = "midropout_teacher.json"


def check_can_distill(trainer: Trainer) -> None:
    """
    Raises:
        `ValueError`: for a Trainer that computes the loss outside the model.
    """
    outside = {
        "label_smoothing_factor": trainer.args.label_smoothing_factor,
        "compute_loss_func": trainer.compute_loss_func,
        "use_liger_kernel": trainer.args.use_liger_kernel,
    }
    found = next((name for name, value in outside.items() if value), None)
    if found is not None:
        raise ValueError(f"distill with {found} is not supported: the loss must be computed by the model.")
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ValueError("distill with FSDP or DeepSpeed is not supported: each process needs the whole network.")


class Distillation:
    """
    Adds to the loss that a model computes in training the divergence of its prediction from a teacher's: with weight
    w and temperature T it is (1 - w) loss + w T^2 KL (Hinton et al., 2015).

    Args:
        teacher (`PreTrainedModel`): Frozen here. It is kept outside the model's modules.
        weight (`float`): w, in (0, 1].
        temperature (`float`): T.
    """

    def __init__(self, teacher: PreTrainedModel, weight: float, temperature: float):
        self.teacher = teacher.requires_grad_(False).eval()
        self.weight, self.temperature = weight, temperature
        self.used = False
        self._handle: Any = None

    def attach(self, model: nn.Module) -> None:
        """Begins, until `detach`."""
        # Not a method of this object: copies of the model would copy the teacher with it.
        self._handle = model.register_forward_hook(lambda *args: self.loss(*args), with_kwargs=True)

    def detach(self) -> None:
        """Ends it."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def check_used(self) -> None:
        """`ValueError` if a training step has passed without a loss to add to."""
        if not self.used:
            raise ValueError(
                "distill has no effect: the model gives no loss in training. The Trainer must leave `labels` in its "
                "inputs and `return_dict` on."
            )

    def loss(self, model: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
        """The hook: `output` with another loss, in training and where there is one."""
        if not model.training or getattr(output, "loss", None) is None:
            return output
        self.used = True
        inputs = {name: value for name, value in kwargs.items() if name not in ("labels", "num_items_in_batch")}
        self.teacher.to(output.logits.device)
        with torch.no_grad():
            target = self.teacher(*args, **inputs).logits.float() / self.temperature
        divergence = nn.functional.kl_div(
            (output.logits.float() / self.temperature).log_softmax(-1), target.log_softmax(-1),
            reduction="batchmean", log_target=True,
        )  # fmt: skip
        output.loss = (1 - self.weight) * output.loss + self.weight * self.temperature**2 * divergence
        return output


def check_place(output_dir: str) -> None:
    """`ValueError` if the teacher's folder is taken by something else."""
    folder = Path(output_dir) / TEACHER
    if folder.is_symlink() or (folder.exists() and not (folder / HASH).is_file()):
        raise ValueError(f"{folder} is in the way: distillation keeps the network before pruning there. Move it.")


def save_teacher(teacher: PreTrainedModel, output_dir: str) -> str:
    """
    Writes the teacher beside the checkpoints, in the place of one of an earlier training: a resume needs it.

    Returns:
        `str`: its [`weights_hash`].
    """
    folder = Path(output_dir) / TEACHER
    check_place(output_dir)
    with new_folder(folder) as saving:
        teacher.save_pretrained(saving)
        digest = weights_hash(saving)
        write_json(saving / HASH, {"sha256": digest})
    return digest


def load_teacher(model: PreTrainedModel, output_dir: str, expected: str) -> PreTrainedModel:
    """
    The teacher of a training that goes on.

    Args:
        model (`PreTrainedModel`): The student, whose class the teacher has.
        output_dir (`str`): Of the training.
        expected (`str`): What [`weights_hash`] gave for the weights.

    Raises:
        `ValueError`: if it is not there any more, or another one.
    """
    folder = Path(output_dir) / TEACHER
    file = folder / "model.safetensors"
    if not file.is_file():
        raise ValueError(
            f"{folder} is missing: distillation goes on against the network before pruning, which was kept there."
        )
    if weights_hash(folder) != expected:
        raise ValueError(f"{folder} holds another network than the one this training was pruned from.")
    with torch.random.fork_rng(devices=[]):  # a resumed training must draw what it would have drawn
        return type(model).from_pretrained(folder, dtype=model.dtype)


def weights_hash(folder: Path) -> str:
    """SHA-256 of the weights in `folder`."""
    digest = hashlib.sha256()
    with open(folder / "model.safetensors", "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
