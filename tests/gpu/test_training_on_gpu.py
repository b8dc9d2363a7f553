"""Trainings on a GPU: the same neurons as on the CPU, in mixed precision, compiled, by `accelerate launch`."""

import copy
import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning.head.apply import verify_compaction
from hf_midropout.scoring.batches import batches_for
from hf_midropout.training.distillation import Distillation


@pytest.fixture
def trained(tmp_path, learned_model_once, train_rows, valid_rows):
    """trained(device, config, **arguments): the Trainer and its callback after 8 steps."""

    def train(device, config=None, model=None, **arguments):
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        values = {"max_steps": 8, "learning_rate": 1e-2, "save_strategy": "no", **arguments}
        options = TrainingArguments(
            str(folder), per_device_train_batch_size=16, per_device_eval_batch_size=32, logging_steps=1, seed=7,
            disable_tqdm=True, report_to=[], use_cpu=str(device) == "cpu", dataloader_pin_memory=False, **values,
        )  # fmt: skip
        callback = MIDropoutCallback(MIDropoutConfig(**{"start": 4, **(config or {})}))
        trainer = Trainer(
            copy.deepcopy(model or learned_model_once), options, train_dataset=train_rows, eval_dataset=valid_rows,
            callbacks=[callback],
        )  # fmt: skip
        trainer.train()
        return trainer, callback

    return train


def masks(trainer):
    return [layer.mask.tolist() for layer in trainer.model.classifier.layers]


CASES = {
    "half": {"keep": 0.5},
    "rounds": {"keep": 0.25, "start": 2, "pruning_steps": 2},
    "search": {"threshold": "search", "margin": 0.2},
    "joint": {"keep": 0.5, "criterion": "joint_information"},
    "reinitialize": {"keep": 0.5, "action": "reinitialize"},
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_neurons_as_on_the_cpu(case, device, trained):
    """Of the same weights: they do not change before neurons are dropped."""
    (on_cpu, of_cpu), (on_gpu, of_gpu) = (trained(where, CASES[case], learning_rate=0.0) for where in ("cpu", device))
    for name, layer in of_cpu.record.before.layers.items():
        assert (of_gpu.record.before.layers[name].bits.cpu() - layer.bits).abs().max() < 0.05
    if of_cpu.record.selection is None:
        assert of_gpu.record.selection is None
        return
    agreeing = [
        (mask == of_gpu.record.selection.kept[name]).double().mean()
        for name, mask in of_cpu.record.selection.kept.items()
    ]
    assert sum(agreeing) / len(agreeing) > 0.9


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_mixed_precision(precision, device, trained, valid_rows, tmp_path):
    if precision == "fp16" and device.type == "cpu":
        pytest.skip("float16 needs a GPU")
    arguments = {} if precision == "fp32" else {precision: True}
    trainer, callback = trained(device, {"keep": 0.5}, **arguments)
    assert trainer.model.dtype == torch.float32 and callback.record.validation["after_retraining"]["accuracy"] > 0.5
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False).eval()
    compact = model.compact().eval()
    assert verify_compaction(model, compact, batches_for(model, valid_rows, 32)) < 1e-5
    compact.save_pretrained(tmp_path / "compact")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "compact").eval()
    tokens = torch.arange(5, 45).view(4, 10)
    with torch.no_grad():
        assert torch.allclose(loaded(tokens).logits, model(tokens.to(model.device)).logits.cpu(), atol=1e-3)


@pytest.mark.parametrize("kind", ["bf16", "fp32"])
def test_compiled_by_inductor(kind, device, trained):
    """Dropping neurons compiles nothing again."""
    if device.type == "cpu":
        pytest.skip("needs a compiler that a GPU machine has")
    torch._dynamo.reset()
    compiled, callback = trained(
        device, {"keep": 0.5}, torch_compile=True, bf16=kind == "bf16", dataloader_drop_last=True
    )
    assert sum(map(sum, masks(compiled))) == 13
    assert callback.record.validation["after_retraining"]["accuracy"] > 0.5


def test_resumed_in_bf16(device, trained, train_rows, learned_model):
    """Every number of the GPU's generator is where it was: as in a run that was not stopped."""
    whole, _ = trained(device, {"keep": 0.5}, bf16=True, save_strategy="steps", save_steps=2)
    for step in (2, 4, 6):
        resumed = Trainer(
            copy.deepcopy(learned_model), whole.args, train_dataset=train_rows, eval_dataset=whole.eval_dataset,
            callbacks=[MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))],
        )  # fmt: skip
        resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-{step}")
        assert masks(resumed) == masks(whole)
        for name, tensor in whole.model.state_dict().items():
            assert torch.allclose(resumed.model.state_dict()[name], tensor, atol=1e-3), (step, name)


def test_distillation(device, learned_model_once, tokens):
    teacher, student = (copy.deepcopy(learned_model_once).to(device) for _ in range(2))
    distillation = Distillation(teacher.cpu(), weight=0.5, temperature=2.0)
    distillation.attach(student.train())
    student(input_ids=tokens.to(device), labels=torch.zeros(8, dtype=torch.long, device=device)).loss.backward()
    distillation.detach()
    assert student.classifier.layers[0].dense.weight.grad.isfinite().all()


def launched(folder, config, *more):
    """`hf-midropout train` on built-in data; its record."""
    command = [
        sys.executable, "-m", "hf_midropout", "train", "--output_dir", str(folder), "--accelerate_config", config,
        "--accelerate", "num_processes=1", "main_process_port=0", "mixed_precision=no",
        "--max_train_samples", "512", "--num_train_epochs", "2", "--disable_tqdm", "true", "--save_strategy", "epoch",
        "--seed", "3", *more,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads((folder / "midropout_record.json").read_text()), done.stdout + done.stderr


@pytest.mark.parametrize("config", ["gpu", "a100_8gpu", "fsdp2"])
def test_accelerate_launch(config, device, tmp_path):
    """One process: as it is, over NCCL, and with FSDP2 over NCCL."""
    if device.type == "cpu":
        pytest.skip("needs NCCL")
    record, _ = launched(tmp_path / config, config)
    assert record["pruning_steps"]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / config / "compact")
    assert all(parameter.isfinite().all() for parameter in model.parameters())
