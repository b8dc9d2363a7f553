"""
Text classifiers whose feed-forward layers have different widths: transformers' own, but for these widths.

This file travels with checkpoints (`trust_remote_code`), as does `configuration_uneven_widths.py`: it imports nothing
else of the package.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import (
    AlbertForSequenceClassification,
    AlbertModel,
    BertForSequenceClassification,
    BertModel,
    DebertaForSequenceClassification,
    DebertaModel,
    DebertaV2ForSequenceClassification,
    DebertaV2Model,
    DistilBertForSequenceClassification,
    DistilBertModel,
    ElectraForSequenceClassification,
    ElectraModel,
    ModernBertForSequenceClassification,
    ModernBertModel,
    MPNetForSequenceClassification,
    MPNetModel,
    RobertaForSequenceClassification,
    RobertaModel,
    XLMRobertaForSequenceClassification,
    XLMRobertaModel,
)

from .configuration_uneven_widths import (
    CONFIGURATIONS,
    UnevenAlbertConfig,
    UnevenBertConfig,
    UnevenDebertaConfig,
    UnevenDebertaV2Config,
    UnevenDistilBertConfig,
    UnevenElectraConfig,
    UnevenModernBertConfig,
    UnevenMPNetConfig,
    UnevenRobertaConfig,
    UnevenXLMRobertaConfig,
)


if TYPE_CHECKING:
    from transformers import PreTrainedModel as Base
else:
    Base = object


class UnevenWidths(Base):
    """
    For a class that goes before one of transformers: builds it, then those layers anew whose width its configuration
    names.
    """

    # The losses are means over the batch: they ignore `num_items_in_batch`, which the Trainer would rely on.
    accepts_loss_kwargs = False

    config: Any
    layer_names = "encoder.layer.{}"
    """Of the layers within the base model, by number; within a layer, of the linear maps into and out of neurons:"""
    producer, consumer = "intermediate.dense", "output.dense"
    rows_per_neuron = 1
    """Of the first map: two where an activation is gated."""

    def __init__(self, config):
        with config.evenly():
            super().__init__(config)
        base = self.base_model
        for module, width in dict(zip(config.module_of, config.widths, strict=True)).items():
            layer = base.get_submodule(self.layer_names.format(module))
            old = layer.get_submodule(self.consumer)
            if old.in_features != width:
                self._replace(layer, self.producer, old.out_features, self.rows_per_neuron * width)
                self._replace(layer, self.consumer, width, old.out_features)

    @torch.no_grad()
    def _replace(self, layer: nn.Module, name: str, inputs: int, outputs: int) -> None:
        """A linear map of another shape, with weights drawn as for any other of this model."""
        old = layer.get_submodule(name)
        new = nn.Linear(inputs, outputs, bias=old.bias is not None, device=old.weight.device, dtype=old.weight.dtype)
        layer.set_submodule(name, new)
        self._init_weights(new)


class UnevenAlbertLayers(UnevenWidths):
    """Where Albert has its layers."""

    layer_names = "encoder.albert_layer_groups.{}.albert_layers.0"
    producer, consumer = "ffn", "ffn_output"


class UnevenAlbertModel(UnevenAlbertLayers, AlbertModel):
    """[`~transformers.AlbertModel`] with [`UnevenWidths`]."""

    config_class = UnevenAlbertConfig


class UnevenAlbertForSequenceClassification(UnevenAlbertLayers, AlbertForSequenceClassification):
    """[`~transformers.AlbertForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenAlbertConfig


class UnevenBertModel(UnevenWidths, BertModel):
    """[`~transformers.BertModel`] with [`UnevenWidths`]."""

    config_class = UnevenBertConfig


class UnevenBertForSequenceClassification(UnevenWidths, BertForSequenceClassification):
    """[`~transformers.BertForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenBertConfig


class UnevenDebertaModel(UnevenWidths, DebertaModel):
    """[`~transformers.DebertaModel`] with [`UnevenWidths`]."""

    config_class = UnevenDebertaConfig


class UnevenDebertaForSequenceClassification(UnevenWidths, DebertaForSequenceClassification):
    """[`~transformers.DebertaForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenDebertaConfig


class UnevenDebertaV2Model(UnevenWidths, DebertaV2Model):
    """[`~transformers.DebertaV2Model`] with [`UnevenWidths`]."""

    config_class = UnevenDebertaV2Config


class UnevenDebertaV2ForSequenceClassification(UnevenWidths, DebertaV2ForSequenceClassification):
    """[`~transformers.DebertaV2ForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenDebertaV2Config


class UnevenDistilBertLayers(UnevenWidths):
    """Where DistilBert has its layers."""

    layer_names = "transformer.layer.{}"
    producer, consumer = "ffn.lin1", "ffn.lin2"


class UnevenDistilBertModel(UnevenDistilBertLayers, DistilBertModel):
    """[`~transformers.DistilBertModel`] with [`UnevenWidths`]."""

    config_class = UnevenDistilBertConfig


class UnevenDistilBertForSequenceClassification(UnevenDistilBertLayers, DistilBertForSequenceClassification):
    """[`~transformers.DistilBertForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenDistilBertConfig


class UnevenElectraModel(UnevenWidths, ElectraModel):
    """[`~transformers.ElectraModel`] with [`UnevenWidths`]."""

    config_class = UnevenElectraConfig


class UnevenElectraForSequenceClassification(UnevenWidths, ElectraForSequenceClassification):
    """[`~transformers.ElectraForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenElectraConfig


class UnevenModernBertLayers(UnevenWidths):
    """Where ModernBert has its layers."""

    layer_names = "layers.{}"
    producer, consumer = "mlp.Wi", "mlp.Wo"
    rows_per_neuron = 2


class UnevenModernBertModel(UnevenModernBertLayers, ModernBertModel):
    """[`~transformers.ModernBertModel`] with [`UnevenWidths`]."""

    config_class = UnevenModernBertConfig


class UnevenModernBertForSequenceClassification(UnevenModernBertLayers, ModernBertForSequenceClassification):
    """[`~transformers.ModernBertForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenModernBertConfig


class UnevenMPNetModel(UnevenWidths, MPNetModel):
    """[`~transformers.MPNetModel`] with [`UnevenWidths`]."""

    config_class = UnevenMPNetConfig


class UnevenMPNetForSequenceClassification(UnevenWidths, MPNetForSequenceClassification):
    """[`~transformers.MPNetForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenMPNetConfig


class UnevenRobertaModel(UnevenWidths, RobertaModel):
    """[`~transformers.RobertaModel`] with [`UnevenWidths`]."""

    config_class = UnevenRobertaConfig


class UnevenRobertaForSequenceClassification(UnevenWidths, RobertaForSequenceClassification):
    """[`~transformers.RobertaForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenRobertaConfig


class UnevenXLMRobertaModel(UnevenWidths, XLMRobertaModel):
    """[`~transformers.XLMRobertaModel`] with [`UnevenWidths`]."""

    config_class = UnevenXLMRobertaConfig


class UnevenXLMRobertaForSequenceClassification(UnevenWidths, XLMRobertaForSequenceClassification):
    """[`~transformers.XLMRobertaForSequenceClassification`] with [`UnevenWidths`]."""

    config_class = UnevenXLMRobertaConfig


# `save_pretrained` then copies the files beside the weights.
MODELS = (
    UnevenAlbertModel,
    UnevenBertModel,
    UnevenDebertaModel,
    UnevenDebertaV2Model,
    UnevenDistilBertModel,
    UnevenElectraModel,
    UnevenModernBertModel,
    UnevenMPNetModel,
    UnevenRobertaModel,
    UnevenXLMRobertaModel,
)
CLASSIFIERS = (
    UnevenAlbertForSequenceClassification,
    UnevenBertForSequenceClassification,
    UnevenDebertaForSequenceClassification,
    UnevenDebertaV2ForSequenceClassification,
    UnevenDistilBertForSequenceClassification,
    UnevenElectraForSequenceClassification,
    UnevenModernBertForSequenceClassification,
    UnevenMPNetForSequenceClassification,
    UnevenRobertaForSequenceClassification,
    UnevenXLMRobertaForSequenceClassification,
)
for _configuration, _model, _classifier in zip(CONFIGURATIONS, MODELS, CLASSIFIERS, strict=True):
    _configuration.register_for_auto_class()
    _model.register_for_auto_class("AutoModel")
    _classifier.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = [each.__name__ for each in (*MODELS, *CLASSIFIERS)]
