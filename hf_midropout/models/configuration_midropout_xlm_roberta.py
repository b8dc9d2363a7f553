"""Configuration of an XLM-RoBERTa text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import XLMRobertaConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutXLMRobertaConfig(MIDropoutHeadConfig, XLMRobertaConfig):
    r"""[`~transformers.XLMRobertaConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_xlm-roberta"
    auto_classes = {
        "AutoConfig": "configuration_midropout_xlm_roberta.MIDropoutXLMRobertaConfig",
        "AutoModel": "modeling_midropout_xlm_roberta.MIDropoutXLMRobertaModel",
        "AutoModelForSequenceClassification": (
            "modeling_midropout_xlm_roberta.MIDropoutXLMRobertaForSequenceClassification"
        ),
    }


__all__ = ["MIDropoutXLMRobertaConfig"]
