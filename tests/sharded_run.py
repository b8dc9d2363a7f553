"""
Run in processes by test_sharded.py; each writes what it has seen to FOLDER/KIND_RANK.pt.

    python sharded_run.py FOLDER KIND [KIND]

KIND is `plain`, `fsdp2` or `zero2`; for the latter two accelerate has been given the package's YAML file.
"""

import copy
import functools
import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from conftest import learn, make_rows, tiny_config
from distributed_run import digest
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig
from hf_midropout.groups.sharding import full_module
from hf_midropout.pruning.head.apply import verify_compaction
from hf_midropout.scoring.batches import batches_for


# accelerate shards only what runs on GPUs. What does the sharding runs on the CPU, too, if told to.
AS_ON_GPUS = {"plain": None, "fsdp2": DistributedType.MULTI_GPU, "zero2": DistributedType.DEEPSPEED}


def distribute(kind: str) -> PartialState:
    """The state of the processes, anew for each training."""
    os.environ["ACCELERATE_USE_FSDP"] = str(kind == "fsdp2").lower()
    AcceleratorState._reset_state(reset_partial_state=True)
    state = PartialState(cpu=True)
    if AS_ON_GPUS[kind]:
        PartialState._shared_state["distributed_type"] = AS_ON_GPUS[kind]
    return state


@functools.cache
def models() -> tuple:
    """One that has learned nothing, and one that has: a network at chance is not searched."""
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification(tiny_config(head_dropout=0.1))
    return model, learn(copy.deepcopy(model), make_rows(131, seed=2))


def make_trainer(kind: str, folder: Path, training: dict, **options) -> Trainer:
    """Six optimizer steps over whatever number of processes, neurons dropped after the second and the fourth."""
    state = distribute(kind)
    values = {"learning_rate": 1e-2, "save_strategy": "no", "gradient_accumulation_steps": 2} | training
    arguments = TrainingArguments(
        str(folder), max_steps=6, per_device_train_batch_size=16 // state.num_processes, per_device_eval_batch_size=8,
        save_steps=1, eval_strategy="steps", eval_steps=3, disable_tqdm=True, report_to=[], seed=7, use_cpu=True,
        dataloader_pin_memory=False, accelerator_config={"use_configured_state": True}, **values,
    )  # fmt: skip
    config = MIDropoutConfig(**{"start": 2, "keep": 0.25, "pruning_steps": 2, **options})
    model = copy.deepcopy(models()[values["learning_rate"] == 0])
    torch.manual_seed(0)
    # 17 and 9 batches: with two processes, one of them has one less.
    trainer = Trainer(
        model, arguments, train_dataset=make_rows(131, seed=2), eval_dataset=make_rows(67, seed=3),
        callbacks=[MIDropoutCallback(config)],
    )  # fmt: skip
    assert (trainer.is_fsdp_enabled, trainer.is_deepspeed_enabled) == (kind == "fsdp2", kind == "zero2")
    return trainer


def seen(trainer: Trainer) -> dict:
    """The end of a training."""
    callback = next(each for each in trainer.callback_handler.callbacks if isinstance(each, MIDropoutCallback))
    record = callback.record
    model = full_module(trainer.model, trainer.model.config)
    return {
        "state": {name: tensor.detach().clone() for name, tensor in model.state_dict().items()},
        "masks": [layer.mask.tolist() for layer in model.classifier.layers],
        "scores": [digest([layer.bits for layer in each.scores.layers.values()]) for each in record.pruning_steps],
        "steps": [each.step for each in record.pruning_steps],
        "validation": [each.validation for each in record.pruning_steps] + [record.after_retraining],
        "refused": record.refused,
    }


def checked(trainer: Trainer, folder: Path) -> dict:
    """Whether the compact model is the masked one, and what is saved is what was there."""
    masked = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    masked = full_module(masked, masked.config)
    batches = batches_for(masked, make_rows(67, seed=3), 8)
    compact = masked.compact().eval()
    result = {"difference": verify_compaction(masked, compact, batches)}
    expected = compact.state_dict()
    result["compact"] = all(
        torch.equal(tensor, expected[name].to(tensor.dtype))
        for name, tensor in trainer.model.compact().state_dict().items()
    )
    trainer.save_model(str(folder / "saved"))
    trainer.accelerator.wait_for_everyone()
    tokens = torch.arange(5, 45).view(4, 10)
    loaded = AutoModelForSequenceClassification.from_pretrained(folder / "saved").eval()
    if next(trainer.model.parameters()).dtype == torch.bfloat16:  # DeepSpeed: float32 is in the optimizer
        masked = trainer.model
    weights = masked.state_dict()
    with torch.no_grad():
        logits = loaded(tokens).logits
        result["loaded"] = all(torch.equal(tensor, weights[name]) for name, tensor in loaded.state_dict().items())
        result["loaded"] &= torch.allclose(logits, masked.eval()(tokens).logits, rtol=0, atol=100 * eps(logits))
    return result


def eps(tensor: torch.Tensor) -> float:
    return torch.finfo(tensor.dtype).eps


def frozen(kind: str, folder: Path) -> dict:
    """Trainings that change no weight before neurons are scored: the same in one process as in several."""
    results = {}
    for case, options in {
        "keep": {},
        "search": {"keep": None, "threshold": "search", "margin": 0.2, "pruning_steps": 1},
        "few rows": {"score_samples": 8},  # one batch: the second process has none
    }.items():
        trainer = make_trainer(kind, folder, {"learning_rate": 0.0}, **options)
        trainer.train()
        results[case] = seen(trainer)
    return results


def learning(kind: str, folder: Path, resumed: tuple[int, ...]) -> dict:
    """Trainings that go on after neurons are dropped, in several processes."""
    results = {}
    cases = {
        "prune": ({"save_strategy": "steps"}, {}),
        # DeepSpeed rounds in another order where it accumulates, which is too much for what starts from nothing.
        "reinitialize": ({"gradient_accumulation_steps": 1}, {"action": "reinitialize", "pruning_steps": 1}),
    }
    if kind != "plain":
        cases["bf16"] = ({"bf16": True}, {})
    for case, (training, options) in cases.items():
        trainer = make_trainer(kind, folder / case, training, **options)
        trainer.train()
        results[case] = seen(trainer)
        if case != "reinitialize":
            results[case] |= checked(trainer, folder / case)
    for step in resumed if kind != "plain" else ():
        trainer = make_trainer(kind, folder / "prune", {"save_strategy": "steps"})
        trainer.train(resume_from_checkpoint=str(folder / "prune" / f"checkpoint-{step}"))
        results[f"resumed from {step}"] = seen(trainer)
    return results


def see(folder: Path, kinds: list[str], resumed: tuple[int, ...] = (3,)) -> None:
    """Trainings are resumed from the steps `resumed`: 1 is before the rounds, 3 between them."""
    for kind in kinds:
        results = learning(kind, folder / kind, resumed)
        if kind != "plain":
            results |= frozen(kind, folder / kind / "frozen")
        torch.save(results, folder / f"{kind}_{PartialState().process_index}.pt")
    PartialState().destroy_process_group()


if __name__ == "__main__":
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        import deepspeed.ops

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # it would be compiled, which takes minutes
    see(Path(sys.argv[1]), sys.argv[2:], resumed=(1, 3))
