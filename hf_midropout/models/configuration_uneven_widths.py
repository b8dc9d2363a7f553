"""
Configurations of text classifiers whose feed-forward layers have different widths.

The widths are written in transformers' own schema, `per_layer_config`, which its configurations read and its models do
not build yet: `{"0": {"intermediate_size": 512}, ...}`. This file travels with checkpoints (`trust_remote_code`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import (
    AlbertConfig,
    BertConfig,
    DebertaConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    XLMRobertaConfig,
)


if TYPE_CHECKING:
    from transformers import PreTrainedConfig as Base
else:
    Base = object


class UnevenWidthsConfig(Base):
    """
    For a class that goes before a configuration of transformers. What `per_layer_config` does not name for a layer is
    the width that the configuration has for all.
    """

    width_field: ClassVar[str] = "intermediate_size"
    """What it may name."""
    auto_classes: ClassVar[dict[str, str]]
    """Where `trust_remote_code` finds which class: what `auto_map` says in `config.json`."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        classes = cls.__name__.removesuffix("Config")
        cls.auto_classes = {
            "AutoConfig": f"configuration_uneven_widths.{classes}Config",
            "AutoModel": f"modeling_uneven_widths.{classes}Model",
            "AutoModelForSequenceClassification": f"modeling_uneven_widths.{classes}ForSequenceClassification",
        }

    @property
    def widths(self) -> list[int]:
        """Feed-forward neurons of each layer that hidden states pass."""
        layers: Any = self.per_layer_config
        return [getattr(layer, self.width_field) for layer in layers]

    @property
    def module_of(self) -> list[int]:
        """For each layer the number of the module that computes it: several may have one where layers are shared."""
        layers = self.num_hidden_layers
        return [int(layer / (layers / getattr(self, "num_hidden_groups", layers))) for layer in range(layers)]

    @contextmanager
    def evenly(self) -> Iterator[None]:
        """Context manager in which all layers have the width for all: transformers' classes can be built."""
        layers = self.to_dict().get("per_layer_config")
        self.per_layer_config = None
        try:
            yield
        finally:
            self.per_layer_config = layers

    def validate_widths(self):
        named = self.to_dict().get("per_layer_config") or {}
        other = sorted({key for layer in named.values() for key in layer} - {self.width_field})
        if other:
            raise ValueError(f"per_layer_config names {', '.join(other)}: only {self.width_field} may differ.")
        for layer, width in enumerate(self.widths):
            if isinstance(width, bool) or not isinstance(width, int) or width < 1:
                raise ValueError(f"per_layer_config: {width!r} neurons in layer {layer}; must be 1 or more.")
        if named and getattr(self, "inner_group_num", 1) != 1:
            raise ValueError(f"inner_group_num={self.inner_group_num} with per_layer_config: must be 1.")
        if len(set(zip(self.module_of, self.widths, strict=True))) != len(set(self.module_of)):
            raise ValueError("per_layer_config has different widths for layers that share their weights.")

    def save_pretrained(self, save_directory, *args, **kwargs):
        # transformers names only the class that is saved.
        self.auto_map: dict[str, Any] = dict(self.auto_classes)
        return super().save_pretrained(save_directory, *args, **kwargs)


@strict
class UnevenAlbertConfig(UnevenWidthsConfig, AlbertConfig):
    """[`~transformers.AlbertConfig`] with [`UnevenWidthsConfig`]; layers that share weights share a width."""

    model_type = "uneven_albert"


@strict
class UnevenBertConfig(UnevenWidthsConfig, BertConfig):
    """[`~transformers.BertConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_bert"


@strict
class UnevenDebertaConfig(UnevenWidthsConfig, DebertaConfig):
    """[`~transformers.DebertaConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_deberta"


@strict
class UnevenDebertaV2Config(UnevenWidthsConfig, DebertaV2Config):
    """[`~transformers.DebertaV2Config`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_deberta-v2"


@strict
class UnevenDistilBertConfig(UnevenWidthsConfig, DistilBertConfig):
    """[`~transformers.DistilBertConfig`] with [`UnevenWidthsConfig`], which calls the width `hidden_dim`."""

    model_type = "uneven_distilbert"
    width_field = "hidden_dim"


@strict
class UnevenElectraConfig(UnevenWidthsConfig, ElectraConfig):
    """[`~transformers.ElectraConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_electra"


@strict
class UnevenModernBertConfig(UnevenWidthsConfig, ModernBertConfig):
    """[`~transformers.ModernBertConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_modernbert"


@strict
class UnevenMPNetConfig(UnevenWidthsConfig, MPNetConfig):
    """[`~transformers.MPNetConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_mpnet"


@strict
class UnevenRobertaConfig(UnevenWidthsConfig, RobertaConfig):
    """[`~transformers.RobertaConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_roberta"


@strict
class UnevenXLMRobertaConfig(UnevenWidthsConfig, XLMRobertaConfig):
    """[`~transformers.XLMRobertaConfig`] with [`UnevenWidthsConfig`]."""

    model_type = "uneven_xlm-roberta"


CONFIGURATIONS = (
    UnevenAlbertConfig, UnevenBertConfig, UnevenDebertaConfig, UnevenDebertaV2Config, UnevenDistilBertConfig,
    UnevenElectraConfig, UnevenModernBertConfig, UnevenMPNetConfig, UnevenRobertaConfig, UnevenXLMRobertaConfig,
)  # fmt: skip
__all__ = [each.__name__ for each in CONFIGURATIONS]
