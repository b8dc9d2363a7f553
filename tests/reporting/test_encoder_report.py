"""The report of a pruned encoder: its reader, page and card, and what of a stranger's they refuse."""

import io
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from browser import CHROMIUM, open_page
from checkpoints import made_up_encoder_report, save_pruned
from huggingface_hub import ModelCard
from test_model_card import EVIL, spoil
from test_report import ARRAYS, JSON, edit, edit_arrays
from test_report_page import Page

from hf_midropout.cli import main
from hf_midropout.hub.contents import published_contents
from hf_midropout.reporting.encoder_figures import COLUMNS, _importance_strips, neurons_kept
from hf_midropout.reporting.model_card import card_text
from hf_midropout.reporting.page import write_page
from hf_midropout.reporting.report import Report
from hf_midropout.reporting.verdict import verdict
from hf_midropout.utils.plotting import plt


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    return save_pruned(tmp_path_factory.mktemp("out") / "small")


@pytest.fixture
def folder(pruned, tmp_path):
    return Path(shutil.copytree(pruned, tmp_path / "small"))


def words_of(folder: Path) -> tuple[Page, str]:
    path = folder / "midropout_report.html"
    page = Page((path if path.exists() else write_page(folder)[0]).read_text(encoding="utf-8"))
    return page, " ".join(" ".join(page.words).split())


def test_what_is_saved_is_loaded(folder, tmp_path):
    report = Report.load(folder)
    assert report.encoder == made_up_encoder_report().encoder and report.encoder.kept == 64
    report.save(tmp_path, "again")
    again = Report.load(tmp_path, "again")
    assert again.encoder == report.encoder and (again.test, again.model) == (report.test, report.model)
    for name in (JSON, ARRAYS):
        assert (tmp_path / name.replace("midropout_report", "again")).read_bytes() == (folder / name).read_bytes()
    kept = {name: values for name, values in report.arrays.items() if name.endswith("/kept")}
    assert [int(values.sum()) for values in kept.values()] == [32, 32] and len(report.arrays) == 4
    assert Report.load(folder, arrays=False).arrays == {}
    assert {JSON, ARRAYS, "figures/neurons_kept.png"} <= published_contents(folder).keys()


def encoder(change):
    """What spoils the part of the report that is about the encoder."""
    return lambda folder: edit(folder, lambda content: change(content["encoder"]))


FIRST = "encoder/encoder.layer.0.ffn/"
GROUP = {"neurons": 100_000, "kept": 5}
TIMING = {"batch_size": 1, "dense": 19.0, "pruned": 10.0}
SEARCH = {"wanted": 1.8, "batch_size": 1, "tried": [{"layers": 2, "width": 32, "dense": 18.9, "pruned": 10.0}]}
LATENCY = {"device": "cpu", "threads": 2, "dtype": "float32", "tokens": 128, "timings": [TIMING]}
HOSTILE = {
    "a newer version": (lambda it: edit(it, lambda c: c.update(format_version=3)), "format_version=3 is newer than"),
    "no groups": (encoder(lambda e: e.update(groups={})), "its encoder has no groups"),
    "a list of groups": (encoder(lambda e: e.update(groups=[])), "encoder.groups must be an object"),
    "more kept than there are": (encoder(lambda e: next(iter(e["groups"].values())).update(kept=65)), "keeps 65 of"),
    "many groups": (encoder(lambda e: e.update(groups=dict.fromkeys(map(str, range(1001)), GROUP))), "1,001 entries"),
    "many neurons": (
        encoder(lambda e: e.update(groups=dict.fromkeys(map(str, range(21)), GROUP))), "more than 2,000,000 neurons",
    ),
    "an error below 0": (encoder(lambda e: e["to_dense"]["bits"].update(stderr=-1)), "to_dense.bits.stderr=-1: must"),
    "a share of 2": (encoder(lambda e: e.update(largest_class=2)), "encoder.largest_class=2: must be 0 to 1"),
    "no timings": (encoder(lambda e: e.update(latency=LATENCY | {"timings": []})), "latency.timings is empty"),
    "no time at all": (
        encoder(lambda e: e.update(latency=LATENCY | {"timings": [TIMING | {"pruned": 0}]})),
        "timings[0].pruned=0: must",
    ),
    "a search of nothing": (
        encoder(lambda e: e.update(latency=LATENCY | {"search": {"wanted": 2, "batch_size": 1, "tried": []}})),
        "latency.search.tried is empty",
    ),
    "no test": (lambda it: edit(it, lambda c: c.pop("test")), "it lacks the accuracy of test"),
    "no dense network": (lambda it: edit(it, lambda c: c.pop("dense_test")), "it lacks the accuracy of dense_test"),
    "an accuracy of 2": (lambda it: edit(it, lambda c: c["test"].update(accuracy=2)), "an accuracy of 2: must be"),
    "a control without one": (encoder(lambda e: e["controls"]["random"].pop("accuracy")), "the accuracy of random"),
    "a control that is none": (encoder(lambda e: e.update(controls={"x": 1})), "encoder.controls.x must be an object"),
    "no arrays": (lambda it: (it / ARRAYS).unlink(), f"{ARRAYS} is missing"),
    "an array missing": (lambda it: edit_arrays(it, lambda a: a.pop(FIRST + "kept")), "does not hold its values"),
    "an array of other size": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST + "kept": a[FIRST + "kept"][1:]})), "does not hold its",
    ),
    "infinite importance": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST + "importance": a[FIRST + "importance"] / 0})), "finite",
    ),
    "other masks": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST + "kept": ~a[FIRST + "kept"]})), "is of another one",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("unrendered_figures")
