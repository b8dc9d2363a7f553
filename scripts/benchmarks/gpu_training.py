"""
A whole training on a GPU: AG News, a real encoder, bfloat16, neurons of the encoder scored and dropped half-way. Time
by phase, the share of it that goes into scoring, peak memory, and whether the CPU would drop the same neurons of the
same weights.

    python scripts/benchmarks/gpu_training.py --help
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from encoder import rows_of, tokenized
from transformers import AutoTokenizer, DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments, set_seed

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig, prune
from hf_midropout.reporting.building import environment
from hf_midropout.scoring.batches import batches_for
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"


class Clock(TrainerCallback):
    """
    Wall time of steps, with the GPU's work in it, and of the pruning step.

    Args:
        synchronize (`Callable`): Waits for the device.
    """

    def __init__(self, synchronize, prune_at: int):
        self.synchronize = synchronize
        self.prune_at = prune_at
        self.weights: dict[str, torch.Tensor] = {}
        self.marks: dict[str, float] = {}

    def mark(self, name: str) -> None:
        self.synchronize()
        self.marks.setdefault(name, time.perf_counter())

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step in (5, self.prune_at):  # the first steps wait for kernels to be loaded
            self.mark("warm" if state.global_step == 5 else "retraining")

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.prune_at - 1:  # of the last step before neurons are dropped, whose end is next
            self.mark("pruning")
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
            self.mark("pruning, weights copied")

    def on_train_end(self, args, state, control, **kwargs):
        self.mark("end")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="Where to train.")
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="Pretrained encoder.")
    parser.add_argument("--data", type=Path, default=shared / "data", help="Folder with a folder ag_news.")
    parser.add_argument("--train_rows", type=int, default=0, help="Rows to train on; 0 for all but those held out.")
    parser.add_argument("--held_out", type=int, default=2000, help="Training rows to compare networks on.")
    parser.add_argument("--epochs", type=float, default=3.0, help="Of training.")
    parser.add_argument("--batch_size", type=int, default=64, help="Rows of a step.")
    parser.add_argument("--targets", nargs="+", default=["head", "encoder"], help="Each is a training.")
    parser.add_argument("--compared_rows", type=int, default=1024, help="Rows to score on the CPU too.")
    parser.add_argument("--result", type=Path, default=RESULTS / "gpu_training.json", help="File to write.")
    return parser


def trained(options: argparse.Namespace, targets: str, tokenizer, splits) -> dict[str, Any]:
    """One training, and what it took."""
    on_gpu = options.device == "cuda"
    set_seed(0)
    model = MIDropoutAlbertForSequenceClassification.from_pretrained(
        options.model, num_labels=4, head_widths=[256, 128, 64], dtype=torch.float32
    )
    steps = round(options.epochs * -(-len(splits["train"]) // options.batch_size))
    prune_at = steps // 2
    config = MIDropoutConfig(targets=targets, keep=0.5, start=prune_at)
    callback = MIDropoutCallback(config)
    clock = Clock(torch.cuda.synchronize if on_gpu else lambda: None, prune_at)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=options.batch_size, per_device_eval_batch_size=256,
            learning_rate=1e-4, warmup_steps=0.06, bf16=on_gpu, report_to=[], save_strategy="no", seed=0,
            disable_tqdm=True, use_cpu=not on_gpu, logging_steps=100,
            dataloader_num_workers=2 if on_gpu else 0, dataloader_pin_memory=on_gpu,
        )  # fmt: skip
        trainer = Trainer(
            model, arguments, train_dataset=splits["train"], eval_dataset=splits["held_out"],
            data_collator=DataCollatorWithPadding(tokenizer), callbacks=[clock, callback],
        )  # fmt: skip
        started = time.perf_counter()
        trainer.train()
        total = time.perf_counter() - started
    marks = clock.marks
    (step,) = callback.record.pruning_steps
    training = (marks["pruning"] - marks["warm"]) + (marks["end"] - marks["retraining"])
    pruning = marks["retraining"] - marks["pruning, weights copied"]
    peak = round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else None
    return {
        "steps": steps,
        "seconds": {
            "training": training,
            "pruning step": pruning,
            "of that, scoring": step.seconds["scoring"],
            "of that": step.seconds,
            "all": total,
        },
        "scoring_share_of_training": step.seconds["scoring"] / training,
        "pruning_share_of_training": pruning / training,
        "scored_rows": step.scores.num_samples,
        "milliseconds_of_a_step": {
            "before": 1000 * (marks["pruning"] - marks["warm"]) / (prune_at - 5),
            "after": 1000 * (marks["end"] - marks["retraining"]) / (steps - prune_at),
        },
        "validation": callback.record.validation,
        "peak_gpu_memory_mib": peak,
        "same_weights_on_both": agreement(options, targets, tokenizer, splits, clock.weights),
    }


def agreement(options: argparse.Namespace, targets: str, tokenizer, splits, weights) -> dict[str, float]:
    """Of what is kept of the weights before pruning, by the device and by the CPU, in float32 over the same rows."""
    masks = []
    bits = []
    for device in ("cpu", options.device):
        model = MIDropoutAlbertForSequenceClassification.from_pretrained(
            options.model, num_labels=4, head_widths=[256, 128, 64], dtype=torch.float32
        )
        model.load_state_dict(weights)
        config = MIDropoutConfig(targets=targets, keep=0.5, baselines=False)
        some = {"max_samples": options.compared_rows, "seed": 0}
        rows = batches_for(model, splits["train"], 64, processing_class=tokenizer, **some)
        result = prune(copy.deepcopy(model).to(device).eval(), rows, config=config, progress=False)
        masks.append(torch.cat([mask.cpu() for mask in result.selection.kept.values()]))
        bits.append(torch.cat([layer.bits.cpu() for layer in result.scores.layers.values()]))
    return {
        "neurons": len(masks[0]),
        "kept_otherwise": int((masks[0] != masks[1]).sum()),
        "largest_difference_in_bits": float((bits[0] - bits[1]).abs().max()),
        "median_difference_in_bits": float((bits[0] - bits[1]).abs().median()),
    }


def main() -> None:
    options = make_parser().parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = rows_of(options, "ag_news", "train", 0)
    if options.train_rows:
        rows = rows.select(range(options.train_rows + options.held_out))
    rows = tokenized(rows, tokenizer, 64)
    splits = {
        "held_out": rows.select(range(options.held_out)),
        "train": rows.select(range(options.held_out, len(rows))),
    }
    result = {
        "what": "AG News, bfloat16; wall seconds, the device's work in them. training: without the first 5 steps and "
        "the pruning step. same_weights_on_both: in float32, on the CPU and on the device",
        "rows": {name: len(each) for name, each in splits.items()},
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "trainings": {},
        "environment": {
            **environment(),
            "device": torch.cuda.get_device_name() if options.device == "cuda" else options.device,
        },
    }
    for targets in options.targets:
        result["trainings"][targets] = trained(options, targets, tokenizer, splits)
        write_json(options.result, result)
        print(targets, {key: value for key, value in result["trainings"][targets].items() if key != "validation"})


if __name__ == "__main__":
    main()
