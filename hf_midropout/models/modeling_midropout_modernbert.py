"""ModernBERT for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import ModernBertForSequenceClassification, ModernBertModel

from .configuration_midropout_modernbert import MIDropoutModernBertConfig
from .modeling_midropout import MIDropoutClassifierMixin


class MIDropoutModernBertModel(ModernBertModel):
    """
    The encoder of [`MIDropoutModernBertForSequenceClassification`] alone: [`~transformers.ModernBertModel`] as it is,
    so that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutModernBertConfig
    config: MIDropoutModernBertConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\.", r"^head\."]


class MIDropoutModernBertForSequenceClassification(MIDropoutClassifierMixin, ModernBertForSequenceClassification):
    """
    [`~transformers.ModernBertForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads what
    ModernBERT's pretrained prediction head makes of the first token or, with `config.classifier_pooling="mean"`, of
    the mean over tokens.
    """

    config_class = MIDropoutModernBertConfig
    config: MIDropoutModernBertConfig
    pooler_of_tokens = "head"


# `save_pretrained` then copies the files beside the weights.
MIDropoutModernBertConfig.register_for_auto_class()
MIDropoutModernBertModel.register_for_auto_class("AutoModel")
MIDropoutModernBertForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutModernBertForSequenceClassification", "MIDropoutModernBertModel"]
