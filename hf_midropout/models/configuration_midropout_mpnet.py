"""Configuration of a MPNet text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import MPNetConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutMPNetConfig(MIDropoutHeadConfig, MPNetConfig):
    r"""[`~transformers.MPNetConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_mpnet"
    auto_classes = {
        "AutoConfig": "configuration_midropout_mpnet.MIDropoutMPNetConfig",
        "AutoModel": "modeling_midropout_mpnet.MIDropoutMPNetModel",
        "AutoModelForSequenceClassification": ("modeling_midropout_mpnet.MIDropoutMPNetForSequenceClassification"),
    }


__all__ = ["MIDropoutMPNetConfig"]
