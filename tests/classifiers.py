"""Small classifiers of texts about sport and money, as they lie in folders: trained, pruned in the head, guessing."""

from pathlib import Path

import torch
from conftest import learn, tiny_config
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.models.builtin import train_tokenizer


SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 24}
LABELS = ("money", "sport")
NAMES = {"id2label": dict(enumerate(LABELS)), "label2id": {name: number for number, name in enumerate(LABELS)}}


def save_classifiers(folder: Path, data_folder: Path) -> Path:
    """
    Saves in `folder`: `dense`, a BERT that has learned `data_folder`; `narrow`, the same with fewer neurons;
    `guessing`, one that has not; and `out/compact`, what `hf-midropout train` leaves.
    """
    rows = Dataset.from_csv(str(data_folder / "train.csv"))
    tokenizer = train_tokenizer(rows["text"][:], vocab_size=60)
    encoded = tokenizer(rows["text"][:], padding=True, truncation=True, max_length=24)
    labels = [LABELS.index(label) for label in rows["label"]]
    tokens = Dataset.from_dict({**{name: encoded[name] for name in ("input_ids", "attention_mask")}, "labels": labels})
    torch.manual_seed(0)
    models = {
        name: BertForSequenceClassification(
            BertConfig(vocab_size=len(tokenizer), intermediate_size=width, **SIZES, **NAMES)
        )
        for name, width in (("dense", 32), ("narrow", 16), ("guessing", 16))
    }
    for name in ("dense", "narrow"):
        learn(models[name], tokens, steps=30)
    models["out/compact"] = MIDropoutAlbertForSequenceClassification(
        tiny_config(vocab_size=len(tokenizer), num_labels=2, max_position_embeddings=24, head_widths=[5, 4], **NAMES)
    )
    for name, model in models.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder
