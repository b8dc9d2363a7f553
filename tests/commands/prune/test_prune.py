"""`hf-midropout prune`: a fine-tuned classifier gets smaller, and stock transformers loads it."""

import contextlib
import functools
import io
import shutil
import signal

import pytest
import torch
from datasets import Dataset
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from hf_midropout import NeuronScores
from hf_midropout.cli import main
from hf_midropout.commands.prune.checks import output_folder
from hf_midropout.groups import find_groups
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.pruning.speed.latency import measure_latency
from hf_midropout.pruning.speed.search import search_speedup
from hf_midropout.reporting.report import Report
from hf_midropout.reporting.verdict import verdict


pytestmark = pytest.mark.usefixtures("blank_figures")


SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
NAMES = {"id2label": {0: "money", 1: "sport"}, "label2id": {"money": 0, "sport": 1}}


def save(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(data_folder):
    return train_tokenizer(Dataset.from_csv(str(data_folder / "train.csv"))["text"][:], vocab_size=60)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, tokenizer):
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(vocab_size=len(tokenizer), max_position_embeddings=24, **SIZES, **NAMES)
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.3)
    return save(model.half(), tokenizer, tmp_path_factory.mktemp("classifier") / "bert")


@pytest.fixture(scope="module")
def small(classifier, data_folder, tmp_path_factory):
    """What the command leaves, and what it prints."""
    folder, printed = tmp_path_factory.mktemp("pruned") / "small", io.StringIO()
    options = ["--dataset", str(data_folder), "--keep", "0.5", "--max_samples", "100", "--output_dir", str(folder)]
    with contextlib.redirect_stdout(printed):
        assert main(["prune", str(classifier), *options]) == 0
    return folder, printed.getvalue()


def test_what_is_saved_is_smaller_and_stock(small, run_stock):
    code = (
        "import sys; from transformers import pipeline\n"
        "classify = pipeline('text-classification', model=sys.argv[1])\n"
        "print(classify.model.config.intermediate_size, classify.model.dtype, classify('ball goal')[0]['label'])"
    )
    width, dtype, label = run_stock(code, small[0])[-1].split()
    assert (width, dtype) == ("32", "torch.float16") and label in ("money", "sport")  # the dtype of the base


def test_what_the_report_tells(small, classifier, data_folder):
    folder, _ = small
    assert {path.name for path in folder.iterdir()} >= {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "midropout_report.json",
        "midropout_report.safetensors", "figures",
    }  # fmt: skip
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "accuracy.png", "information_lost.png", "neurons_kept.png",
    }  # fmt: skip
    report = Report.load(folder)
    encoder = report.encoder
    assert {name: (group.neurons, group.kept) for name, group in encoder.groups.items()} == {
        f"encoder.layer.{index}.ffn": (64, 32) for index in range(2)
    }
    assert report.model.parameters_before - report.model.parameters_after == 2 * 32 * (2 * 16 + 1)
    assert report.model.bytes_before == (classifier / "model.safetensors").stat().st_size
    assert report.model.bytes_after == (folder / "model.safetensors").stat().st_size
    assert list(encoder.controls) == ["std_times_norm", "magnitude", "random"] and encoder.neurons_at_first is None
    assert encoder.to_dense.bits.value < encoder.controls["magnitude"].to_dense.bits.value
    assert (report.test.split, report.test.rows, encoder.measured.rows) == (
        "test",
        30,
        72,
    )  # of 80: 8 are for validation
    assert encoder.largest_class == 0.5 and sum(point.rows for point in report.test.calibration) == 30
    assert set(report.seconds) == {"measuring", "selecting", "reconstructing", "comparing", "timing", "total"}
    (timing,) = encoder.latency.timings
    assert (timing.batch_size, encoder.latency.tokens, encoder.latency.search) == (1, 24, None)
    assert encoder.command == (
        f"hf-midropout prune bert --dataset {data_folder.name} --output_dir small --keep 0.5 "
        "--criterion prediction_information --max_samples 100"
    )


