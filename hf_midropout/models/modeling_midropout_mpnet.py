"""MPNet for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import MPNetForSequenceClassification, MPNetModel

from .configuration_midropout_mpnet import MIDropoutMPNetConfig
from .modeling_midropout import MIDropoutClassifierMixin, MIDropoutTokensHead


class MIDropoutMPNetModel(MPNetModel):
    """
    The encoder of [`MIDropoutMPNetForSequenceClassification`] alone: [`~transformers.MPNetModel`] as it is, so that
    `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutMPNetConfig
    config: MIDropoutMPNetConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]

    def __init__(self, config: MIDropoutMPNetConfig):
        super().__init__(config, add_pooling_layer=False)  # classifiers have none


class MIDropoutMPNetForSequenceClassification(MIDropoutClassifierMixin, MPNetForSequenceClassification):
    """
    [`~transformers.MPNetForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, as the stock classifier's head does.
    """

    config_class = MIDropoutMPNetConfig
    config: MIDropoutMPNetConfig
    head_class = MIDropoutTokensHead


# `save_pretrained` then copies the files beside the weights.
MIDropoutMPNetConfig.register_for_auto_class()
MIDropoutMPNetModel.register_for_auto_class("AutoModel")
MIDropoutMPNetForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutMPNetForSequenceClassification", "MIDropoutMPNetModel"]
