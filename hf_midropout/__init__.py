"""Mutual-information pruning for text classifiers trained with the Hugging Face Trainer."""

import importlib
import sys
from typing import TYPE_CHECKING

from .models.registration import register_on_first_use
from .version import __version__


# Public names and the modules that hold them, imported on first use: `import hf_midropout` does not import torch.
_MODULE_OF = {
    "MIDropoutAlbertConfig": "models.configuration_midropout_albert",
    "MIDropoutAlbertForSequenceClassification": "models.modeling_midropout_albert",
    "MIDropoutAlbertModel": "models.modeling_midropout_albert",
    "MIDropoutCallback": "training.callback",
    "MIDropoutConfig": "pruning.config",
    "NeuronScores": "scoring.scores",
    "last_whole_checkpoint": "training.resuming",
    "prune": "pruning.prune_model",
    "score_neurons": "scoring.neurons",
}

if TYPE_CHECKING:
    from .models.configuration_midropout_albert import MIDropoutAlbertConfig
    from .models.modeling_midropout_albert import MIDropoutAlbertForSequenceClassification, MIDropoutAlbertModel
    from .pruning.config import MIDropoutConfig
    from .pruning.prune_model import prune
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
    return sorted({*globals(), *_MODULE_OF})


register_on_first_use()


__all__ = [
    "MIDropoutAlbertConfig",
    "MIDropoutAlbertForSequenceClassification",
    "MIDropoutAlbertModel",
    "MIDropoutCallback",
    "MIDropoutConfig",
    "NeuronScores",
    "__version__",
    "last_whole_checkpoint",
    "prune",
    "score_neurons",
]
