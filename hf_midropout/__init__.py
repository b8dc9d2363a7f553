"""Mutual-information pruning for text classifiers trained with the Hugging Face Trainer."""

import importlib
import sys
from typing import TYPE_CHECKING

from .model_types import HEAD_ARCHITECTURES, module_name
from .models.registration import register_on_first_use
from .version import __version__


# Public names and the modules that hold them, imported on first use: `import hf_midropout` does not import torch.
_MODULE_OF = {
    "MIDropoutCallback": "training.callback",
    "MIDropoutConfig": "pruning.config",
    "NeuronScores": "scoring.scores",
    "builtin_task": "models.builtin",
    "last_whole_checkpoint": "training.resuming",
    "prune": "pruning.steps.prune_model",
    "score_neurons": "scoring.neurons",
}
for _stock, _row in HEAD_ARCHITECTURES.items():
    _MODULE_OF[f"MIDropout{_row.classes}Config"] = f"models.{module_name(_stock, 'configuration')}"
    for _kind in ("ForSequenceClassification", "Model"):
        _MODULE_OF[f"MIDropout{_row.classes}{_kind}"] = f"models.{module_name(_stock)}"

if TYPE_CHECKING:
    from .models.builtin import builtin_task
    from .models.configuration_midropout_albert import MIDropoutAlbertConfig
    from .models.configuration_midropout_bert import MIDropoutBertConfig
    from .models.configuration_midropout_deberta import MIDropoutDebertaConfig
    from .models.configuration_midropout_deberta_v2 import MIDropoutDebertaV2Config
    from .models.configuration_midropout_distilbert import MIDropoutDistilBertConfig
    from .models.configuration_midropout_electra import MIDropoutElectraConfig
    from .models.configuration_midropout_modernbert import MIDropoutModernBertConfig
    from .models.configuration_midropout_mpnet import MIDropoutMPNetConfig
    from .models.configuration_midropout_roberta import MIDropoutRobertaConfig
    from .models.configuration_midropout_xlm_roberta import MIDropoutXLMRobertaConfig
    from .models.modeling_midropout_albert import MIDropoutAlbertForSequenceClassification, MIDropoutAlbertModel
    from .models.modeling_midropout_bert import MIDropoutBertForSequenceClassification, MIDropoutBertModel
    from .models.modeling_midropout_deberta import MIDropoutDebertaForSequenceClassification, MIDropoutDebertaModel
    from .models.modeling_midropout_deberta_v2 import (
        MIDropoutDebertaV2ForSequenceClassification,
        MIDropoutDebertaV2Model,
    )
    from .models.modeling_midropout_distilbert import (
        MIDropoutDistilBertForSequenceClassification,
        MIDropoutDistilBertModel,
    )
    from .models.modeling_midropout_electra import MIDropoutElectraForSequenceClassification, MIDropoutElectraModel
    from .models.modeling_midropout_modernbert import (
        MIDropoutModernBertForSequenceClassification,
        MIDropoutModernBertModel,
    )
    from .models.modeling_midropout_mpnet import MIDropoutMPNetForSequenceClassification, MIDropoutMPNetModel
    from .models.modeling_midropout_roberta import MIDropoutRobertaForSequenceClassification, MIDropoutRobertaModel
    from .models.modeling_midropout_xlm_roberta import (
        MIDropoutXLMRobertaForSequenceClassification,
        MIDropoutXLMRobertaModel,
    )
    from .pruning.config import MIDropoutConfig
    from .pruning.steps.prune_model import prune
    from .scoring.neurons import score_neurons
    from .scoring.scores import NeuronScores
    from .training.callback import MIDropoutCallback
    from .training.resuming import last_whole_checkpoint


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


register_on_first_use()


__all__ = [
    "MIDropoutAlbertConfig",
    "MIDropoutAlbertForSequenceClassification",
    "MIDropoutAlbertModel",
    "MIDropoutBertConfig",
    "MIDropoutBertForSequenceClassification",
    "MIDropoutBertModel",
    "MIDropoutCallback",
    "MIDropoutConfig",
    "MIDropoutDebertaConfig",
    "MIDropoutDebertaForSequenceClassification",
    "MIDropoutDebertaModel",
    "MIDropoutDebertaV2Config",
    "MIDropoutDebertaV2ForSequenceClassification",
    "MIDropoutDebertaV2Model",
    "MIDropoutDistilBertConfig",
    "MIDropoutDistilBertForSequenceClassification",
    "MIDropoutDistilBertModel",
    "MIDropoutElectraConfig",
    "MIDropoutElectraForSequenceClassification",
    "MIDropoutElectraModel",
    "MIDropoutMPNetConfig",
    "MIDropoutMPNetForSequenceClassification",
    "MIDropoutMPNetModel",
    "MIDropoutModernBertConfig",
    "MIDropoutModernBertForSequenceClassification",
    "MIDropoutModernBertModel",
    "MIDropoutRobertaConfig",
    "MIDropoutRobertaForSequenceClassification",
    "MIDropoutRobertaModel",
    "MIDropoutXLMRobertaConfig",
    "MIDropoutXLMRobertaForSequenceClassification",
    "MIDropoutXLMRobertaModel",
    "NeuronScores",
    "__version__",
    "builtin_task",
    "last_whole_checkpoint",
    "prune",
    "score_neurons",
]
