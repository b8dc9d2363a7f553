"""
Which architectures have a model with a MI-Dropout head, and where things are in its checkpoints: for those who must
know before torch or transformers is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


PREFIX = "midropout_"
UNEVEN = "uneven_"
UNEVEN_CODE = ("configuration_uneven_widths.py", "modeling_uneven_widths.py")


@dataclass(frozen=True)
class HeadArchitecture:
    """
    One architecture that a MI-Dropout head can be put on.

    Args:
        name (`str`): As its authors write it.
        classes (`str`): What stands for it in the names of classes, as in `RobertaConfig`.
        encoder (`str`): The attribute of a classifier that holds the encoder.
        feed_forward (`str`, *optional*, defaults to `"encoder.layer.0.output.dense"`): Within the encoder, the linear
            map out of the first layer's feed-forward neurons.
        words (`str`, *optional*, defaults to `"embeddings.word_embeddings"`): Within the encoder, the embeddings.
        positions (`str`, *optional*, defaults to `"embeddings.position_embeddings"`): Within the encoder, embeddings
            of positions; `None` if they need not be there.
        pooler (`str`, *optional*): Within the encoder, the square map whose output the head reads.
        embedding_size, hidden_size, intermediate_size, num_layers (`str`): Fields of the config with these sizes; one
            without an `embedding_size` has embeddings of the hidden size.
        counts_from_padding (`bool`, *optional*, defaults to `False`): Whether the first token's position is the number
            after that of the padding token, so that the positions before it are lost.
    """

    name: str
    classes: str
    encoder: str
    feed_forward: str = "encoder.layer.0.output.dense"
    words: str = "embeddings.word_embeddings"
    positions: str | None = "embeddings.position_embeddings"
    pooler: str | None = None
    embedding_size: str = "hidden_size"
    hidden_size: str = "hidden_size"
    intermediate_size: str = "intermediate_size"
    num_layers: str = "num_hidden_layers"
    counts_from_padding: bool = False


HEAD_ARCHITECTURES = {
    "albert": HeadArchitecture(
        "ALBERT", "Albert", "albert", "encoder.albert_layer_groups.0.albert_layers.0.ffn_output", pooler="pooler",
        embedding_size="embedding_size",
    ),
    "bert": HeadArchitecture("BERT", "Bert", "bert", pooler="pooler.dense"),
    "deberta": HeadArchitecture("DeBERTa", "Deberta", "deberta", positions=None, embedding_size="embedding_size"),
    "deberta-v2": HeadArchitecture(
        "DeBERTa-v2", "DebertaV2", "deberta", positions=None, embedding_size="embedding_size"
    ),
    "distilbert": HeadArchitecture(
        "DistilBERT", "DistilBert", "distilbert", "transformer.layer.0.ffn.lin2", embedding_size="dim",
        hidden_size="dim", intermediate_size="hidden_dim", num_layers="n_layers",
    ),
    "electra": HeadArchitecture("ELECTRA", "Electra", "electra", embedding_size="embedding_size"),
    "modernbert": HeadArchitecture(
        "ModernBERT", "ModernBert", "model", "layers.0.mlp.Wo", words="embeddings.tok_embeddings", positions=None
    ),
    "mpnet": HeadArchitecture("MPNet", "MPNet", "mpnet", counts_from_padding=True),
    "roberta": HeadArchitecture("RoBERTa", "Roberta", "roberta", counts_from_padding=True),
    "xlm-roberta": HeadArchitecture("XLM-RoBERTa", "XLMRoberta", "roberta", counts_from_padding=True),
}  # fmt: skip
"""By the `model_type` of stock checkpoints. A new architecture is a row here, and two files in `models/`."""


def own_type(stock: str) -> str:
    """The `model_type` of checkpoints with a MI-Dropout head, given that of stock ones."""
    return PREFIX + stock


def uneven_type(stock: str) -> str:
    """The `model_type` of checkpoints whose feed-forward layers have different widths, given that of stock ones."""
    return UNEVEN + stock


def stock_type(model_type: Any) -> str | None:
    """The stock `model_type` of an architecture that a MI-Dropout head can be on, given that or our own; or `None`."""
    if not isinstance(model_type, str):
        return None
    prefix = next((each for each in (PREFIX, UNEVEN) if model_type.startswith(each)), "")
    stock = model_type.removeprefix(prefix)
    return stock if stock in HEAD_ARCHITECTURES else None


def is_own(model_type: Any) -> bool:
    """Whether this is the `model_type` of a model with a MI-Dropout head."""
    return isinstance(model_type, str) and model_type.startswith(PREFIX) and stock_type(model_type) is not None


def is_uneven(model_type: Any) -> bool:
    """Whether this is the `model_type` of a model whose feed-forward layers have different widths."""
    return isinstance(model_type, str) and model_type.startswith(UNEVEN) and stock_type(model_type) is not None


def brings_code(model_type: Any) -> bool:
    """Whether checkpoints of this `model_type` bring code along that is also in this package."""
    return is_own(model_type) or is_uneven(model_type)


def module_name(stock: str, kind: str = "modeling") -> str:
    """The module of `models/` with the classes of an architecture: `kind` is `"configuration"` or `"modeling"`."""
    return f"{kind}_{PREFIX}{stock.replace('-', '_')}"


def auto_map(stock: str, uneven: bool = False) -> dict[str, str]:
    """`auto_map` in `config.json`: where `trust_remote_code` finds which class, of a head or of `uneven` widths."""
    classes = f"{'Uneven' if uneven else 'MIDropout'}{HEAD_ARCHITECTURES[stock].classes}"
    names = [name.removesuffix(".py") for name in code_files(stock, uneven)[-2:]]
    modeling = f"{names[1]}.{classes}"
    return {
        "AutoConfig": f"{names[0]}.{classes}Config",
        "AutoModel": f"{modeling}Model",
        "AutoModelForSequenceClassification": f"{modeling}ForSequenceClassification",
    }


def code_files(stock: str, uneven: bool = False) -> tuple[str, ...]:
    """The files of `models/` that travel with checkpoints of an architecture, of a head or of `uneven` widths."""
    if uneven:
        return UNEVEN_CODE
    kinds = ("configuration", "modeling")
    return (*(f"{kind}_midropout.py" for kind in kinds), *(f"{module_name(stock, kind)}.py" for kind in kinds))


HEAD_CODE_FILES = tuple(dict.fromkeys(name for stock in HEAD_ARCHITECTURES for name in code_files(stock)))
ALL_CODE_FILES = (*HEAD_CODE_FILES, *UNEVEN_CODE)


def position_limit(config: dict[str, Any]) -> int | None:
    """The longest text, in tokens, that a `config.json` of one of these architectures has positions for."""
    limit, stock = config.get("max_position_embeddings"), stock_type(config.get("model_type"))
    if not isinstance(limit, int) or stock is None:
        return None
    if not HEAD_ARCHITECTURES[stock].counts_from_padding:
        return limit
    padding = config.get("pad_token_id")
    return limit - 1 - (padding if isinstance(padding, int) else 1)
