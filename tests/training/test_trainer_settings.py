"""
What a Trainer can be told, and MIDropoutCallback in it: to the prune step the training is the plain one, bit for bit;
after it as many steps follow, neurons stay dropped, and the record says what the model has.
"""

import copy
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_rows
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments, get_linear_schedule_with_warmup

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning.record.training import PruningRecord


# 11 batches of 12, the last of 8: neither three nor four batches a step divide them.
TRAIN, VALID, OTHER = make_rows(128, seed=2), make_rows(50, seed=3), make_rows(20, seed=5)
KEPT = [6, 4, 3]
ARGUMENTS = {
    "num_train_epochs": 1,
    "per_device_train_batch_size": 12,
    "per_device_eval_batch_size": 16,
    "learning_rate": 2e-3,
    "logging_steps": 1,
    "save_strategy": "no",
    "disable_tqdm": True,
    "use_cpu": True,
    "dataloader_pin_memory": False,
    "report_to": [],
    "seed": 7,
}


@dataclass
class Setting:
    """
    Args:
        arguments (`dict`): Of `TrainingArguments`.
        given (`Callable`): Makes further arguments of the Trainer, of the model.
        model (`Callable`): Makes the model out of the tiny one.
        trainer_class (`type`): Of the Trainer.
        config (`dict`): Of `MIDropoutConfig`.
        steps (`int`): Optimizer steps that it comes to.
        start (`int`): The step after which neurons are dropped.
        validated (`int`): Rows that networks are compared on.
        equals (`str`, *optional*): Another setting, of which the whole training is the same, bit for bit.
        nearly (`bool`): Not quite: sums are in another order.
        plain (`bool`): Whether it is compared with a training without the callback; not if that takes too long.
        check (`Callable`, *optional*): What else must hold of the Trainer, the record and the folder.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    given: Callable = lambda model: {}
    model: Callable = copy.deepcopy
    trainer_class: type[Trainer] = Trainer
    config: dict[str, Any] = field(default_factory=dict)
    steps: int = 11
    start: int = 5
    validated: int = 50
    equals: str | None = None
    nearly: bool = False
    plain: bool = True
    check: Callable = lambda trainer, record: None


def reseed() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)


def prepare(setting: Setting, base, folder, callbacks) -> Trainer:
    reseed()
    model = setting.model(base)
    given = {"train_dataset": TRAIN, "eval_dataset": VALID, "callbacks": callbacks, **setting.given(model)}
    if "model_init" not in given:
        given["model"] = model
    arguments = TrainingArguments(str(folder), **{**ARGUMENTS, **setting.arguments})
    return setting.trainer_class(args=arguments, **given)


class Watcher(TrainerCallback):
    """Neurons kept at the end of each step, by layer."""

    def __init__(self):
        self.kept = {}

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.kept[state.global_step] = [int(layer.mask.sum()) for layer in model.masked_layers().values()]


def losses(trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def weights(trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def unwrapped(trainer):
    """The model as it is saved: without adapters, and without accelerate's autocast around its `forward`."""
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False, keep_torch_compile=False)
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


# --- what the settings are made of -----------------------------------------------------------------------------------


def pad(items):
    """A collator: pads on the right, whatever else the rows hold."""
    longest = max(len(item["input_ids"]) for item in items)
    batch = {"labels": torch.tensor([item["labels"] for item in items])}
    for name in ("input_ids", "attention_mask"):
        batch[name] = torch.tensor([[*item[name], *[0] * (longest - len(item[name]))] for item in items])
    return batch


def of_many_lengths(rows):
    lengths = [4 + index % 5 for index in range(len(rows))]
    return rows.map(
        lambda row, index: {name: row[name][: lengths[index]] for name in ("input_ids", "attention_mask")},
        with_indices=True,
    )


def mean_loss(outputs, labels, num_items_in_batch=None):
    return cross_entropy(outputs.logits, labels)


