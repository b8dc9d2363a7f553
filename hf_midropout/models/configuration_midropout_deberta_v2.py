"""Configuration of a DeBERTa-v2 text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import DebertaV2Config

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutDebertaV2Config(MIDropoutHeadConfig, DebertaV2Config):
    r"""[`~transformers.DebertaV2Config`] plus the dense head whose fields [`MIDropoutHeadConfig`] has."""

    model_type = "midropout_deberta-v2"
    auto_classes = {
        "AutoConfig": "configuration_midropout_deberta_v2.MIDropoutDebertaV2Config",
        "AutoModel": "modeling_midropout_deberta_v2.MIDropoutDebertaV2Model",
        "AutoModelForSequenceClassification": (
            "modeling_midropout_deberta_v2.MIDropoutDebertaV2ForSequenceClassification"
        ),
    }


__all__ = ["MIDropoutDebertaV2Config"]
