"""
One-shot accuracy of pruned heads on AG News: every criterion at every budget and reconstruction, no retraining.

A head of three hidden layers is trained on the mean-pooled features of a frozen encoder, then each layer is pruned to
the same fraction. The criteria and the refit see the training rows only, the accuracy is that of the test rows.

    python scripts/benchmarks/criteria.py --help
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import AutoModel, AutoTokenizer

from hf_midropout import MIDropoutAlbertConfig, NeuronScores
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.information import NeuronStatistics
from hf_midropout.models.modeling_midropout import MIDropoutHead
from hf_midropout.pruning.criteria import CRITERIA, importance
from hf_midropout.pruning.head.evidence import Evidence
from hf_midropout.pruning.head.inputs import HeadInputs
from hf_midropout.pruning.head.network import HeadNetwork
from hf_midropout.pruning.head.reconstruction import Reconstruction
from hf_midropout.pruning.selection import select
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RECONSTRUCTIONS = ("none", "mean", "least_squares")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="Encoder.")
    parser.add_argument("--dataset", default=str(shared / "data/ag_news"), help="Folder or Hub id of AG News.")
    parser.add_argument("--train_rows", type=int, default=2000, help="Rows to train the head, score and refit with.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="Each draws rows and weights.")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.5, 0.25, 0.1], help="Fractions of each layer.")
    parser.add_argument("--epochs", type=int, default=20, help="Of training the head, with AdamW at batches of 64.")
    parser.add_argument("--max_length", type=int, default=64, help="Tokens to cut texts to.")
    parser.add_argument(
        "--result", type=Path, default=Path(__file__).parent / "results" / "criteria.json", help="File to write."
    )
    return parser


@torch.no_grad()
def features(model, tokenizer, texts: list[str], max_length: int) -> torch.Tensor:
    """Mean of the last hidden states over the tokens that are no padding."""
    pooled = []
    for start in tqdm(range(0, len(texts), 64), desc="Encoding", unit="batch"):
        batch = tokenizer(
            texts[start : start + 64], truncation=True, max_length=max_length, padding=True, return_tensors="pt"
        )
        weight = batch["attention_mask"][..., None]
        pooled.append((model(**batch).last_hidden_state * weight).sum(1) / weight.sum(1))
    return torch.cat(pooled)


def trained_head(training: HeadInputs, epochs: int, seed: int) -> MIDropoutHead:
    """A ReLU head of 256, 128 and 64 neurons."""
    torch.manual_seed(seed)
    head = MIDropoutHead(MIDropoutAlbertConfig(hidden_size=training.hidden_states.shape[1], num_labels=4))
    for layer in head.layers:
        nn.init.kaiming_normal_(layer.dense.weight, nonlinearity="relu")
        nn.init.zeros_(layer.dense.bias)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    steps = epochs * -(-len(training.labels) // 64)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(training.labels)).split(64):
            loss = nn.functional.cross_entropy(head(training.hidden_states[rows]), training.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval()


def scores(head: MIDropoutHead, training: HeadInputs) -> NeuronScores:
    results = {}
    for name, values in HeadNetwork(head).units(training.hidden_states).items():
        counted = NeuronStatistics(values.shape[1], 4)
        counted.update(values, training.labels)
        results[name] = counted.mutual_information()
    return NeuronScores(results, 4)


def one_shot(head: MIDropoutHead, evidence: Evidence, test: HeadInputs, keep: list[float]) -> dict[str, float]:
    """Test accuracy by `criterion/fraction/reconstruction`."""
    accuracy = {"dense": test.metrics(head)["accuracy"]}
    network, groups = evidence.network, evidence.groups
    reconstructions = {kind: Reconstruction(network, groups, evidence.moments, kind) for kind in RECONSTRUCTIONS[1:]}
    for criterion in CRITERIA:
        values = importance(evidence, criterion)
        for fraction in keep:
            kept = select(values, keep=fraction).kept
            for reconstruction in RECONSTRUCTIONS:
                pruned = copy.deepcopy(network)
                if reconstruction in reconstructions:
                    reconstructions[reconstruction].refit(kept).apply(pruned, groups)
                for name, layer in pruned.masked_layers().items():
                    layer.mask.copy_(kept[name])
                accuracy[f"{criterion}/{fraction}/{reconstruction}"] = test.metrics(pruned.classifier)["accuracy"]
    return accuracy


def main() -> None:
    options = make_parser().parse_args()
    tokenizer, model = (
        AutoTokenizer.from_pretrained(options.model),
        AutoModel.from_pretrained(options.model).float().eval(),
    )
    encoded: dict[str, torch.Tensor] = {}
    runs = []
    for seed in options.seeds:
        data = load_text_classification(options.dataset, max_train_samples=options.train_rows, seed=seed)
        if "test" not in encoded:
            encoded["test"] = features(model, tokenizer, data.splits["test"]["text"][:], options.max_length)
        train = features(model, tokenizer, data.splits["train"]["text"][:], options.max_length)
        training = HeadInputs(train, torch.tensor(data.splits["train"]["label"][:]))
        test = HeadInputs(encoded["test"], torch.tensor(data.splits["test"]["label"][:]))
        head = trained_head(training, options.epochs, seed)
        runs.append(
            one_shot(head, Evidence(scores(head, training), HeadNetwork(head), training, seed), test, options.keep)
        )

    summary = {
        name: {"mean": statistics.mean(values), "std": statistics.stdev(values) if len(values) > 1 else None}
        for name in runs[0]
        for values in [[run[name] for run in runs]]
    }
    write_json(
        options.result,
        {
            "what": "accuracy on all AG News test rows of heads pruned in one shot, by criterion/kept/reconstruction",
            "seeds": options.seeds,
            "train_rows": options.train_rows,
            "test_rows": len(test.labels),
            "accuracy": summary,
            "environment": environment(),
        },
    )
    print(f"dense {100 * summary['dense']['mean']:.1f}")
    columns = [f"{fraction}/{reconstruction}" for fraction in options.keep for reconstruction in RECONSTRUCTIONS]
    print(f"{'':<20}" + "".join(f"{column:>20}" for column in columns))
    for criterion in CRITERIA:
        cells = [summary[f"{criterion}/{column}"] for column in columns]
        print(
            f"{criterion:<20}"
            + "".join(f"{100 * cell['mean']:>13.1f} ± {100 * (cell['std'] or 0):>4.1f}" for cell in cells)
        )


if __name__ == "__main__":
    main()
