"""DeBERTa-v2 for text classification with a masked dense head: see `modeling_midropout.py`."""

from torch import nn
from transformers import DebertaV2ForSequenceClassification, DebertaV2Model

from .configuration_midropout_deberta_v2 import MIDropoutDebertaV2Config
from .modeling_midropout import MIDropoutClassifierMixin, MIDropoutTokensHead


class MIDropoutDebertaV2Model(DebertaV2Model):
    """
    The encoder of [`MIDropoutDebertaV2ForSequenceClassification`] alone: [`~transformers.DebertaV2Model`] as it is, so
    that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutDebertaV2Config
    config: MIDropoutDebertaV2Config
    _keys_to_ignore_on_load_unexpected = [r"^classifier\.", "position_embeddings"]


class MIDropoutDebertaV2ForSequenceClassification(MIDropoutClassifierMixin, DebertaV2ForSequenceClassification):
    """
    [`~transformers.DebertaV2ForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, in place of the stock classifier's pooler, which is not pretrained.
    """

    config_class = MIDropoutDebertaV2Config
    config: MIDropoutDebertaV2Config
    head_class = MIDropoutTokensHead

    def remove_unused(self) -> None:
        self.pooler = nn.Identity()


# `save_pretrained` then copies the files beside the weights.
MIDropoutDebertaV2Config.register_for_auto_class()
MIDropoutDebertaV2Model.register_for_auto_class("AutoModel")
MIDropoutDebertaV2ForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutDebertaV2ForSequenceClassification", "MIDropoutDebertaV2Model"]
