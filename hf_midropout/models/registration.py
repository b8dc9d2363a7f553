"""
Tells the Auto classes of this package's models when they are first used: importing the package brings no torch.

Registering as soon as transformers' modules are imported would not do: they import each other while half executed, and
our classes need them whole. Whoever calls an Auto class or makes a configuration is done with importing. A model's
classes are imported only when a configuration of its architecture is made.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module

import wrapt

from ..model_types import HEAD_ARCHITECTURES, module_name, own_type


CONFIGURATION_AUTO = "transformers.models.auto.configuration_auto"


def register_on_first_use() -> None:
    """Puts off registering configurations until `AutoConfig` is used, a model until there is one of its own."""
    wrapt.when_imported(CONFIGURATION_AUTO)(_watch_auto_config)
    for stock in HEAD_ARCHITECTURES:
        name = f"{__package__}.{module_name(stock, 'configuration')}"
        wrapt.when_imported(name)(partial(_watch_configuration, stock))
    wrapt.when_imported(f"{__package__}.configuration_uneven_widths")(_watch_uneven_configurations)


def _watch_auto_config(module) -> None:
    for name in ("AutoConfig.from_pretrained", "AutoConfig.for_model"):
        wrapt.wrap_function_wrapper(module, name, _after(_register_configurations))


def _watch_configuration(stock: str, module) -> None:
    name = f"{_classes(stock)}Config.__init__"
    wrapt.wrap_function_wrapper(module, name, _after(partial(_register_model, stock)))


def _watch_uneven_configurations(module) -> None:
    for number, configuration in enumerate(module.CONFIGURATIONS):
        wrapt.wrap_function_wrapper(
            module, f"{configuration.__name__}.__init__", _after(partial(_register_uneven_model, number))
        )


def _after(register):
    def wrapper(wrapped, _instance, args, kwargs):
        register()
        return wrapped(*args, **kwargs)

    return wrapper


def _register_configurations() -> None:
    from transformers import AutoConfig

    for stock in HEAD_ARCHITECTURES:
        AutoConfig.register(own_type(stock), _configuration(stock), exist_ok=True)
    for configuration in _uneven("configuration").CONFIGURATIONS:
        AutoConfig.register(configuration.model_type, configuration, exist_ok=True)


def _register_model(stock: str) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    configuration, module = _configuration(stock), import_module(f".{module_name(stock)}", __package__)
    AutoModel.register(configuration, getattr(module, f"{_classes(stock)}Model"), exist_ok=True)
    AutoModelForSequenceClassification.register(
        configuration, getattr(module, f"{_classes(stock)}ForSequenceClassification"), exist_ok=True
    )


def _register_uneven_model(number: int) -> None:
    from transformers import AutoModel, AutoModelForSequenceClassification

    configuration, modeling = _uneven("configuration").CONFIGURATIONS[number], _uneven("modeling")
    AutoModel.register(configuration, modeling.MODELS[number], exist_ok=True)
    AutoModelForSequenceClassification.register(configuration, modeling.CLASSIFIERS[number], exist_ok=True)


def _uneven(kind: str):
    return import_module(f".{kind}_uneven_widths", __package__)


def _configuration(stock: str):
    module = import_module(f".{module_name(stock, 'configuration')}", __package__)
    return getattr(module, f"{_classes(stock)}Config")


def _classes(stock: str) -> str:
    return f"MIDropout{HEAD_ARCHITECTURES[stock].classes}"
