"""ELECTRA for text classification with a masked dense head: see `modeling_midropout.py`."""

from transformers import ElectraForSequenceClassification, ElectraModel

from .configuration_midropout_electra import MIDropoutElectraConfig
from .modeling_midropout import MIDropoutClassifierMixin, MIDropoutTokensHead


class MIDropoutElectraModel(ElectraModel):
    """
    The encoder of [`MIDropoutElectraForSequenceClassification`] alone: [`~transformers.ElectraModel`] as it is, so
    that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutElectraConfig
    config: MIDropoutElectraConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]


class MIDropoutElectraForSequenceClassification(MIDropoutClassifierMixin, ElectraForSequenceClassification):
    """
    [`~transformers.ElectraForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, as the stock classifier's head does.
    """

    config_class = MIDropoutElectraConfig
    config: MIDropoutElectraConfig
    head_class = MIDropoutTokensHead


# `save_pretrained` then copies the files beside the weights.
MIDropoutElectraConfig.register_for_auto_class()
MIDropoutElectraModel.register_for_auto_class("AutoModel")
MIDropoutElectraForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutElectraForSequenceClassification", "MIDropoutElectraModel"]
