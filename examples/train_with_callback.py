"""
Fine-tunes a classifier with a plain `Trainer` and one callback, and saves the smaller model.

    python examples/train_with_callback.py   # built-in data and a tiny ALBERT: no network
    python examples/train_with_callback.py --model albert/albert-base-v2 --dataset fancyzhx/ag_news
"""

import argparse

from transformers import AutoTokenizer, Trainer, TrainingArguments

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.models.builtin import tiny_tokenizer_and_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--model", help="An ALBERT, on the Hub or in a folder; a tiny one is made by default.")
    parser.add_argument("--dataset", help="A folder, a file or a Hub id; Python's documentation by default.")
    parser.add_argument("--keep", type=float, default=0.25, help="The fraction of the head's neurons to keep.")
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--max_rows", type=int, help="Rows of each split to use; all by default.")
    parser.add_argument("--output_dir", default="midropout_output/example")
    options = parser.parse_args()

    data = load_text_classification(
        options.dataset, max_train_samples=options.max_rows, max_eval_samples=options.max_rows
    )
    if options.model is None:
        tokenizer, model = tiny_tokenizer_and_model(data)
    else:
        tokenizer = AutoTokenizer.from_pretrained(options.model)
        model = MIDropoutAlbertForSequenceClassification.from_pretrained(
            options.model, id2label=dict(enumerate(data.label_names))
        )
    rows = data.tokenize(tokenizer, max_length=64)

    callback = MIDropoutCallback(MIDropoutConfig(start=0.5, keep=options.keep))
    arguments = TrainingArguments(
        options.output_dir,
        num_train_epochs=options.epochs,
        learning_rate=1e-3 if options.model is None else 5e-5,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        save_strategy="no",
        report_to="none",
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.train()

    small = trainer.model.compact()
    small.save_pretrained(f"{options.output_dir}/compact")
    tokenizer.save_pretrained(f"{options.output_dir}/compact")

    record = callback.record
    print(record.before)
    print(f"\nNeurons: {model.config.head_widths} -> {small.config.head_widths}")
    step = record.pruning_steps[0]
    if step.baselines:
        print(f"Right after pruning, on {step.baselines['rows']:,} validation rows, neurons chosen by")
        for criterion, metrics in step.baselines["one_shot"].items():
            print(f"  {criterion:<20} accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f}")
    print(f"After retraining: accuracy {record.after_retraining['accuracy']:.4f}")


if __name__ == "__main__":
    main()
