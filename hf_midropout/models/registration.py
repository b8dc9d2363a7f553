"""
Tells the Auto classes of this package's model when they are first used: importing the package brings no torch.

Registering as soon as transformers' modules are imported would not do: they import each other while half executed, and
our classes need them whole. Whoever calls an Auto class or makes a configuration is done with importing.
"""

from __future__ import annotations

import wrapt


CONFIGURATION_AUTO = "transformers.models.auto.configuration_auto"
CONFIGURATION = f"{__package__}.configuration_midropout_albert"


def register_on_first_use() -> None:
    """Puts off registering the configuration until `AutoConfig` is used, the model until there is a configuration."""
    wrapt.when_imported(CONFIGURATION_AUTO)(_watch_auto_config)
    wrapt.when_imported(CONFIGURATION)(_watch_configuration)


def _watch_auto_config(module) -> None:
    for name in ("AutoConfig.from_pretrained", "AutoConfig.for_model"):
        wrapt.wrap_function_wrapper(module, name, _after(_register_configuration))


def _watch_configuration(module) -> None:
    wrapt.wrap_function_wrapper(module, "MIDropoutAlbertConfig.__init__", _after(_register_model))


def _after(register):
    def wrapper(wrapped, _instance, args, kwargs):
        register()
        return wrapped(*args, **kwargs)

    return wrapper


def _register_configuration() -> None:
    from transformers import AutoConfig

    from .configuration_midropout_albert import MIDropoutAlbertConfig

    AutoConfig.register(MIDropoutAlbertConfig.model_type, MIDropoutAlbertConfig, exist_ok=True)


def _register_model() -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    from .configuration_midropout_albert import MIDropoutAlbertConfig
    from .modeling_midropout_albert import MIDropoutAlbertForSequenceClassification, MIDropoutAlbertModel

    AutoModel.register(MIDropoutAlbertConfig, MIDropoutAlbertModel, exist_ok=True)
    AutoModelForSequenceClassification.register(
        MIDropoutAlbertConfig, MIDropoutAlbertForSequenceClassification, exist_ok=True
    )
