"""DistilBERT for text classification with a masked dense head: see `modeling_midropout.py`."""

import torch
from transformers import DistilBertForSequenceClassification, DistilBertModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_midropout_distilbert import MIDropoutDistilBertConfig
from .modeling_midropout import MIDropoutClassifierMixin


class MIDropoutDistilBertModel(DistilBertModel):
    """
    The encoder of [`MIDropoutDistilBertForSequenceClassification`] alone: [`~transformers.DistilBertModel`] as it is,
    so that `AutoModel` and `pipeline("feature-extraction")` read our checkpoints too.
    """

    config_class = MIDropoutDistilBertConfig
    config: MIDropoutDistilBertConfig
    _keys_to_ignore_on_load_unexpected = [r"^classifier\."]


class MIDropoutDistilBertForSequenceClassification(MIDropoutClassifierMixin, DistilBertForSequenceClassification):
    """
    [`~transformers.DistilBertForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`]. It reads the first
    token's hidden state, in place of the stock classifier's `pre_classifier`, which is not pretrained.
    """

    config_class = MIDropoutDistilBertConfig
    config: MIDropoutDistilBertConfig

    def remove_unused(self) -> None:
        del self.pre_classifier

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        """As [`~transformers.DistilBertForSequenceClassification`]; the loss is a mean over the batch."""
        outputs = self.distilbert(
            input_ids=input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            position_ids=position_ids,
            return_dict=True,
            **kwargs,
        )
        logits = self.classifier(self.dropout(outputs.last_hidden_state[:, 0]))
        loss = self.loss_function(labels, logits, self.config) if labels is not None else None
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=outputs.hidden_states, attentions=outputs.attentions
        )


# `save_pretrained` then copies the files beside the weights.
MIDropoutDistilBertConfig.register_for_auto_class()
MIDropoutDistilBertModel.register_for_auto_class("AutoModel")
MIDropoutDistilBertForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutDistilBertForSequenceClassification", "MIDropoutDistilBertModel"]
