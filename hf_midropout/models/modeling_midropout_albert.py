"""ALBERT for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import AlbertForSequenceClassification, AlbertModel

from .configuration_midropout_albert import MIDropoutAlbertConfig
from .modeling_midropout import MIDropoutClassifierMixin


class MIDropoutAlbertModel(AlbertModel):
    """
    The encoder of [`MIDropoutAlbertForSequenceClassification`] alone: [`~transformers.AlbertModel`] as it is, so that
    `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutAlbertConfig
    config: MIDropoutAlbertConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]


class MIDropoutAlbertForSequenceClassification(MIDropoutClassifierMixin, AlbertForSequenceClassification):
    """
    [`~transformers.AlbertForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the pooled
    output: the first token through ALBERT's pretrained pooler, a linear map and a tanh.
    """

    config_class = MIDropoutAlbertConfig
    config: MIDropoutAlbertConfig
    pooler_of_tokens = "albert.pooler"


# `save_pretrained` then copies the files beside the weights.
MIDropoutAlbertConfig.register_for_auto_class()
MIDropoutAlbertModel.register_for_auto_class("AutoModel")
MIDropoutAlbertForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutAlbertForSequenceClassification", "MIDropoutAlbertModel"]
