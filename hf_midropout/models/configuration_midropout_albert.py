"""Configuration of an ALBERT text classifier with a masked dense head."""

from huggingface_hub.dataclasses import strict
from transformers import AlbertConfig

from .configuration_midropout import MIDropoutHeadConfig


@strict
class MIDropoutAlbertConfig(MIDropoutHeadConfig, AlbertConfig):
    r"""
    [`~transformers.AlbertConfig`] plus the dense head whose fields [`MIDropoutHeadConfig`] has.

    Example:

    ```python
    >>> from hf_midropout import MIDropoutAlbertConfig

    >>> MIDropoutAlbertConfig(head_widths=[32, 16], num_labels=4).head_widths
    [32, 16]
    ```
    """

    model_type = "midropout_albert"
    auto_classes = {
        "AutoConfig": "configuration_midropout_albert.MIDropoutAlbertConfig",
        "AutoModel": "modeling_midropout_albert.MIDropoutAlbertModel",
        "AutoModelForSequenceClassification": ("modeling_midropout_albert.MIDropoutAlbertForSequenceClassification"),
    }


__all__ = ["MIDropoutAlbertConfig"]
