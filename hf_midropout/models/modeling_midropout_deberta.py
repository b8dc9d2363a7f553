"""DeBERTa for text classification with a masked dense head: see `modeling_midropout.py`."""

from torch import nn
from transformers import DebertaForSequenceClassification, DebertaModel

from .configuration_midropout_deberta import MIDropoutDebertaConfig
from .modeling_midropout import MIDropoutClassifierMixin, MIDropoutTokensHead


class MIDropoutDebertaModel(DebertaModel):
    """
    The encoder of [`MIDropoutDebertaForSequenceClassification`] alone: [`~transformers.DebertaModel`] as it is, so
    that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutDebertaConfig
    config: MIDropoutDebertaConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\.", "position_embeddings"]


class MIDropoutDebertaForSequenceClassification(MIDropoutClassifierMixin, DebertaForSequenceClassification):
    """
    [`~transformers.DebertaForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, in place of the stock classifier's pooler, which is not pretrained.
    """

    config_class = MIDropoutDebertaConfig
    config: MIDropoutDebertaConfig
    head_class = MIDropoutTokensHead

    def remove_unused(self) -> None:
        self.pooler = nn.Identity()


# `save_pretrained` then copies the files beside the weights.
MIDropoutDebertaConfig.register_for_auto_class()
MIDropoutDebertaModel.register_for_auto_class("AutoModel")
MIDropoutDebertaForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutDebertaForSequenceClassification", "MIDropoutDebertaModel"]
