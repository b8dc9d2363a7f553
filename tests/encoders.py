"""Tiny classifiers of every supported architecture, with random weights, and rows for them."""

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from hf_midropout.pruning.comparison.predictions import divergence
from hf_midropout.scoring.batches import FixedBatches


SIZES = {
    "num_labels": 3, "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 40,
}  # fmt: skip
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
ARCHITECTURES = {
    "albert": ("albert", {"embedding_size": 16, "num_hidden_groups": 3}),
    "albert-shared": ("albert", {"embedding_size": 16, "num_hidden_groups": 1}),
    "bert": ("bert", {}),
    "deberta": ("deberta", RELATIVE),
    "deberta-v2": ("deberta-v2", {**RELATIVE, "position_buckets": 8}),
    "distilbert": ("distilbert", {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 64}),
    "electra": ("electra", {"embedding_size": 16}),
    "modernbert": (
        "modernbert",
        {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
         "global_attn_every_n_layers": 2, "local_attention": 8},
    ),
    "mpnet": ("mpnet", {}),
    "roberta": ("roberta", {}),
    "xlm-roberta": ("xlm-roberta", {}),
}  # fmt: skip


def tiny_classifier(kind: str):
    """One of `ARCHITECTURES`, in eval mode, with weights large enough to make predictions differ between rows."""
    return with_large_weights(tiny_config(kind))


def tiny_head_classifier(kind: str):
    """The same with a MI-Dropout head."""
    return with_large_weights(tiny_config(kind, "midropout_", head_widths=[12, 8, 6]))


def with_large_weights(config):
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3)
    return model.eval()


def tiny_config(kind: str, prefix: str = "", **options):
    """The configuration of one of `ARCHITECTURES`; with `prefix="midropout_"`, of that with a MI-Dropout head."""
    name, more = ARCHITECTURES[kind]
    own = ("num_labels", "vocab_size", "max_position_embeddings") if name == "distilbert" else tuple(SIZES)
    return AutoConfig.for_model(prefix + name, **{**{key: SIZES[key] for key in own}, **more, **options})


def bits_lost(dense: torch.Tensor, pruned: torch.Tensor) -> float:
    """Mean bits by which predictions `[N, C]` differ from those of a dense network."""
    return float(divergence(dense, pruned).mean())


def rows(count: int, batch_size: int = 8) -> FixedBatches:
    """Random rows of 5 to 15 tokens, padded on the right."""
    generator = torch.Generator().manual_seed(0)
    items = []
    for length in torch.randint(5, 16, (count,), generator=generator).tolist():
        ids = torch.randint(3, 60, (length,), generator=generator)
        items.append({"input_ids": ids, "labels": int(torch.randint(0, 3, (), generator=generator))})
    return FixedBatches(items, batch_size, collate)


def collate(items):
    longest = max(len(item["input_ids"]) for item in items)
    ids = torch.zeros(len(items), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, item in enumerate(items):
        ids[row, : len(item["input_ids"])] = item["input_ids"]
        mask[row, : len(item["input_ids"])] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([item["labels"] for item in items])}
