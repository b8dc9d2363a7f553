"""Configuration of a BERT text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import BertConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutBertConfig(MIDropoutHeadConfig, BertConfig):
    r"""[`~transformers.BertConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_bert"
    auto_classes = {
        "AutoConfig": "configuration_midropout_bert.MIDropoutBertConfig",
        "AutoModel": "modeling_midropout_bert.MIDropoutBertModel",
        "AutoModelForSequenceClassification": ("modeling_midropout_bert.MIDropoutBertForSequenceClassification"),
    }


__all__ = ["MIDropoutBertConfig"]
