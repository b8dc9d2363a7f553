"""The same training without pruning, from the initial phase that both share: what the pruned one is compared with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import TrainerCallback

from ..utils.files import new_folder
from .run_record import DENSE


if TYPE_CHECKING:
    from .callback import MIDropoutCallback
    from .output_folder import OutputFolder


class SharedPhase(TrainerCallback):
    """
    Has a checkpoint written one step before neurons are first scored, and keeps it for the dense training, also after
    the Trainer has removed its own.

    Args:
        callback ([`MIDropoutCallback`]): Of the same Trainer, before this one.
        output ([`OutputFolder`]): Of the run; the dense training writes into the folder `DENSE` in it.
    """

    def __init__(self, callback: MIDropoutCallback, output: OutputFolder):
        self.callback, self.output = callback, output

    def _is_last_shared(self, state) -> bool:
        return state.global_step + 1 == self.callback.first_step

    def on_step_end(self, args, state, control, **kwargs):
        # Where an epoch ends too, after the evaluation that may come then: it draws random numbers.
        if self._is_last_shared(state) and not float(state.epoch).is_integer():
            control.should_save = True

    def on_epoch_end(self, args, state, control, **kwargs):
        if self._is_last_shared(state):
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self._is_last_shared(state) and state.is_world_process_zero:
            name = f"checkpoint-{state.global_step}"
            folder = self.output.path / DENSE
            if not os.path.lexists(folder / name):
                self.output.writes(DENSE)
                link_folder(Path(args.output_dir, name), folder / name)


def link_folder(source: Path, target: Path) -> None:
    """Gives the files in `source` a second name each in the new folder `target`; copies them where that cannot be."""
    with new_folder(target) as filling:
        for folder, _, files in os.walk(source):
            place = filling / Path(folder).relative_to(source)
            place.mkdir(exist_ok=True)
            for name in files:
                try:
                    os.link(Path(folder, name), place / name)
                except OSError:
                    shutil.copy2(Path(folder, name), place / name)