def test_card_and_page_tell_of_time_if_it_was_measured(folder):
    assert "faster" not in card_text(folder) and "Time of" not in words_of(folder)[1]
    encoder(lambda e: e.update(latency=LATENCY | {"search": SEARCH}))(folder)
    write_page(folder)
    for text in (" ".join(card_text(folder).split()), words_of(folder)[1]):
        assert "1.9 times faster (batch 1, 128 tokens, 2 threads)." in text
        assert "medians of passes that took turns: batch 1: 10 ms, dense 19 ms." in text
        assert "32 neurons in each of 2 layers are the most at which passes of 1 x 128 tokens were 1.8 times" in text
    report = Report.load(folder)
    report.save(folder)
    assert Report.load(folder).encoder == report.encoder


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
@pytest.mark.parametrize("what", HOSTILE)
def test_refused_in_one_line(folder, what, capsys):
    spoiled, reason = HOSTILE[what]
    spoiled(folder)
    assert main(["report", str(folder)]) == 1
    error = capsys.readouterr().err
    assert f"error: {JSON} is not a report of this package, or not whole: " in error and reason in error
    assert len(error.splitlines()) == 1 and not (folder / "midropout_report.html").exists()


def test_whatever_is_changed_only_a_refusal_comes_out(folder):
    """Random changes of the JSON: a card, or a refusal, never another exception."""
    draw, refused = random.Random(0), 0
    encoder(lambda e: e.update(latency=LATENCY | {"search": SEARCH}))(folder)
    good = (folder / JSON).read_text()
    nasty = [None, True, -1, 0, 10**6, 10**18, 0.5, 1e308, "", "\x1b[2J", [], [[]], {}, {"a": {"b": []}}]
    for _ in range(70):
        content = json.loads(good)
        place = content
        while isinstance(place, (dict, list)) and place:
            key = draw.choice(list(place)) if isinstance(place, dict) else draw.randrange(len(place))
            if draw.random() < 0.3 or not isinstance(place[key], (dict, list)):
                place[key] = draw.choice(nasty)
                break
            place = place[key]
        (folder / JSON).write_text(json.dumps(content))
        try:
            report = Report.load(folder)
            card_text(folder)
            if report.encoder is not None:
                assert all(sentence.isprintable() for sentence in verdict(report))
        except ValueError as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 600
    assert 20 < refused < 70


def test_numbers_that_no_network_gives_are_drawn_or_refused(folder):
    for value in (1e308, -1e308, 5e-324):
        content = json.loads((folder / JSON).read_text())
        content["encoder"]["to_dense"] = {part: {"value": value, "stderr": 0} for part in ("bits", "accuracy")}
        next(iter(content["encoder"]["groups"].values()))["unexplained"] = value
        (folder / JSON).write_text(json.dumps(content))
        try:
            write_page(folder)
        except ValueError as error:
            assert JSON in str(error)


def test_the_page(folder, capsys):
    assert main(["report", str(folder)]) == 0
    assert "and 8 figures in" in " ".join(capsys.readouterr().out.split())
    page, words = words_of(folder)
    assert all(source.startswith("data:") for source in page.sources) and "script" not in page.tags
    accuracy, lost, kept, calibration = (image["alt"] for image in page.images)
    assert "prediction information: 0.000 ± 0.000 bits lost, accuracy 80.0%; std × norm:" in lost
    assert "encoder.layer.1.ffn: 32 of 64 neurons kept, 11.0% unexplained" in kept and "400 test rows" in calibration
    assert "accuracy on 400 test rows: dense 80.0% ± 0.0, prediction information 80.0% ± 0.0" in accuracy
    names = ("std × norm", "weight magnitude", "random")
    for text in (accuracy, lost, words.split("Results")[-1], words.split("Verdict")[1]):
        assert sorted(names, key=text.index) == list(names), "one order everywhere"
    for sentence in verdict(Report.load(folder)):
        assert sentence.replace("->", "→") in words
    assert "lost 64 of 128 feed-forward neurons, chosen by prediction information" in words
    assert "prediction information (this model) 0.8000 +0.00 ± 0.00 0.0000 ± 0.0000" in words
    assert "std × norm (accuracy within noise) 0.7975 -0.25 ± 0.25" in words
    assert "on 2,048 train rows; whether the classifier had been trained on these is not known" in words
    assert "hf-midropout prune someone/bert --output_dir small" in words and "StrictUndefined" not in words