def own_optimizer(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    return {"optimizers": (optimizer, get_linear_schedule_with_warmup(optimizer, 0, 11))}


def own_model_init(model):
    return {"model_init": lambda: copy.deepcopy(model)}


def with_metrics(*needed):
    def compute(predictions):
        for name in needed:
            assert getattr(predictions, name) is not None
        return {"accuracy": float((predictions.predictions.argmax(-1) == predictions.label_ids).mean())}

    return lambda model: {"compute_metrics": compute}


def batchwise_metrics(model):
    seen = []

    def compute(predictions, compute_result):
        seen.append((predictions.predictions.argmax(-1) == predictions.label_ids).float())
        if not compute_result:
            return {}
        rows = torch.cat(seen)
        seen.clear()
        return {"accuracy": float(rows.mean()), "rows": len(rows)}

    return {"compute_metrics": compute}


def with_lora(**options):
    def wrap(base):
        import peft

        torch.manual_seed(3)
        options_ = {"target_modules": ["query", "value"], **options}
        return peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(r=2, lora_alpha=8, **options_))

    return wrap


class OwnTrainLoader(Trainer):
    def get_train_dataloader(self):
        return DataLoader(TRAIN.with_format("torch"), batch_size=12, collate_fn=self.data_collator)


class OwnEvalLoader(Trainer):
    def get_eval_dataloader(self, eval_dataset=None):
        return DataLoader(OTHER.with_format("torch"), batch_size=8, collate_fn=self.data_collator)