def test_the_metrics_are_those_of_what_was_saved(small, data_folder):
    """Loaded again by itself, the classifier is as right as its report says, and its neurons are the ones named."""
    folder, _ = small
    report = Report.load(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = Dataset.from_csv(str(data_folder / "test.csv"))
    inputs = tokenizer(rows["text"][:], padding=True, truncation=True, max_length=24, return_tensors="pt")
    with torch.no_grad():
        predicted = model(**inputs).logits.argmax(1)
    right = [model.config.id2label[int(each)] for each in predicted]
    assert report.test.accuracy == pytest.approx(
        sum(a == b for a, b in zip(right, rows["label"][:], strict=True)) / 30, abs=1 / 29
    )
    for name, group in report.encoder.groups.items():
        importance = report.arrays[f"encoder/{name}/importance"]
        kept = report.arrays[f"encoder/{name}/kept"]
        assert kept.sum() == group.kept and importance[kept].min() >= importance[~kept].max()


def test_what_is_printed_fits_a_terminal_and_is_what_the_card_says(small):
    folder, printed = small
    assert all(len(line) < 80 for line in printed.splitlines() if "/" not in line)
    assert "64 of 128 neurons in 2 layers, chosen by" in printed and "prediction_information (saved)" in printed
    said = " ".join(printed.split())
    card = " ".join((folder / "README.md").read_text().split())
    for sentence in verdict(Report.load(folder)):
        assert sentence in said and sentence.replace(">", "&gt;") in card
    assert printed.splitlines()[-1] == f"Next: hf-midropout report {folder}"


def test_the_next_commands_work_on_it(small, data_folder, tmp_path, capsys):
    folder = shutil.copytree(small[0], tmp_path / "small")
    assert main(["report", str(folder)]) == 0
    page = (folder / "midropout_report.html").read_text()
    assert "lost 64 of 128 feed-forward neurons" in page and (folder / "figures" / "neurons_kept.svg").is_file()
    scores = tmp_path / "scores.json"
    assert (
        main(["score", str(folder), "--dataset", str(data_folder), "--targets", "encoder", "--output", str(scores)])
        == 0
    )
    assert [len(layer.bits) for layer in NeuronScores.load(scores).layers.values()] == [32, 32]


def test_pruned_again_it_says_what_is_left_of_the_first_network(classifier, data_folder, small, tmp_path, capsys):
    options = ["--dataset", str(data_folder), "--max_samples", "100", "--keep", "0.5", "--no_compare", "--output_dir"]
    narrow = tmp_path / "narrow"
    assert main(["prune", str(small[0]), *options, str(narrow)]) == 0
    assert "with 50% of the feed-forward neurons (25% of those before an earlier pruning)" in " ".join(
        capsys.readouterr().out.split()
    )
    report = Report.load(narrow)
    assert report.encoder.neurons_at_first == 128 and report.encoder.kept == 32 and report.encoder.controls == {}
    assert "had been pruned before, from 128 neurons" in (narrow / "README.md").read_text()


def test_a_checkpoint_with_a_report_of_another_kind_is_refused_before_anything(
    classifier, data_folder, tmp_path, capsys
):
    folder = shutil.copytree(classifier, tmp_path / "theirs")
    (folder / "midropout_report.json").write_text('{"format_version": 1}')
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small")]
    assert main(["prune", str(folder), *options]) == 1
    assert "midropout_report.json is not a report of this package" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    "moment",
    ["pruning.encoder.one_shot.measure_encoder", "pruning.comparison.predictions.predict",
     "reporting.drawing.draw_figures", "reporting.model_card.write_card"],
)  # fmt: skip
def test_ctrl_c_leaves_nothing(classifier, data_folder, tmp_path, monkeypatch, capsys, moment):
    def stop(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(f"hf_midropout.{moment}", stop)
    options = ["--dataset", str(data_folder), "--max_samples", "100", "--output_dir", str(tmp_path / "new" / "small")]
    assert main(["prune", str(classifier), *options]) == 130
    assert "hf-midropout prune: stopped." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "1"], "--keep 1.0: would drop nothing"),
        (
            ["--keep", "0.99"],
            "--keep 0.99: would drop none of the 64 neurons of a layer, as their number is",
        ),
        (["--keep", "0"], "--keep 0.0: would drop everything"),
        (["--max_samples", "99"], "--max_samples 99: must be 100 rows or more"),
        (["--criterion", "luck"], "--criterion luck: must be one of mutual_information"),
        (["--max_length", "25"], "--max_length 25: the model has positions for 24 tokens"),
        (["--seed", "-1"], "--seed -1: must be at least 0 and less than 2**64"),
        (["--split", "test"], "--split test: the test split has 30 rows to compare on and to measure on"),
        (["--split", "dev"], "--split dev: the data has train"),
        (["--keep_layers", "0"], "--keep_layers 0: would drop every layer; must be 1 or more"),
        (["--keep_layers", "3"], "--keep_layers 3: the encoder has 2 layers; must be 1 to 2"),
        (["--speedup", "2", "--keep", "0.25"], "--speedup 2 and --keep 0.25 exclude each other"),
        (["--speedup", "2", "--keep", "auto"], "--speedup 2 and --keep auto exclude each other"),
        (["--speedup", "1"], "--speedup 1: must be more than 1, such as 2"),
        (["--speedup", "inf"], "--speedup inf: must be more than 1"),
        (["--speedup", "2", "--margin", "0.02"], "--margin 0.02 has no effect with --speedup 2:"),
        (["--speedup", "2", "--no_latency"], "--no_latency has no effect with --speedup 2"),
        (["--latency_batch_size", "1", "0"], "--latency_batch_size 0: must be 1 or more"),
        (["--latency_tokens", "0"], "--latency_tokens 0: must be 1 or more"),
        (["--latency_tokens", "25"], "--latency_tokens 25: the model has positions for 24 tokens"),
        (["--dtype", "int8"], "--dtype int8: must be one of auto, float32, float16, bfloat16"),
    ],
)
def test_bad_options_are_told(classifier, data_folder, tmp_path, capsys, options, message):
    given = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small"), *options]
    assert main(["prune", str(classifier), *given]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(classifier, data_folder, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["prune", str(classifier), "--dataset", str(data_folder), "--output_dir", str(tmp_path)]) == 1
    assert "exists already and is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_where_no_folder_can_be_made_is_told_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to("disk")
    before = sorted(path.name for path in tmp_path.iterdir())
    for name, message in (
        ("file/sub", "is a file, and no folder can be made in it"),
        ("y" * 240, "no folder can be made there: File name too long"),
        ("nowhere", "is a link that leads nowhere"),
    ):
        with pytest.raises(ValueError, match=message):
            output_folder(str(tmp_path / name))
    monkeypatch.setattr("os.path.ismount", lambda path: path == tmp_path / "disk")
    with pytest.raises(ValueError, match="something is mounted there; name a folder in it"):
        output_folder(str(tmp_path / "disk"))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_link_stays_and_home_is_found(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    assert output_folder(str(tmp_path / "link")) == tmp_path / "disk"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert output_folder("~/small") == tmp_path / "small"
    assert not (tmp_path / "small").exists()


def test_weights_that_a_dtype_would_make_infinite_are_refused(classifier, data_folder, tmp_path, capsys):
    large = shutil.copytree(classifier, tmp_path / "large")
    weights = {name: values.float() for name, values in load_file(large / "model.safetensors").items()}
    weights["bert.embeddings.word_embeddings.weight"][7] = 1e6
    save_file(weights, large / "model.safetensors", metadata={"format": "pt"})
    options = ["--dataset", str(data_folder), "--dtype", "float16", "--output_dir", str(tmp_path / "small")]
    assert main(["prune", str(large), *options]) == 1
    told = capsys.readouterr().err
    assert "--dtype float16: bert.embeddings.word_embeddings.weight has values beyond 65,504" in told


def test_models_that_cannot_be_pruned(tokenizer, data_folder, tmp_path, capsys):
    several = {"problem_type": "multi_label_classification", "vocab_size": len(tokenizer), "embedding_size": 8}
    model = AlbertForSequenceClassification(AlbertConfig(**several, **SIZES, **NAMES))
    folder = save(model, tokenizer, tmp_path / "several")
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small")]
    assert main(["prune", str(folder), *options]) == 1
    assert "it is for 'multi_label_classification'; must be a classifier with one class" in capsys.readouterr().err


def test_fewer_layers_and_tokens_too(classifier, data_folder, tmp_path, capsys):
    options = ["--dataset", str(data_folder), "--keep", "0.5", "--max_samples", "100", "--no_compare"]
    smaller = ["--keep_layers", "1", "--trim_vocabulary", "--dtype", "bfloat16"]
    assert main(["prune", str(classifier), *options, *smaller, "--output_dir", str(tmp_path / "small")]) == 0
    printed = capsys.readouterr().out
    assert "Layers: 2 -> 1. Dropped, in this order: " in printed and "Vocabulary: " in printed
    report = Report.load(tmp_path / "small")
    encoder = report.encoder
    assert [(group.neurons, group.kept) for group in encoder.groups.values()] == [(64, 32)]
    assert encoder.layers.layers == 2 and len(encoder.layers.kept) == 1
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "small")
    config = AutoConfig.from_pretrained(tmp_path / "small")
    assert (config.num_hidden_layers, model.dtype, config.dtype) == (1, torch.bfloat16, torch.bfloat16)
    assert config.vocab_size == len(AutoTokenizer.from_pretrained(tmp_path / "small"))
    assert config.vocab_size == encoder.vocabulary.tokens_after <= encoder.vocabulary.tokens_before
    assert sum(parameter.numel() for parameter in model.parameters()) == report.model.parameters_after


@pytest.mark.parametrize("dtype", ["float32", "float16", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_saved_in_the_dtype_of_the_base(classifier, data_folder, tmp_path, dtype):
    base, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(classifier),
        AutoTokenizer.from_pretrained(classifier),
    )
    folder = save(base.to(getattr(torch, dtype)), tokenizer, tmp_path / "base")
    options = ["--dataset", str(data_folder), "--keep", "0.5", "--max_samples", "100", "--no_compare", "--output_dir"]
    assert main(["prune", str(folder), *options, str(tmp_path / "small")]) == 0
    assert AutoConfig.from_pretrained(tmp_path / "small").dtype == getattr(torch, dtype)
    with safe_open(tmp_path / "small" / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {getattr(torch, dtype)}


def test_a_tokenizer_that_cannot_be_trimmed_is_told_before_anything_is_measured(
    classifier, data_folder, tmp_path, capsys
):
    folder = tmp_path / "words"
    shutil.copytree(classifier, folder)
    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "goal": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    for path in folder.glob("tokenizer*"):
        path.unlink()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small"), "--trim_vocabulary"]
    assert main(["prune", str(folder), *options]) == 1
    told = capsys.readouterr()
    assert "--trim_vocabulary: " in told.err and "is a WordLevel tokenizer" in told.err and "Data:" not in told.out


def by_formula(networks, rows, tokens):
    """Milliseconds, were time what is computed: a layer of 64 neurons takes 3 + 6.4."""
    groups = {name: find_groups(network, "encoder").values() for name, network in networks.items()}
    return {name: rows * sum(3 + group.num_units / 10 for group in each) for name, each in groups.items()}


@pytest.fixture
def machine(monkeypatch):
    """Where passes take what [`by_formula`] says."""
    for module, function in (("search", search_speedup), ("latency", measure_latency)):
        monkeypatch.setattr(
            f"hf_midropout.pruning.speed.{module}.{function.__name__}", functools.partial(function, measure=by_formula)
        )


def test_as_fast_as_asked(classifier, data_folder, tmp_path, capsys, machine):
    options = ["--dataset", str(data_folder), "--speedup", "2", "--max_samples", "100", "--output_dir"]
    timed = ["--latency_batch_size", "1", "32", "--latency_tokens", "20"]
    assert main(["prune", str(classifier), *options, str(tmp_path / "small"), *timed]) == 0
    printed = capsys.readouterr().out
    assert "Took the last: 16 neurons in each of 2 layers." in printed and "Layers:" not in printed
    report = Report.load(tmp_path / "small")
    latency = report.encoder.latency
    assert AutoConfig.from_pretrained(tmp_path / "small").intermediate_size == 16  # 4.6 of 9.4 ms; 20 would take 5
    assert {group.kept for group in report.encoder.groups.values()} == {16}
    assert latency.search.taken.width == 16 and latency.search.wanted == 2
    assert [(each.batch_size, round(each.dense, 6), round(each.pruned, 6)) for each in latency.timings] == [
        (1, 18.8, 9.2),
        (32, 601.6, 294.4),
    ]
    threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() != 1)}"
    sentence = f"2.0 times faster (batch 1, 20 tokens, {threads}), 2.0 times faster (batch 32)."
    assert sentence in verdict(report)[1] and sentence in " ".join(printed.split())
    assert " ".join((tmp_path / "small" / "README.md").read_text().split()).count(sentence) == 1
    assert report.encoder.command.endswith(
        "--speedup 2 --criterion prediction_information --max_samples 100 --latency_batch_size 1 32 "
        "--latency_tokens 20"
    )
    assert len(report.encoder.controls) == 3


def test_layers_go_where_no_width_is_fast_enough(classifier, data_folder, tmp_path, capsys, machine):
    options = ["--dataset", str(data_folder), "--max_samples", "100", "--no_compare", "--output_dir"]
    assert main(["prune", str(classifier), *options, str(tmp_path / "small"), "--speedup", "4"]) == 0
    assert "Layers: 2 -> 1." in capsys.readouterr().out
    encoder = Report.load(tmp_path / "small").encoder
    assert [(group.neurons, group.kept) for group in encoder.groups.values()] == [(64, 16)]
    assert len(encoder.layers.kept) == 1 and encoder.latency.timings[0].dense == pytest.approx(18.8)
    assert (
        main(["prune", str(classifier), *options, str(tmp_path / "no"), "--speedup", "4", "--keep_layers", "2"]) == 1
    )
    told = capsys.readouterr()
    assert "Data:" not in told.out and not (tmp_path / "no").exists()
    assert "--speedup 4: not reached on this machine (batch 1, 24 tokens); the most" in told.err
    assert "2.76 times with 4 of 64 neurons in a layer and --keep_layers 2." in told.err
    assert main(["prune", str(classifier), *options, str(tmp_path / "no"), "--speedup", "6"]) == 1
    assert "layer alone, 5.53 times with 1 of 2 layers too." in capsys.readouterr().err


def test_no_word_of_time_that_was_not_measured(classifier, data_folder, tmp_path, capsys):
    options = ["--dataset", str(data_folder), "--max_samples", "100", "--no_compare", "--no_latency", "--output_dir"]
    assert main(["prune", str(classifier), *options, str(tmp_path / "small")]) == 0
    report = Report.load(tmp_path / "small")
    assert report.encoder.latency is None and report.encoder.kept == 32  # a quarter
    for text in (capsys.readouterr().out, (tmp_path / "small" / "README.md").read_text()):
        assert "faster" not in text and "ms" not in text.split()
