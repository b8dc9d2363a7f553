"""Configuration of a DistilBERT text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import DistilBertConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutDistilBertConfig(MIDropoutHeadConfig, DistilBertConfig):
    r"""[`~transformers.DistilBertConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_distilbert"
    auto_classes = {
        "AutoConfig": "configuration_midropout_distilbert.MIDropoutDistilBertConfig",
        "AutoModel": "modeling_midropout_distilbert.MIDropoutDistilBertModel",
        "AutoModelForSequenceClassification": (
            "modeling_midropout_distilbert.MIDropoutDistilBertForSequenceClassification"
        ),
    }


__all__ = ["MIDropoutDistilBertConfig"]
