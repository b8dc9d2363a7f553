"""Fields of [`~transformers.TrainingArguments`] as options of `hf-midropout train`."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentError
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..options.grouped_parser import GroupedParser, UsageError, told
from .arguments import TrainArguments


GROUPS = {
    "Trainer: steps and optimizer": "max_steps lr_* optim* adam_* max_grad_norm label_smoothing* neftune* average_*",
    "Trainer: evaluation and checkpoints": "eval_* prediction_loss_only include_for_metrics batch_eval_metrics save_* "
    "load_best* metric_for_best* greater_is_better ignore_data_skip restore_* enable_jit_checkpoint",
    "Trainer: precision, memory and devices": "use_cpu bf16* fp16* tf32 torch_* activation_checkpointing* "
    "auto_find_batch_size use_liger* liger* use_cache full_determinism skip_memory_metrics",
    "Trainer: reading rows": "dataloader_* data_seed train_sampling* length_column* remove_unused*",
    "Trainer: several processes": "ddp_* fsdp* deepspeed accelerator_config parallelism_config",
    "Trainer: the Hub": "push_to_hub hub_*",
    "Trainer: logging": "log_level* logging_* log_on* disable_tqdm run_name project trackio* include_num_input* debug",
    "Trainer: others": "*",
}
UNUSED = ("Deprecated alias", "Not directly used by Trainer", "When using torch.distributed.launch (Deprecated)")
"""How the help of fields begins, or goes on, that are not for users."""


def training_option_names(options: list[str]) -> tuple[list[str], list[str]]:
    """
    Of `options` that are of no command, those that [`~transformers.TrainingArguments`] has no field for; and all that
    it has.
    """
    parser = training_parser()
    try:
        _, rest = parser.parse_known_args(options)
    except ArgumentError as error:
        raise UsageError(told(str(error))) from None
    return rest, [option for action in parser._actions for option in action.option_strings]


def training_help(defaults: Mapping[str, Any]) -> str:
    """
    The options that the command does not have itself, in groups.

    Args:
        defaults (`Mapping[str, Any]`): Those that the command has for them, where the Trainer has others.
    """
    parser = training_parser()
    parser.set_defaults(**defaults)
    own = {field.name for field in fields(TrainArguments)}
    for action in parser._actions:
        if action.dest in own or any(sign in (action.help or "") for sign in UNUSED):
            action.help = SUPPRESS
    return parser.format_help()


def training_parser() -> GroupedParser:
    """A parser of the fields of [`~transformers.TrainingArguments`]."""
    from transformers import TrainingArguments

    return GroupedParser([TrainingArguments], GROUPS, exit_on_error=False, usage=SUPPRESS)
