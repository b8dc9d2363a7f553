"""
Prunes the heads of the tests' tiny model and of the built-in task in short trainings and writes what came of it, as
JSON: the file beside this one.

    PYTHONPATH=tests python tests/golden/make_head.py tests/golden/head.json

Bits and weights are given exactly (as hexadecimal floats and a hash), so that two versions of the code can be compared
bit for bit on one machine.
"""

import hashlib
import json
import platform
import sys
import tempfile
from pathlib import Path

import torch
from conftest import learn, make_rows, tiny_config
from transformers import Trainer, TrainingArguments, set_seed

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig
from hf_midropout.models.builtin import builtin_task


STEPS, START = 36, 30


def tiny_task():
    """A model that has learned, its rows, and no tokenizer."""
    data = {"train": make_rows(512, seed=2), "validation": make_rows(256, seed=3)}
    model = MIDropoutAlbertForSequenceClassification(tiny_config(head_widths=[24, 16, 12]))
    return learn(model, data["train"]), None, data


def digest(tensors) -> str:
    hashed = hashlib.sha256()
    for tensor in tensors:
        hashed.update(tensor.detach().contiguous().numpy().tobytes())
    return hashed.hexdigest()


def golden(task=builtin_task, **options) -> dict:
    set_seed(42)
    model, tokenizer, data = task()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=STEPS, learning_rate=3e-3, per_device_train_batch_size=32, use_cpu=True, report_to=[],
            per_device_eval_batch_size=64, save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
            logging_strategy="no",
        )  # fmt: skip
        callback = MIDropoutCallback(MIDropoutConfig(start=START, score_samples=2048, **options))
        Trainer(
            model, arguments, train_dataset=data["train"], eval_dataset=data["validation"], processing_class=tokenizer,
            callbacks=[callback],
        ).train()  # fmt: skip
    record = callback.record
    return {
        "rows": {name: len(rows) for name, rows in data.items()},
        "kept": {name: mask.nonzero().flatten().tolist() for name, mask in record.selection.kept.items()},
        "bits": {name: [value.hex() for value in layer.bits.tolist()] for name, layer in record.before.layers.items()},
        "bits_after": {name: layer.bits.sum().item() for name, layer in record.after.layers.items()},
        "validation": record.validation,
        "one_shot": record.pruning_steps[-1].baselines["one_shot"],
        "weights": digest(model.state_dict().values()),
        "weight_sum": float(sum(parameter.double().sum() for parameter in model.parameters())),
    }


CASES = {
    "tiny": {"task": tiny_task, "keep": 0.5},
    "default": {"keep": 0.5},
    "joint information": {"keep": 0.25, "criterion": "joint_information"},
    "two rounds": {"keep": 0.25, "pruning_steps": 2, "scope": "global", "reconstruction": "mean"},
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    results = {name: golden(**options) for name, options in CASES.items()}
    content = {"python": platform.python_version(), "torch": torch.__version__, **results}
    Path(sys.argv[1]).write_text(json.dumps(content, indent=1) + "\n")
