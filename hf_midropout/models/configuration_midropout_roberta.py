"""Configuration of a RoBERTa text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import RobertaConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutRobertaConfig(MIDropoutHeadConfig, RobertaConfig):
    r"""[`~transformers.RobertaConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_roberta"
    auto_classes = {
        "AutoConfig": "configuration_midropout_roberta.MIDropoutRobertaConfig",
        "AutoModel": "modeling_midropout_roberta.MIDropoutRobertaModel",
        "AutoModelForSequenceClassification": ("modeling_midropout_roberta.MIDropoutRobertaForSequenceClassification"),
    }


__all__ = ["MIDropoutRobertaConfig"]