class OwnLoss(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = cross_entropy(outputs.logits, labels)
        return (loss, {"logits": outputs.logits}) if return_outputs else loss


class FullOnce(Trainer):
    """Runs out of memory with batches of more than 10."""

    def training_step(self, model, inputs, *args, **kwargs):
        if len(inputs["labels"]) > 10 and self.state.global_step == 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return super().training_step(model, inputs, *args, **kwargs)


# --- what else must hold of some -------------------------------------------------------------------------------------


def dropped_after_one_epoch(trainer, record):
    done = next(entry for entry in trainer.state.log_history if "midropout/before/bits/classifier.layers.0" in entry)
    assert done["epoch"] == pytest.approx(1.0)


def compared_on_the_eval_datasets(trainer, record):
    assert {"eval_one_loss", "eval_two_loss"} <= set().union(*trainer.state.log_history)


def as_evaluated(trainer, record):
    """The metrics after retraining are those of the Trainer's own evaluation."""
    evaluated = trainer.evaluate()
    assert record.validation["after_retraining"]["accuracy"] == pytest.approx(evaluated["eval_accuracy"])
    assert record.validation["after_retraining"]["loss"] == pytest.approx(evaluated["eval_loss"], abs=1e-5)
    assert evaluated.get("eval_rows", 50) == 50


def evaluated_at_the_start(trainer, record):
    assert trainer.state.log_history[0]["step"] == 0 and "eval_loss" in trainer.state.log_history[0]


def best_is_pruned(trainer, record):
    assert trainer.state.best_global_step >= record.step
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{trainer.state.best_global_step}")


def no_noise_is_left(trainer, record):
    assert not trainer.model.get_input_embeddings()._forward_hooks


def weights_are_float32(trainer, record):
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


def adapters_were_trained(trainer, record):
    ups = [tensor for name, tensor in trainer.model.state_dict().items() if "lora_B" in name]
    assert ups and all(bool(tensor.any()) for tensor in ups)


def batch_was_cut(trainer, record):
    assert trainer._train_batch_size == 10


def checkpoints_have_the_masks(trainer, record):
    from safetensors.torch import load_file

    for step in (3, 6, 9):
        saved = load_file(Path(trainer.args.output_dir, f"checkpoint-{step}", "model.safetensors"))
        kept = [int(saved[f"classifier.layers.{index}.mask"].sum()) for index in range(3)]
        assert kept == (KEPT if step >= record.step else [12, 8, 6]), step


EVERY_3 = {"eval_strategy": "steps", "eval_steps": 3}
EVALS = {"one": OTHER, "two": VALID}
CUT = {"gradient_accumulation_steps": 3, "num_train_epochs": 2}

SETTINGS = {
    "default": Setting(),
    "evaluated": Setting(EVERY_3),
    "gradient accumulation 3": Setting(CUT, steps=8, start=4, config={"start": "1 epochs"},
                                       check=dropped_after_one_epoch),
    "gradient accumulation 4": Setting({**CUT, "gradient_accumulation_steps": 4}, steps=6, start=3,
                                       config={"start": "1 epochs"}, check=dropped_after_one_epoch),
    "a batch in three parts": Setting({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3},
                                      equals="default", nearly=True),
    "max_steps": Setting({"max_steps": 17}, steps=17, start=8),
    "max_steps, an int to start": Setting({"max_steps": 6}, steps=6, start=2, config={"start": 2}),
    "no eval dataset": Setting(given=lambda model: {"eval_dataset": None}, validated=0, equals="default"),
    "eval datasets": Setting(EVERY_3, lambda model: {"eval_dataset": EVALS}, validated=20,
                             check=compared_on_the_eval_datasets),
    "eval datasets, the second": Setting(EVERY_3, lambda model: {"eval_dataset": EVALS},
                                         config={"eval_dataset": "two"}, check=compared_on_the_eval_datasets),
    "group_by_length": Setting({"train_sampling_strategy": "group_by_length"}, lambda model: {
        "data_collator": pad, "train_dataset": of_many_lengths(TRAIN), "eval_dataset": of_many_lengths(VALID)}),
    "workers": Setting({"dataloader_num_workers": 2}),
    "persistent workers": Setting({"dataloader_num_workers": 1, "dataloader_persistent_workers": True,
                                   "num_train_epochs": 2}, steps=22, start=11),
    "stream": Setting({"max_steps": 15}, lambda model: {"train_dataset": TRAIN.to_iterable_dataset(),
                                                        "eval_dataset": VALID.to_iterable_dataset()},
                      steps=15, start=7),
    "label smoothing": Setting({"label_smoothing_factor": 0.1}),
    "compute_loss_func": Setting(given=lambda model: {"compute_loss_func": mean_loss}, equals="default", nearly=True),
    "own optimizer and scheduler": Setting(given=own_optimizer, equals="default", nearly=True),
    "adafactor": Setting({"optim": "adafactor"}),
    "neftune": Setting({"neftune_noise_alpha": 5.0}, check=no_noise_is_left),
    "bf16": Setting({"bf16": True}, check=weights_are_float32),
    "torch_compile": Setting({"torch_compile": True, "torch_compile_backend": "eager"}, equals="default", nearly=True,
                             plain=False),
    "model_init": Setting(given=own_model_init, equals="default"),
    "own get_train_dataloader": Setting(trainer_class=OwnTrainLoader),
    "own get_eval_dataloader": Setting(trainer_class=OwnEvalLoader, validated=20, equals="default"),
    "own compute_loss": Setting(EVERY_3, trainer_class=OwnLoss, equals="evaluated", nearly=True),
    "LoRA with a task": Setting(model=with_lora(task_type="SEQ_CLS"), check=adapters_were_trained),
    "LoRA without": Setting(model=with_lora(modules_to_save=["classifier"]), check=adapters_were_trained),
    "batch_eval_metrics": Setting({"batch_eval_metrics": True, **EVERY_3}, batchwise_metrics, equals="evaluated",
                                  check=as_evaluated),
    "eval_accumulation_steps": Setting({"eval_accumulation_steps": 2, **EVERY_3}, with_metrics(), equals="evaluated",
                                       check=as_evaluated),
    "include_for_metrics": Setting({"include_for_metrics": ["inputs", "loss"], **EVERY_3},
                                   with_metrics("inputs", "losses"), equals="evaluated", check=as_evaluated),
    "load_best_model_at_end": Setting({"load_best_model_at_end": True, "save_strategy": "steps", "save_steps": 3,
                                       **EVERY_3}, check=best_is_pruned),
    "checkpoints": Setting({"save_strategy": "steps", "save_steps": 3}, equals="default",
                           check=checkpoints_have_the_masks),
    "eval_on_start": Setting({"eval_on_start": True, **EVERY_3}, check=evaluated_at_the_start),
    "full_determinism": Setting({"full_determinism": True}, equals="default", nearly=True),
    "columns that are not used": Setting({"remove_unused_columns": False}, lambda model: {
        "data_collator": pad, "train_dataset": TRAIN.add_column("id", list(range(128)))}, equals="default"),
    "auto_find_batch_size": Setting({"auto_find_batch_size": True, "max_steps": 11}, trainer_class=FullOnce,
                                    check=batch_was_cut),
}  # fmt: skip


def run(setting: Setting, base, folder, resume=None):
    callback, watcher = MIDropoutCallback(MIDropoutConfig(**setting.config)), Watcher()
    trainer = prepare(setting, base, folder, [callback, watcher])
    trainer.train(resume_from_checkpoint=resume)
    return trainer, callback.record, watcher


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """`full_determinism` and accelerate set the process up for good."""
    environment, deterministic = dict(os.environ), torch.are_deterministic_algorithms_enabled()
    torch._dynamo.reset()
    yield
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = False
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


@pytest.fixture(scope="module")
def reference(learned_model_once, tmp_path_factory):
    """Losses, weights and record of a setting, trained once."""

    @cache
    def trained(name):
        trainer, record, _ = run(SETTINGS[name], learned_model_once, tmp_path_factory.mktemp("reference"))
        return losses(trainer), weights(trainer), record

    return trained


# The one after the colon is like it, and not slow.
SLOW = {
    "gradient accumulation 4": "gradient accumulation 3",
    "max_steps, an int to start": "max_steps",
    "eval datasets, the second": "eval datasets",
    "persistent workers": "workers",
    "label smoothing": "compute_loss_func",
    "adafactor": "own optimizer and scheduler",
    "torch_compile": "default",  # and test_precision_and_compile.py
    "LoRA without": "LoRA with a task",
    "include_for_metrics": "eval_accumulation_steps",
    "a batch in three parts": "gradient accumulation 3",
    "own get_eval_dataloader": "own get_train_dataloader",
    "own compute_loss": "compute_loss_func",
    "batch_eval_metrics": "eval_accumulation_steps",
    "group_by_length": "columns that are not used",
    "eval_on_start": "evaluated",
    "full_determinism": "default",
    "max_steps": "stream",
    "workers": "default",  # and test_callback.py
    "own get_train_dataloader": "default",  # and test_trainer_data.py
    "checkpoints": "load_best_model_at_end",  # and below, resumed
    "auto_find_batch_size": "default",  # and test_resumed_training.py
    "neftune": "default",
    "model_init": "default",  # and test_callback.py
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in SETTINGS]
)
def test_setting(name, learned_model_once, tmp_path, reference):
    if name.startswith("LoRA"):
        pytest.importorskip("peft")
    setting = SETTINGS[name]
    trainer, record, watcher = run(setting, learned_model_once, tmp_path / "out")
    assert trainer.state.global_step == setting.steps
    if setting.plain and (setting.nearly or not setting.equals):  # what equals another is as that one is
        check_against_the_plain_training(setting, trainer, learned_model_once, tmp_path / "plain")
    check_masks(setting, watcher, record)
    check_record(setting, trainer, record)
    if setting.equals:
        check_equal(trainer, record, *reference(setting.equals), atol=1e-2 if setting.nearly else 0)
    setting.check(trainer, record)
    check_dropped_neurons_have_no_effect(trainer, record)


