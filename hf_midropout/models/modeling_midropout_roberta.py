"""RoBERTa for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import RobertaForSequenceClassification, RobertaModel

from .configuration_midropout_roberta import MIDropoutRobertaConfig
from .modeling_midropout import MIDropoutClassifierMixin, MIDropoutTokensHead


class MIDropoutRobertaModel(RobertaModel):
    """
    The encoder of [`MIDropoutRobertaForSequenceClassification`] alone: [`~transformers.RobertaModel`] as it is, so
    that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutRobertaConfig
    config: MIDropoutRobertaConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]

    def __init__(self, config: MIDropoutRobertaConfig):
        super().__init__(config, add_pooling_layer=False)  # classifiers have none


class MIDropoutRobertaForSequenceClassification(MIDropoutClassifierMixin, RobertaForSequenceClassification):
    """
    [`~transformers.RobertaForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, as the stock classifier's head does.
    """

    config_class = MIDropoutRobertaConfig
    config: MIDropoutRobertaConfig
    head_class = MIDropoutTokensHead


# `save_pretrained` then copies the files beside the weights.
MIDropoutRobertaConfig.register_for_auto_class()
MIDropoutRobertaModel.register_for_auto_class("AutoModel")
MIDropoutRobertaForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutRobertaForSequenceClassification", "MIDropoutRobertaModel"]
