"""A trained classifier that a command runs on texts: found, checked and loaded, the cheap checks first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...utils.narration import is_quiet
from ...utils.report_names import COMPACT
from ...utils.terminal import one_line
from .checks import check_problem_type, config_of, find_checkpoint, skeleton_of, tokens_to_cut_to


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData
    from ...pruning.comparison.predictions import Predictions


@dataclass
class Classifier:
    """
    Args:
        name (`str`): As the user gave it.
        folder (`Path`): With its files.
        config ([`~transformers.PretrainedConfig`]): Its configuration.
        max_length (`int`): Tokens to cut texts to.
        trust_remote_code (`bool`): Whether the user agreed to run its code.
    """

    name: str
    folder: Path
    config: Any
    max_length: int
    trust_remote_code: bool = False

    @property
    def label_names(self) -> list[str]:
        """Its classes, in its order."""
        return [str(self.config.id2label[index]) for index in sorted(self.config.id2label)]

    @property
    def title(self) -> str:
        """A short name: of a local folder its title, or the id on the Hub."""
        path = Path(self.name).expanduser()
        return title_of(path) if path.exists() else self.name

    def load(self) -> tuple[Any, Any]:
        """
        The tokenizer, and the model in float32 on this machine's first accelerator, or on the CPU.

        Raises:
            `ValueError`: for a checkpoint that is refused or broken.
        """
        return load(self.folder, self.trust_remote_code)

    def predict(self, data: TextClassificationData, batch_size: int) -> tuple[Predictions, Any]:
        """
        What it predicts for the rows of the only split of `data`, in their order, and the model.

        Raises:
            `ValueError`: for a checkpoint that is refused or broken.
        """
        from ...pruning.comparison.predictions import predict
        from ...scoring.batches import batches_for

        tokenizer, model = self.load()
        (rows,) = data.tokenize(tokenizer, self.max_length).values()
        batches = batches_for(model, rows, batch_size, processing_class=tokenizer)
        progress = f"Running {one_line(self.title, 40)}" if len(rows) > batch_size and not is_quiet() else None
        return predict(model, batches, progress=progress), model


def title_of(folder: Path) -> str:
    """The name to show for a local checkpoint: that of its folder, or of the training whose `compact` it is."""
    folder = folder.absolute()
    return folder.parent.name if folder.name == COMPACT else folder.name


def load(folder: Path, trust_remote_code: bool) -> tuple[Any, Any]:
    """As [`Classifier.load`], of what is in `folder`."""
    import torch
    from accelerate import PartialState
    from transformers.utils import logging as transformers_logging

    from ...checkpoints.loading import load_checked_model, load_checked_tokenizer

    tokenizer = load_checked_tokenizer(folder, trust_remote_code=trust_remote_code)
    transformers_logging.disable_progress_bar()
    model = load_checked_model(folder, trust_remote_code=trust_remote_code, dtype=torch.float32)
    return tokenizer, model.to(PartialState().device)


def find_classifier(
    name: str, max_length: int | None, trust_remote_code: bool = False, option: str = "checkpoint"
) -> Classifier:
    """
    The classifier of one class a row that the option `option` names; its weights are not read yet.

    Raises:
        `ValueError`: if there is none, here or on the Hub, if it is no such classifier, or for a `max_length` that is
            more than it has positions for.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    folder = find_checkpoint(name, trust_remote_code, option)
    config = config_of(folder, trust_remote_code)
    check_problem_type(name, config, option)
    skeleton = skeleton_of(config, trust_remote_code)
    return Classifier(name, folder, config, tokens_to_cut_to(max_length, skeleton, folder), trust_remote_code)


def bytes_of_weights(folder: Path) -> int:
    """Of the files of weights of a checkpoint."""
    from ...checkpoints.checks import weight_files

    return sum((folder / name).stat().st_size for name in weight_files(folder))