def check_against_the_plain_training(setting, trainer, base, folder):
    plain = prepare(setting, base, folder, [])
    plain.train()
    assert plain.state.global_step == trainer.state.global_step
    assert plain.state.epoch == trainer.state.epoch
    before, after = losses(plain), losses(trainer)
    assert before[: setting.start] == after[: setting.start] and len(before) == len(after) >= setting.steps
    assert before[setting.start :] != after[setting.start :]


def check_masks(setting, watcher, record):
    assert [step for step, kept in watcher.kept.items() if kept == KEPT] == list(
        range(setting.start, setting.steps + 1)
    )
    assert all(kept == [12, 8, 6] for step, kept in watcher.kept.items() if step < setting.start)
    assert record.step == setting.start


def check_record(setting, trainer, record):
    layers = trainer.model.masked_layers()
    assert {name: mask.tolist() for name, mask in record.selection.kept.items()} == {
        name: layer.mask.tolist() for name, layer in layers.items()
    }
    assert [layer.kept for layer in record.layers()] == KEPT and record.refused is None
    assert record.max_steps == setting.steps
    assert record.before.num_samples == record.after.num_samples == 128
    for name, scores in record.after.layers.items():
        assert (scores.bits[~record.selection.kept[name]] == 0).all()
        assert (record.before.layers[name].bits >= 0).all()
    assert record.validation.get("rows", 0) == setting.validated
    assert (
        (record.after_retraining is not None)
        == (record.pruning_steps[0].baselines is not None)
        == bool(setting.validated)
    )
    assert PruningRecord.load(trainer.args.output_dir).to_dict() == record.to_dict()


