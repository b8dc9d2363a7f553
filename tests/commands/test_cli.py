"""The command as a user meets it, in this process; one real training of four steps serves most tests."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
import torch
from datasets import Dataset
from runs import train
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from hf_midropout import NeuronScores
from hf_midropout.cli import main
from hf_midropout.commands.train import make_parser
from hf_midropout.commands.train.arguments import NEWEST, TrainArguments
from hf_midropout.commands.train.command_line import command_line
from hf_midropout.model_types import code_files
from hf_midropout.pruning.config import MIDropoutConfig
from hf_midropout.reporting.building import without_tokens


@pytest.fixture(scope="module")
def run(data_folder, tmp_path_factory):
    """(folder of the compact checkpoint, report, what was printed)."""
    output_dir = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *values, **_: printed.append(" ".join(map(str, values))))
        assert train(data_folder, output_dir) == 0
    folder = output_dir / "compact"
    return folder, json.loads((folder / "midropout_report.json").read_text()), "\n".join(printed)


@pytest.mark.slow
def test_what_was_trained_in_bfloat16_is_compared_in_float32(data_folder, tmp_path):
    assert train(data_folder, tmp_path / "out", "--bf16") == 0
    report = json.loads((tmp_path / "out" / "compact" / "midropout_report.json").read_text())
    assert report["model"]["largest_logit_difference"] <= 1e-5


def test_summary_tells_the_whole_story(run):
    folder, _, printed = run
    for phrase in (
        "2 classes (money, sport)",
        "validation, before pruning",
        "validation, after pruning",
        "validation, after retraining",
        "test, compact model",
        "classifier.layers.0",
        "mean bits",
        "logits equal",
        str(folder),
        "peak memory",
    ):
        assert phrase in printed, phrase


def test_report_holds_the_run(run):
    _, report, _ = run
    assert report["model"]["head_widths_before"] == [16, 8]
    assert report["model"]["head_widths_after"] == [8, 4]
    assert report["model"]["parameters_after"] < report["model"]["parameters_before"]
    assert report["model"]["largest_logit_difference"] <= 1e-5
    assert report["data"]["source"] == "local"
    assert report["data"]["rows"] == {"train": 72, "validation": 8, "test": 30}
    assert report["test"]["rows"] == 30
    assert {"accuracy", "macro_f1", "loss", "expected_calibration_error"} <= set(report["test"])
    assert [layer["kept"] for layer in report["pruning"]["layers"]] == [8, 4]
    assert report["pruning"]["pruning_steps"][0]["scores"]["num_samples"] == 72
    assert report["pruning"]["config"]["keep"] is None
    assert report["environment"]["torch"] == torch.__version__
    assert any("eval_loss" in entry for entry in report["training_log"])
    bins = report["test"]["calibration"]
    assert sum(point["rows"] for point in bins) == 30
    error = sum(point["rows"] * abs(point["confidence"] - point["accuracy"]) for point in bins) / 30
    assert error == pytest.approx(report["test"]["expected_calibration_error"], abs=1e-6)


def test_a_token_among_the_options_does_not_reach_the_report():
    options = ["--hub_token=hf_secret", "--logging_steps", "5", "--hub_token", "hf_secret"]
    shown = ["--hub_token=[hidden]", "--logging_steps", "5", "--hub_token", "[hidden]"]
    assert without_tokens({"training_options": options, "seed": 1}) == {"training_options": shown, "seed": 1}


def test_the_card_of_a_run(run):
    folder, report, _ = run
    card = (folder / "README.md").read_text()
    assert f"{report['test']['accuracy']:.4f}" in card and "money, sport" in card and "(16, 8 → 8, 4)" in card


def test_compact_checkpoint_is_whole_and_holds_no_pickle(run):
    """Invariant 8."""
    folder, _, _ = run
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "midropout_report.json", "midropout_report.safetensors",
        *code_files("albert"),
        "figures/accuracy.png", "figures/bits_per_layer.png",
        "figures/bits_per_neuron.png", "figures/training_curve.png",
    }  # fmt: skip
    for figure in (folder / "figures").iterdir():
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_pipeline_runs_on_it(run):
    folder, _, _ = run
    (answer,) = pipeline("text-classification", model=str(folder))("goal team match coach")
    assert answer["label"] in ("sport", "money")


@pytest.mark.parametrize(
    ("changed", "tokens"),
    [({}, "{trained}"), ({"max_length": 5}, "5"), ({"max_length": 10**9}, "{most}"), ({"max_length": 1}, "{usual}"),
     ({"max_length": "5"}, "{usual}"), ({"max_length": None}, "{usual}")],
)  # fmt: skip
def test_texts_are_cut_as_in_the_training(run, data_folder, tmp_path, capsys, changed, tokens):
    folder = shutil.copytree(run[0], tmp_path / "copy")
    report = json.loads((folder / "midropout_report.json").read_text())
    trained, most = report["data"]["max_length"], AutoConfig.from_pretrained(folder).max_position_embeddings
    assert trained == report["training_arguments"]["max_length"] < min(most, 128)  # or this test shows nothing
    report["data"] |= changed
    (folder / "midropout_report.json").write_text(json.dumps(report))
    assert main(["evaluate", str(folder), "--dataset", str(data_folder)]) == 0
    told = tokens.format(trained=trained, most=most, usual=min(most, 128))
    assert f"test rows, cut to {told} tokens" in " ".join(capsys.readouterr().out.split())


def test_it_is_the_model_that_was_trained(run):
    """Invariants 4 and 5 on the trained model: the last checkpoint, masked, gives the same logits."""
    folder, _, _ = run
    (last,) = sorted(folder.parent.glob("checkpoint-*"))[-1:]
    masked = AutoModelForSequenceClassification.from_pretrained(last)
    compact = AutoModelForSequenceClassification.from_pretrained(folder)
    assert masked.config.head_widths == [16, 8] and compact.config.head_widths == [8, 4]
    inputs = AutoTokenizer.from_pretrained(folder)(["bank stock", "ball"], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert (masked(**inputs).logits - compact(**inputs).logits).abs().max() <= 1e-5


def test_an_earlier_run_is_not_overwritten_unasked(run, data_folder, capsys):
    folder, _, _ = run
    assert train(data_folder, folder.parent) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (folder / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "1.0"], "--threshold 1.0 bits would drop everything"),
        (["--keep", "1.5"], "--keep 1.5 would drop nothing"),
        (["--start", "half"], "--start 'half'"),
        (["--start", "99"], "--start 99 is step 99, but training has 5 steps"),
        (["--max_length", "1"], "--max_length 1: must be 3 or more"),
        (["--dataset", "nowhere/nothing"], "nowhere/nothing"),
        (["--learning_speed", "3"], "unknown option '--learning_speed'. Did you mean --learning_rate?"),
        (["--model", "no/such-model"], "no/such-model"),
        (["--resume"], "no checkpoint"),
        (["--head_widths", "8", "0"], "--head_widths 8 0: must be widths of 1 to 1,000,000 neurons"),
    ],
)
def test_mistakes_are_told_before_any_training(data_folder, tmp_path, capsys, options, message):
    assert train(data_folder, tmp_path / "out", *options) == (2 if "unknown option" in message else 1)
    error = capsys.readouterr().err
    assert message in error[error.index("hf-midropout train: error:") :]
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_help_documents_every_option_with_its_default(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in (*dataclasses.fields(TrainArguments), *dataclasses.fields(MIDropoutConfig)):
        if field.name in ("training_options", "eval_dataset", "seed"):
            continue
        assert f"--{field.name}" in text
        help_text = " ".join(field.metadata["help"].split())
        assert help_text in text or help_text.replace("None: ", "Default: ") in text, field.name
    assert "(default: 0.01)" in text


def test_usage(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert "hf-midropout train" in told and max(map(len, told.splitlines())) <= 79
    assert main([]) == 2
    assert main(["tarin"]) == 2
    assert "'tarin': must be one of train" in capsys.readouterr().err
    assert main(["evaluate", "small", "--datasets", "x"]) == 2
    told = capsys.readouterr().err
    assert "Did you mean --dataset? `hf-midropout evaluate --help` lists the options." in told
    assert main(["--version"]) == 0


def test_help_is_quick_to_come_by():
    """`hf-midropout --help` must not wait for torch."""
    code = "import sys; from hf_midropout.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_score_prints_saves_and_draws(run, data_folder, tmp_path, capsys):
    folder, report, _ = run
    options = ["--dataset", str(data_folder), "--output", str(tmp_path / "scores.json"), "--figure"]
    assert main(["score", str(folder), *options, str(tmp_path / "bits.png")]) == 0
    printed = capsys.readouterr().out
    assert "classifier.layers.1" in printed and "72 samples" in printed
    scores = NeuronScores.load(tmp_path / "scores.json")
    assert [len(layer.bits) for layer in scores.layers.values()] == report["model"]["head_widths_after"]
    assert (tmp_path / "bits.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "dev"], "--split dev: must be one of train, validation, test"),
        (["--layers", "*.fnn"], "--layers '*.fnn' matches none"),
        (["--dataset", "no/such"], "no/such"),
    ],
)
def test_score_tells_mistakes(run, data_folder, options, message, capsys):
    assert main(["score", str(run[0]), "--dataset", str(data_folder), *options]) == 1
    assert message in capsys.readouterr().err


def test_score_refuses_data_of_other_classes(run, tmp_path, capsys):
    Dataset.from_dict({"text": ["a b", "c d"] * 20, "label": ["money", "art"] * 20}).to_csv(tmp_path / "train.csv")
    assert main(["score", str(run[0]), "--dataset", str(tmp_path)]) == 1
    assert "art" in capsys.readouterr().err


@pytest.fixture
def checkpoint_for(run, tmp_path):
    """A copy of the checkpoint that says it is for another problem type; the head has two outputs."""

    def make(problem_type: str):
        folder = shutil.copytree(run[0], tmp_path / problem_type)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "problem_type": problem_type}))
        return folder

    return make


@pytest.mark.parametrize("labels", [[[1, 0], [0, 1], [1, 1]], [[0], [1], [0, 1]]])
def test_score_for_several_binary_labels(checkpoint_for, labels, tmp_path, capsys):
    texts = ["ball goal", "bank stock", "goal bank"]
    Dataset.from_dict({"text": texts * 20, "labels": labels * 20}).to_json(tmp_path / "train.jsonl")
    folder = checkpoint_for("multi_label_classification")
    assert main(["score", str(folder), "--dataset", str(tmp_path / "train.jsonl")]) == 0
    assert "60 samples; the mean of 2 labels, which have 0.918 bits" in capsys.readouterr().out


def test_score_for_regression(checkpoint_for, tmp_path, capsys):
    rows = {"text": ["ball goal", "bank stock", "goal bank", " "] * 20, "label": [index / 80 for index in range(80)]}
    Dataset.from_dict(rows).to_json(tmp_path / "train.jsonl")
    folder = checkpoint_for("regression")
    assert main(["score", str(folder), "--dataset", str(tmp_path / "train.jsonl")]) == 0
    assert "60 samples; about 8 bins of the target, which have 2.9" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("problem_type", "labels", "message"),
    [
        ("multi_label_classification", [[0, 2], [1]], "such as 2: they must hold 2 zeros and ones"),
        ("multi_label_classification", [0, 1], "must hold a list in every row"),
        ("regression", ["a", "b"], "must hold a number in every row"),
        ("regression", [1.5, 1.5], "All 40 regression targets are 1.5"),
    ],
)
def test_score_tells_labels_of_another_kind(checkpoint_for, problem_type, labels, message, tmp_path, capsys):
    Dataset.from_dict({"text": ["ball goal", "bank stock"] * 20, "label": labels * 20}).to_json(tmp_path / "t.jsonl")
    assert main(["score", str(checkpoint_for(problem_type)), "--dataset", str(tmp_path / "t.jsonl")]) == 1
    assert message in capsys.readouterr().err


def test_options_from_a_file(data_folder, tmp_path, capsys):
    file = tmp_path / "run.yaml"
    file.write_text(
        f"dataset: {data_folder}\nkeep: 0.25\nscore_samples: null\nbf16: false\nhead_widths: [8, 4]\n"
        "logging_steps: 3\nlr_scheduler_kwargs: {}\nlearning_rate: 1.0e-3\nmodel_name_or_path: null\n"
    )
    args, config = make_parser().parse_args_into_dataclasses(
        ["--config", str(file), "--keep", "0.5", "--graded=false"]
    )
    assert (args.dataset, args.head_widths, args.learning_rate, args.model) == (str(data_folder), [8, 4], 0.001, None)
    assert config.keep == 0.5 and config.score_samples is None  # what is typed goes before the file
    assert args.training_options == ["--logging_steps=3", "--lr_scheduler_kwargs={}"]
    again, same = make_parser().parse_args_into_dataclasses(command_line(args, config))
    assert again == args and same == config
    for content, message in (
        ("kep: 0.5", "unknown option '--kep=0.5'. Did you mean --keep?"), ("- 1", "must hold names of options"),
        ("a: [", "it is no YAML"), (None, "it cannot be read"), ("keep: 7", "--keep 7"),
    ):  # fmt: skip
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        assert main(["train", "--config", str(file)]) in (1, 2)
        assert message in capsys.readouterr().err


def test_ecosystem_names_are_options_too():
    options = [
        "--model_name_or_path",
        "a/b",
        "--dataset_name",
        "c",
        "--dataset_config_name",
        "d",
        "--max_seq_length",
        "9",
    ]
    args, _ = make_parser().parse_args_into_dataclasses([*options, "--resume_from_checkpoint", "true"])
    expected = ("a/b", "c", "d", 9, NEWEST)
    assert (args.model, args.dataset, args.dataset_config, args.max_length, args.resume) == expected
