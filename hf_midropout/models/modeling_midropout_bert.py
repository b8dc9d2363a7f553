"""BERT for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import BertForSequenceClassification, BertModel

from .configuration_midropout_bert import MIDropoutBertConfig
from .modeling_midropout import MIDropoutClassifierMixin


class MIDropoutBertModel(BertModel):
    """
    The encoder of [`MIDropoutBertForSequenceClassification`] alone: [`~transformers.BertModel`] as it is, so that
    `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutBertConfig
    config: MIDropoutBertConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]


class MIDropoutBertForSequenceClassification(MIDropoutClassifierMixin, BertForSequenceClassification):
    """
    [`~transformers.BertForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the pooled
    output: the first token through BERT's pretrained pooler, a linear map and a tanh.
    """

    config_class = MIDropoutBertConfig
    config: MIDropoutBertConfig
    pooler_of_tokens = "bert.pooler"


# `save_pretrained` then copies the files beside the weights.
MIDropoutBertConfig.register_for_auto_class()
MIDropoutBertModel.register_for_auto_class("AutoModel")
MIDropoutBertForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutBertForSequenceClassification", "MIDropoutBertModel"]
