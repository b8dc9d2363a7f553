"""
Scores the neurons of any classifier: how many bits each carries about the label. Nothing is changed or trained.

    python examples/score_any_model.py   # a tiny ALBERT that has not been trained, on built-in data: no network
    python examples/score_any_model.py --model distilbert/distilbert-base-uncased-finetuned-sst-2-english \
        --dataset stanfordnlp/sst2 --layers "*.ffn" "pre_classifier"
"""

import argparse

from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_midropout import builtin_task, score_neurons
from hf_midropout.data.for_model import Reading, load_labelled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--model", help="A classifier, on the Hub or in a folder.")
    parser.add_argument("--dataset", help="A folder, a file or a Hub id; Python's documentation by default.")
    parser.add_argument("--layers", nargs="+", help="Names of modules, with *; the encoder's feed-forward neurons.")
    parser.add_argument("--max_rows", type=int, default=2000, help="Rows to score with.")
    parser.add_argument("--output", help="A JSON file to write.")
    options = parser.parse_args()

    if options.model is None:
        model, tokenizer, data = builtin_task()
        rows = data["train"]
    else:
        model = AutoModelForSequenceClassification.from_pretrained(options.model)
        tokenizer = AutoTokenizer.from_pretrained(options.model)
        names = [model.config.id2label[number] for number in range(model.config.num_labels)]
        max_length = min(64, model.config.max_position_embeddings)
        rows = load_labelled(Reading(options.dataset, "train"), names).tokenize(tokenizer, max_length)["train"]

    what = {"layers": options.layers} if options.layers else {"targets": "encoder"}
    scores = score_neurons(model, rows, processing_class=tokenizer, max_samples=options.max_rows, **what)
    print(scores)
    table = scores.to_pandas().sort_values("bits", ascending=False)
    print("\nThe neurons that tell most:")
    print(table.head().to_string(index=False, float_format="{:.3f}".format))
    print(f"{(table['p_value'] < 0.001).mean():.0%} of {len(table):,} neurons tell something (p < 0.001).")
    if options.output:
        scores.save(options.output)


if __name__ == "__main__":
    main()
