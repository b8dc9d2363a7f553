"""Configuration of a ModernBERT text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import ModernBertConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutModernBertConfig(MIDropoutHeadConfig, ModernBertConfig):
    r"""[`~transformers.ModernBertConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_modernbert"
    auto_classes = {
        "AutoConfig": "configuration_midropout_modernbert.MIDropoutModernBertConfig",
        "AutoModel": "modeling_midropout_modernbert.MIDropoutModernBertModel",
        "AutoModelForSequenceClassification": (
            "modeling_midropout_modernbert.MIDropoutModernBertForSequenceClassification"
        ),
    }


__all__ = ["MIDropoutModernBertConfig"]
