"""Configuration of a DeBERTa text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import DebertaConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutDebertaConfig(MIDropoutHeadConfig, DebertaConfig):
    r"""[`~transformers.DebertaConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_deberta"
    auto_classes = {
        "AutoConfig": "configuration_midropout_deberta.MIDropoutDebertaConfig",
        "AutoModel": "modeling_midropout_deberta.MIDropoutDebertaModel",
        "AutoModelForSequenceClassification": ("modeling_midropout_deberta.MIDropoutDebertaForSequenceClassification"),
    }


__all__ = ["MIDropoutDebertaConfig"]
