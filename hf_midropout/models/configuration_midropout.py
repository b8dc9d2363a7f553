"""What configurations of all classifiers with a masked dense head share."""

from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar


if TYPE_CHECKING:
    from transformers import PreTrainedConfig as Base
else:
    Base = object


def regularizers_package() -> ModuleType | None:
    """`hf_midropout.regularizers`; `None` where that is not installed: this file travels without it."""
    try:
        return import_module("hf_midropout.regularizers")
    except ImportError:
        return None


@dataclass(kw_only=True, eq=False, repr=False)
class MIDropoutHeadConfig(Base):
    r"""
    The fields of a dense head that stands between an encoder and the logits, for a class that goes before a
    configuration of transformers, as in [`MIDropoutAlbertConfig`]. The widths live here, per layer, so that a compact
    checkpoint is built at its own size.

    Args:
        head_widths (`list[int]`, *optional*, defaults to `[256, 128, 64]`):
            Number of neurons of each hidden dense layer of the head, K_1, K_2, K_3 in the paper. Any number of layers.
        head_activation (`str`, *optional*, defaults to `"relu"`):
            Activation function of those neurons, a key of `transformers.activations.ACT2FN`.
        head_regularizer (`str`, *optional*, defaults to `"dropout"`):
            What acts on the hidden layers of the head in training: `"none"`, `"dropout"`, or one of
            `hf_midropout.regularizers`, which must then be installed for training, but not for anything else.
        head_dropout (`float`, *optional*):
            The rate of that: of `"dropout"`, the probability after each hidden dense layer, 0 by default, since the
            paper trains the head without dropout, which MI-Dropout replaces. Others have their published default.
        head_regularizer_weight (`float`, *optional*):
            Of what `"information"` and `"concrete"` add to the loss: 3 / N and 1 / N for N training rows, and by
            default as if there were 10,000.
        head_samples (`int`, *optional*, defaults to 8):
            Masks that `"multi_sample"` draws at once.
        mi_dropout (`bool`, *optional*, defaults to `False`):
            Whether training drops each neuron at its own rate, the buffers `drop_rate` (Algorithm 1 of the paper).
            Follows from the buffers when weights are loaded.
    """

    auto_classes: ClassVar[dict[str, str]]
    """Where `trust_remote_code` finds which class, in every checkpoint: what `auto_map` says in `config.json`."""

    head_widths: list[int] = field(default_factory=lambda: [256, 128, 64])
    head_activation: str = "relu"
    head_regularizer: str = "dropout"
    head_dropout: int | float | None = None
    head_regularizer_weight: int | float | None = None
    head_samples: int = 8
    mi_dropout: bool = False

    def validate_head(self):
        from transformers.activations import ACT2FN  # brings torch, which reading a configuration does not need

        if not self.head_widths or any(width < 1 for width in self.head_widths):
            raise ValueError(f"head_widths={self.head_widths}: needs at least one width, each of 1 neuron or more.")
        if self.head_activation not in ACT2FN:
            raise ValueError(f"head_activation={self.head_activation!r}: must be one of {', '.join(sorted(ACT2FN))}.")
        if self.head_samples < 1:
            raise ValueError(f"head_samples={self.head_samples}: must be at least 1.")
        package = regularizers_package()
        if package is not None:
            package.check_regularizer(self.head_regularizer, self.head_dropout, self.head_regularizer_weight)
        elif self.head_regularizer == "dropout" and not 0 <= (self.head_dropout or 0.0) < 1:
            raise ValueError(f"head_dropout={self.head_dropout}: must be at least 0 and less than 1.")

    def save_pretrained(self, save_directory, *args, **kwargs):
        # transformers names only the class that is saved, and under FSDP by a name that it has in this process alone.
        self.auto_map = dict(self.auto_classes)
        return super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path, **kwargs) -> tuple[dict[str, Any], dict[str, Any]]:
        config_dict, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        stock = cls.model_type.removeprefix("midropout_")
        model_type = config_dict.get("model_type", cls.model_type)
        if model_type not in (stock, cls.model_type):
            raise ValueError(
                f"{pretrained_model_name_or_path} holds a model of type {model_type!r}; "
                f"{cls.__name__} reads {stock!r} and {cls.model_type!r} checkpoints."
            )
        # A stock checkpoint is the intended starting point, not a mistake that deserves upstream's warning.
        return {**config_dict, "model_type": cls.model_type}, kwargs


__all__ = ["MIDropoutHeadConfig"]
