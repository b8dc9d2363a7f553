"""XLM-RoBERTa for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import XLMRobertaForSequenceClassification, XLMRobertaModel

from .configuration_midropout_xlm_roberta import MIDropoutXLMRobertaConfig
from .modeling_midropout import MIDropoutClassifierMixin, MIDropoutTokensHead


class MIDropoutXLMRobertaModel(XLMRobertaModel):
    """
    The encoder of [`MIDropoutXLMRobertaForSequenceClassification`] alone: [`~transformers.XLMRobertaModel`] as it is,
    so that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutXLMRobertaConfig
    config: MIDropoutXLMRobertaConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]

    def __init__(self, config: MIDropoutXLMRobertaConfig):
        super().__init__(config, add_pooling_layer=False)  # classifiers have none


class MIDropoutXLMRobertaForSequenceClassification(MIDropoutClassifierMixin, XLMRobertaForSequenceClassification):
    """
    [`~transformers.XLMRobertaForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, as the stock classifier's head does.
    """

    config_class = MIDropoutXLMRobertaConfig
    config: MIDropoutXLMRobertaConfig
    head_class = MIDropoutTokensHead


# `save_pretrained` then copies the files beside the weights.
MIDropoutXLMRobertaConfig.register_for_auto_class()
MIDropoutXLMRobertaModel.register_for_auto_class("AutoModel")
MIDropoutXLMRobertaForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutXLMRobertaForSequenceClassification", "MIDropoutXLMRobertaModel"]
