"""Configuration of an ELECTRA text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import ElectraConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutElectraConfig(MIDropoutHeadConfig, ElectraConfig):
    r"""[`~transformers.ElectraConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_electra"
    auto_classes = {
        "AutoConfig": "configuration_midropout_electra.MIDropoutElectraConfig",
        "AutoModel": "modeling_midropout_electra.MIDropoutElectraModel",
        "AutoModelForSequenceClassification": ("modeling_midropout_electra.MIDropoutElectraForSequenceClassification"),
    }


__all__ = ["MIDropoutElectraConfig"]
