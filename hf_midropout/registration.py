"""Tells the Auto classes of this package's model, without importing torch: only once somebody else imports them."""

from __future__ import annotations

import sys

import wrapt


CONFIGURATION_AUTO = "transformers.models.auto.configuration_auto"
MODELING_AUTO = "transformers.models.auto.modeling_auto"
_NEEDED = (
    CONFIGURATION_AUTO,
    MODELING_AUTO,
    "transformers.models.albert.configuration_albert",
    "transformers.models.albert.modeling_albert",
    f"{__package__}.configuration_midropout_albert",
    f"{__package__}.modeling_midropout_albert",
)

_loaded: set[str] = set()
_registering = False


def register_when_imported() -> None:
    """Registers the classes now, if transformers' modules are imported already, or else when they are."""
    for name in _NEEDED:
        wrapt.register_post_import_hook(_on_import, name)


def _on_import(module) -> None:
    global _registering

    _loaded.add(module.__name__)
    # These modules import each other while they are half executed (and transformers swallows the ImportError that our
    # classes would then meet). Whichever of them finishes last finds all the others whole.
    half_executed = any(name in sys.modules and name not in _loaded for name in _NEEDED)
    if half_executed or _registering:
        return
    _registering = True
    try:
        _register()
    finally:
        _registering = False


def _register() -> None:
    if CONFIGURATION_AUTO in _loaded:
        from transformers import AutoConfig

        from .configuration_midropout_albert import MIDropoutAlbertConfig

        AutoConfig.register(MIDropoutAlbertConfig.model_type, MIDropoutAlbertConfig, exist_ok=True)
    if MODELING_AUTO in _loaded:
        from transformers import AutoModelForSequenceClassification

        from .configuration_midropout_albert import MIDropoutAlbertConfig
        from .modeling_midropout_albert import MIDropoutAlbertForSequenceClassification

        AutoModelForSequenceClassification.register(
            MIDropoutAlbertConfig, MIDropoutAlbertForSequenceClassification, exist_ok=True
        )