def test_the_card(folder):
    card = ModelCard(card_text(folder, repo_id="me/small"))
    said = " ".join(card.text.split())
    assert "(3 classes: a, b, c) made from someone/bert" in said and "**128 → 64 neurons** in 2 layers" in said
    for sentence in verdict(Report.load(folder)):
        assert sentence.replace(">", "&gt;") in said
    assert json.loads((folder / JSON).read_text())["verdict"] == verdict(Report.load(folder))
    assert "| **prediction information** (this model) | 0.8000 | +0.00 ± 0.00 | 0.0000 ± 0.0000 |" in said
    assert "| encoder.layer.1.ffn | 64 | 32 | 0.110 |" in said and "](figures/neurons_kept.png)" in said
    assert 'model="me/small"' in said and "import hf_midropout" not in said and "trust_remote_code" not in said
    assert "whether the classifier had been trained on these is not known" in said
    assert card.data.base_model == "someone/bert" and card.data.datasets == ["fancyzhx/ag_news"]
    assert {(each.metric_type, each.metric_value, each.dataset_split) for each in card.data.eval_results} >= {
        ("accuracy", 0.8, "test")
    }


@pytest.mark.usefixtures("unrendered_figures")
def test_without_controls_it_claims_nothing_of_the_criterion(tmp_path):
    folder = save_pruned(tmp_path / "small", controls=False)
    for text in (card_text(folder), words_of(folder)[1]):
        assert "not show that prediction information chose better than chance would have" in " ".join(text.split())


@pytest.mark.usefixtures("unrendered_figures")
def test_what_an_earlier_pruning_took_is_told(folder):
    encoder(lambda e: e.update(neurons_at_first=512))(folder)
    for text in (card_text(folder), words_of(folder)[1]):
        text = " ".join(text.split())
        assert "(12.5% of those before an earlier pruning)" in text and "had been pruned before, from 512 n" in text


def test_no_text_of_a_stranger_is_markup_and_a_card_does_not_grow(folder):
    content = json.loads((folder / JSON).read_text())
    spoiled = spoil(content, EVIL, ("sha256", "groups", "controls"))
    spoiled["test"]["split"] = spoiled["dense_test"]["split"] = EVIL
    spoiled["encoder"]["controls"] = {EVIL: content["encoder"]["controls"]["random"]}
    (folder / JSON).write_text(json.dumps(spoiled))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": dict.fromkeys("012", EVIL)}))
    once = card_text(folder, repo_id="me/small")
    text = ModelCard(once).text
    assert "<script" not in text and "](http://" not in text and "https://" not in text
    assert "www.evil" not in text and "a@evil" not in text and not re.search(r"^# H", text, re.M)
    assert text.count("hf_midropout: end -->") == 1 and text.rstrip().endswith("<!-- hf_midropout: end -->")
    assert card_text(folder, once, repo_id="me/small") == once
    metadata = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", once, re.S)[1])
    assert "datasets" not in metadata and "base_model" not in metadata
    page = write_page(folder)[0].read_text()
    assert "&lt;script&gt;" in page and "<script" not in page


def test_a_card_and_its_report_need_no_torch(folder):
    code = (
        "import sys; from hf_midropout.reporting.model_card import card_text; card_text(sys.argv[1]); "
        "assert not {'torch', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_a_strip_has_the_kept_neurons_first_each_part_falling(pruned):
    report = Report.load(pruned)
    strips = _importance_strips(report.encoder, report.arrays)
    assert strips.shape == (2, COLUMNS)
    for strip, group in zip(strips, report.encoder.groups, strict=True):
        kept = report.arrays[f"encoder/{group}/kept"]
        values = report.arrays[f"encoder/{group}/importance"]
        assert strip[: COLUMNS // 2].min() >= strip[COLUMNS // 2 :].max()  # half were kept, the most important ones
        assert (strip[:-1] >= strip[1:])[: COLUMNS // 2 - 1].all()
        assert 10 ** strip[0] == pytest.approx(values.max()) and 10 ** strip[COLUMNS // 2] == pytest.approx(
            values[~kept].max()
        )


def test_figures_of_one_layer_of_one_neuron_and_of_many_layers():
    report = made_up_encoder_report()
    group, importance, kept = report.encoder.groups["encoder.layer.0.ffn"], *list(report.arrays.values())[:2]
    for layers in (1, 200):
        names = [f"layer {number}" for number in range(layers)]
        report.encoder.groups = dict.fromkeys(names, group)
        report.arrays = {f"encoder/{name}/importance": importance * 0 for name in names}  # none is more important
        report.arrays |= {f"encoder/{name}/kept": kept for name in names}
        figure = neurons_kept(report.encoder, report.arrays)
        file = io.BytesIO()
        figure.savefig(file, format="svg")
        assert figure.get_figheight() <= 8 and file.tell() < 200_000
        plt.close(figure)


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium, for a look at the page")
def test_it_renders_without_console_errors(folder, tmp_path):
    (page, *_) = write_page(folder)
    assert open_page(page, tmp_path / "page.png", width=500) == []