def check_equal(trainer, record, expected_losses, expected_weights, expected_record, atol=0.0):
    assert losses(trainer) == pytest.approx(expected_losses, abs=atol, rel=0)
    found = weights(trainer)
    assert found.keys() == expected_weights.keys()
    for name, tensor in expected_weights.items():
        assert float((found[name].float() - tensor.float()).abs().max()) <= atol, name
    for name, scores in expected_record.before.layers.items():
        assert float((record.before.layers[name].bits - scores.bits).abs().max()) <= atol, name


def check_dropped_neurons_have_no_effect(trainer, record):
    """Whatever their weights are; and the compact model, which lacks them, computes the same."""
    model, ids = unwrapped(trainer).eval(), torch.tensor(VALID["input_ids"])
    with torch.no_grad():
        expected = model(ids).logits
        for mode in (False, True):
            outputs = []
            handles = [
                layer.register_forward_hook(lambda module, args, output, outputs=outputs: outputs.append(output))
                for layer in model.classifier.layers
            ]
            model.train(mode)(ids)
            for handle in handles:
                handle.remove()
            for output, kept in zip(outputs, record.selection.kept.values(), strict=True):
                assert (output[:, ~kept] == 0).all() and output[:, kept].any()
        model.eval()
        compact = model.compact()
        for layer in model.classifier.layers:
            layer.dense.weight[~layer.mask] = 1e3
        assert torch.equal(model(ids).logits, expected)
        assert compact.config.head_widths == KEPT
        difference = float((compact(ids).logits - expected).abs().max())
    assert difference <= 1e-5


@pytest.fixture(scope="module")
def stopped(learned_model_once, tmp_path_factory) -> Path:
    """The output folder of a training with checkpoints."""
    folder = tmp_path_factory.mktemp("stopped") / "out"
    run(SETTINGS["checkpoints"], learned_model_once, folder)
    return folder


@pytest.mark.parametrize("step", [3, 6, 9])
def test_resumed_from_a_checkpoint(step, stopped, learned_model_once, tmp_path, reference):
    setting, out = SETTINGS["checkpoints"], Path(shutil.copytree(stopped, tmp_path / "out"))
    trainer, record, _ = run(setting, learned_model_once, out, out / f"checkpoint-{step}")
    check_equal(trainer, record, *reference("default"))
    check_record(setting, trainer, record)
    check_dropped_neurons_have_no_effect(trainer, record)


def test_what_the_encoder_cannot_is_refused_as_without_the_callback(learned_model_once, tmp_path):
    known = {each.name for each in fields(TrainingArguments)}
    option = next(name for name in ("activation_checkpointing", "gradient_checkpointing") if name in known)
    setting, said = Setting({option: True}), []
    for callbacks in ([], [MIDropoutCallback()]):
        with pytest.raises(ValueError) as refused:
            prepare(setting, learned_model_once, tmp_path, callbacks).train()
        said.append(str(refused.value))
    assert said[0] == said[1] and "checkpointing" in said[0]
