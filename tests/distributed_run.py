"""Run in processes by test_distributed.py; each writes what it has seen to FOLDER/N_RANK.json."""

import copy
import functools
import gc
import hashlib
import json
from pathlib import Path
from unittest import mock

import torch
from accelerate import PartialState
from conftest import learn, make_rows, tiny_config
from transformers import Trainer, TrainingArguments

from hf_midropout import (
    MIDropoutAlbertForSequenceClassification,
    MIDropoutCallback,
    MIDropoutConfig,
    score_neurons,
)
from hf_midropout.pruning.head import decision
from hf_midropout.pruning.selection import NothingToSelect
from hf_midropout.utils.broadcasting import broadcast


def digest(tensors) -> str:
    hashed = hashlib.sha256()
    for tensor in tensors:
        hashed.update(tensor.detach().double().numpy().tobytes())
    return hashed.hexdigest()


def model():
    torch.manual_seed(0)
    return MIDropoutAlbertForSequenceClassification(tiny_config())


@functools.cache
def learned():
    """One that has learned: a network at chance is not searched."""
    return learn(model(), make_rows(131, seed=2))


def scored(rows, **options) -> dict:
    scores = score_neurons(model().eval(), rows, progress=False, **options)
    return {
        "digest": digest([value for layer in scores.layers.values() for value in (layer.bits, layer.p_value)]),
        "samples": scores.num_samples,
        "bytes": scores.bytes_reduced,
    }


def trained(folder: Path, learning_rate: float, validation_rows: int = 67, **options) -> dict:
    """Four optimizer steps over whatever number of processes, neurons dropped after the second."""
    processes = PartialState().num_processes
    arguments = TrainingArguments(
        str(folder), max_steps=4, per_device_train_batch_size=8 // processes, gradient_accumulation_steps=2,
        per_device_eval_batch_size=8, learning_rate=learning_rate, use_cpu=True, disable_tqdm=True, report_to=[],
        save_strategy="no", logging_steps=1, dataloader_pin_memory=False, eval_strategy="steps", eval_steps=2,
    )  # fmt: skip
    callback = MIDropoutCallback(MIDropoutConfig(start=2, **options))
    train, valid = make_rows(131, seed=2), make_rows(validation_rows, seed=3)
    start = model() if learning_rate else copy.deepcopy(learned())
    trainer = Trainer(start, arguments, train_dataset=train, eval_dataset=valid, callbacks=[callback])
    trainer.train()
    head = trainer.model.classifier
    kept = callback.record.selection.kept if callback.record.selection else {}
    return {
        "masks": [mask.tolist() for mask in kept.values()],
        "weights": digest(trainer.model.parameters() if callback.config.targets == "encoder" else head.parameters()),
        "eval_loss": trainer.evaluate()["eval_loss"],
        "refused": callback.record.refused,
        "validation": callback.record.validation,
    }


def told() -> dict:
    """What each process hears from the main one, which decides or fails."""
    process = PartialState()
    sent = {
        "bool": torch.tensor([True, False, True]),
        "wide": torch.tensor([[0.1], [-torch.inf]], dtype=torch.float64),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "number": torch.tensor(7),
        "empty": torch.zeros(0, 4),
    }
    mine = ({"text": "ä", "number": 0.1}, sent) if process.is_main_process else (None, {})
    content, tensors = broadcast(*mine) if process.num_processes > 1 else mine
    same = all(torch.equal(tensors[name], each) and tensors[name].dtype == each.dtype for name, each in sent.items())
    result = {"content": content, "tensors": same and list(tensors) == list(sent)}
    for name, error in (("value", NothingToSelect("threshold=2: too high")), ("other", KeyError("a layer"))):

        def fail(*_, error=error):
            raise error

        with mock.patch.object(decision, "decide", fail):
            try:
                decision.decide_once(None, None, None, None)
            except Exception as caught:
                result[name] = [isinstance(caught, ValueError), str(caught)]
    return result


def see(folder: Path) -> None:
    process = PartialState(cpu=True)
    rows = make_rows(131, seed=2)
    results = {
        "all rows": scored(rows, batch_size=8, max_samples=None),
        # sorted by label, read in order: some processes see one class only
        "stream": scored(rows.sort("labels").to_iterable_dataset(), batch_size=8, calibration_rows=16),
        # one batch: all processes but one have none
        "few rows": scored(rows.select(range(24)), batch_size=24),
        "frozen, keep": trained(folder, 0.0, keep=0.5),
        "told": told() if process.num_processes > 1 else None,
    }
    if process.num_processes < 4:  # two may differ from one in these, and four take twice the time
        results |= {
            "learning": trained(folder, 1e-2, keep=0.5),
            "frozen encoder": trained(folder, 0.0, keep=0.5, targets="encoder"),
            "frozen, search": trained(folder, 0.0, threshold="search", margin=0.2, criterion="joint_information"),
            "learning encoder": trained(folder, 1e-2, keep=0.5, targets="encoder", distill=0.5, baselines=False),
            # one batch: all processes but one have no evaluation row of their own
            "three evaluation rows": trained(folder, 0.0, validation_rows=3, keep=0.5),
        }
    (folder / f"{process.num_processes}_{process.process_index}.json").write_text(json.dumps(results))
    gc.collect()  # what belongs to the group of processes may wait for the others when it goes
    process.destroy_process_group()
