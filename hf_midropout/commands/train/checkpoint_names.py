"""Checkpoints of a run: noted in its record before they are written, and compared with the model before it goes on."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from transformers import TrainerCallback

from ...checkpoints.checks import weight_files
from ...choices import Targets
from ...groups import find_groups
from ...training.output_folder import OutputFolder


class CheckpointNames(TrainerCallback):
    """Tells the output folder of every checkpoint, and the Trainer of a Ctrl-C that code in between has swallowed."""

    def __init__(self, output: OutputFolder):
        self.output = output

    def _note(self, state) -> None:
        if state.is_world_process_zero:
            self.output.writes(f"checkpoint-{state.global_step}")

    def on_step_end(self, args, state, control, **kwargs):
        from ...utils import interruption

        interruption.check()
        if control.should_save:
            self._note(state)

    def on_epoch_end(self, args, state, control, **kwargs):
        if control.should_save:
            self._note(state)

    def on_save(self, args, state, control, **kwargs):
        self._note(state)


def check_checkpoint_fits(checkpoint: Path, model, targets: Targets = "head") -> None:
    """
    Args:
        checkpoint (`Path`): To go on from.
        model ([`~transformers.PreTrainedModel`]): As the training began.
        targets (`str`, *optional*, defaults to `"head"`): Of the training. An encoder whose neurons are dropped is
            narrower in checkpoints from then on.

    Raises:
        `ValueError`: if `checkpoint` is not of a run with the same model and classes, which the Trainer would find out
            in its own way, or not at all.
    """
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    cut = {} if targets == "head" else dimensions_cut(model)
    advice = "give the options of the run that is to go on."
    for file in weight_files(checkpoint):
        with safe_open(checkpoint / file, framework="numpy") as tensors:
            for name in tensors.keys():
                shape = tensors.get_slice(name).get_shape()
                if name in expected and not fits(shape, expected[name], cut.get(name)):
                    raise ValueError(
                        f"--resume: {checkpoint.name} has {name} of shape {shape}, this run's model of shape "
                        f"{expected[name]}: {advice}"
                    )
    saved = type(model.config).from_pretrained(checkpoint)
    for name in ("id2label", "head_activation"):
        old, new = getattr(saved, name, None), getattr(model.config, name, None)
        if old != new:
            raise ValueError(
                f"--resume: {checkpoint.name} has {name}={str(old)[:200]}, this run {str(new)[:200]}: {advice}"
            )


def dimensions_cut(model) -> dict[str, int]:
    """By weight, the dimension along which it gets shorter where feed-forward neurons of the encoder are dropped."""
    dimensions: dict[str, int] = {}
    for group in find_groups(model, "encoder").values():
        for rows in group.producers:
            dimensions |= {f"{rows.module}.weight": 0, f"{rows.module}.bias": 0}
        dimensions[f"{group.consumer}.weight"] = 1
    return dimensions


def fits(shape: list[int], expected: list[int], cut: int | None) -> bool:
    """Whether `shape` is the one `expected`, or no longer than that along the dimension `cut`, if one is given."""
    if cut is None or len(shape) != len(expected):
        return shape == expected
    return all(a <= b if at == cut else a == b for at, (a, b) in enumerate(zip(shape, expected, strict=True)))
