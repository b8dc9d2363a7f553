"""
What a head can be regularized with, by the name that goes into `head_regularizer`: Dropout's variants, and the methods
that MI-Dropout is compared with. They act in training only. `docs/regularizers.md` says what stands for which name.
"""

from . import concrete, information, noise  # noqa: F401  they register their classes
from .base import (
    REGULARIZERS,
    Regularizer,
    check_regularizer,
    default_weight,
    make_regularizers,
    regularizer,
    regularizer_names,
)


__all__ = [
    "REGULARIZERS",
    "Regularizer",
    "check_regularizer",
    "default_weight",
    "make_regularizers",
    "regularizer",
    "regularizer_names",
]
