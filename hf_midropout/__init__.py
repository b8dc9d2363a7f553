"""Mutual-information pruning for text classifiers trained with the Hugging Face Trainer."""

import importlib
import sys
from typing import TYPE_CHECKING

from .registration import register_on_first_use
from .version import __version__


# Public names and the modules that hold them, imported on first use: `import hf_midropout` does not import torch.
_MODULE_OF = {
    "MIDropoutAlbertConfig": "configuration_midropout_albert",
    "MIDropoutAlbertForSequenceClassification": "modeling_midropout_albert",
    "MIDropoutAlbertModel": "modeling_midropout_albert",
    "MIDropoutCallback": "callback",
    "MIDropoutConfig": "midropout_config",
    "NeuronScores": "scores",
    "last_whole_checkpoint": "resuming",
    "prune": "prune_model",
    "score_neurons": "scoring",
}

if TYPE_CHECKING:
    from .callback import MIDropoutCallback
    from .configuration_midropout_albert import MIDropoutAlbertConfig
    from .midropout_config import MIDropoutConfig
    from .modeling_midropout_albert import MIDropoutAlbertForSequenceClassification, MIDropoutAlbertModel
    from .prune_model import prune
    from .resuming import last_whole_checkpoint
    from .scores import NeuronScores
    from .scoring import score_neurons


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
