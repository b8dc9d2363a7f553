"""
Prunes the encoder of a fine-tuned BERT in one shot, and compares it with the dense one.

    python examples/prune_classifier.py   # a small BERT, fine-tuned here on built-in data: no network
    python examples/prune_classifier.py --model textattack/bert-base-uncased-ag-news --dataset fancyzhx/ag_news
"""

import argparse
import copy

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
)

from hf_midropout import MIDropoutConfig, prune
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.data.for_model import Reading, load_labelled
from hf_midropout.models.builtin import train_tokenizer


def fine_tuned(epochs: float, max_rows: int | None, output_dir: str):
    """A small BERT that has learned the built-in data, and its tokenizer."""
    data = load_text_classification(max_train_samples=max_rows)
    tokenizer = train_tokenizer(data.texts("train"))
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
        initializer_range=0.08, pad_token_id=tokenizer.pad_token_id, id2label=dict(enumerate(data.label_names)),
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    arguments = TrainingArguments(
        output_dir, num_train_epochs=epochs, learning_rate=1e-3, per_device_train_batch_size=32, save_strategy="no",
        report_to="none",
    )  # fmt: skip
    rows = data.tokenize(tokenizer, max_length=64, names=["train"])
    Trainer(model, arguments, train_dataset=rows["train"], processing_class=tokenizer).train()
    return model, tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--model", help="A fine-tuned classifier, on the Hub or in a folder.")
    parser.add_argument("--dataset", help="A folder, a file or a Hub id; Python's documentation by default.")
    parser.add_argument("--keep", type=float, default=0.25, help="The fraction of feed-forward neurons to keep.")
    parser.add_argument("--epochs", type=float, default=3, help="Of fine-tuning, where no model is given.")
    parser.add_argument("--max_rows", type=int, help="Rows of each split to use; all by default.")
    parser.add_argument("--output_dir", default="midropout_output/example_pruned")
    options = parser.parse_args()

    if options.model is None:
        model, tokenizer = fine_tuned(options.epochs, options.max_rows, options.output_dir)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(options.model, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(options.model)

    # Rows to measure on, and others to compare on. Labels are taken by the model's names.
    max_length = min(64, model.config.max_position_embeddings)
    names = [model.config.id2label[number] for number in range(model.config.num_labels)]
    rows = {}
    for split in ("train", "test"):
        each = load_labelled(Reading(options.dataset, split), names).tokenize(tokenizer, max_length)[split]
        rows[split] = each.shuffle(seed=0).select(range(min(len(each), options.max_rows or len(each))))
    dense = copy.deepcopy(model)
    config = MIDropoutConfig(targets="encoder", keep=options.keep, score_samples=2048)
    result = prune(model, rows["train"], rows["test"], config, processing_class=tokenizer)

    before, after = result.validation["before_pruning"], result.validation["after_pruning"]
    neurons = result.selection.widths.values()
    print(f"\nNeurons of each layer: {[units for _, units in neurons]} -> {[kept for kept, _ in neurons]}")
    print(f"Parameters: {dense.num_parameters():,} -> {model.num_parameters():,}")
    print(f"On {result.validation['rows']:,} rows: accuracy {before['accuracy']:.4f} -> {after['accuracy']:.4f}")
    for criterion, metrics in result.baselines["one_shot"].items():
        print(f"  as many neurons by {criterion:<24} accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f}")

    folder = f"{options.output_dir}/small"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    stock = AutoModelForSequenceClassification.from_pretrained(folder)
    print(f"{folder} loads with transformers alone: {type(stock).__name__}.")


if __name__ == "__main__":
    main()
