"""The one reader of reports: what it gives, and what of a stranger's it refuses."""

import json
import os
import random
import subprocess
import sys

import pytest
from checkpoints import save_checkpoint
from safetensors.numpy import load_file, save_file

from hf_midropout.cli import main
from hf_midropout.hub.contents import published_contents
from hf_midropout.reporting import alt_texts, encoder_figures, figure_list, figures, page_figures
from hf_midropout.reporting.figure_list import FIGURES
from hf_midropout.reporting.model_card import card_text
from hf_midropout.reporting.page import write_page
from hf_midropout.reporting.report import Report


JSON, ARRAYS = "midropout_report.json", "midropout_report.safetensors"


def edit(folder, change) -> None:
    content = json.loads((folder / JSON).read_text())
    change(content)
    (folder / JSON).write_text(json.dumps(content))


def edit_arrays(folder, change) -> None:
    arrays = load_file(folder / ARRAYS)
    change(arrays)
    save_file(arrays, folder / ARRAYS)


def step(content) -> dict:
    return content["pruning"]["pruning_steps"][0]


FIRST = "0/classifier.layers.0/bits"
HOSTILE = {
    "a newer version": (lambda it: edit(it, lambda c: c.update(format_version=3)), "format_version=3 is newer than"),
    "an older version": (lambda it: edit(it, lambda c: c.update(format_version=1)), "format_version='1': must be 2"),
    "no version": (lambda it: edit(it, lambda c: c.pop("format_version")), "format_version='None': must be 2"),
    "a true version": (lambda it: edit(it, lambda c: c.update(format_version=True)), "format_version='True': must"),
    "a step that is a text": (lambda it: edit(it, lambda c: c["pruning"].update(step="x")), "pruning.step=x: must be"),
    "a model that is a list": (lambda it: edit(it, lambda c: c.update(model=[])), "model must be an object"),
    "a log that is no list": (lambda it: edit(it, lambda c: c.update(training_log={})), "training_log must be a list"),
    "a long log": (lambda it: edit(it, lambda c: c.update(training_log=[{}] * 100_001)), "100,001 entries: 100,000"),
    "many bins": (lambda it: edit(it, lambda c: c["test"].update(calibration=[{}] * 1_001)), "1,001 entries: 1,000"),
    "many layers": (lambda it: edit(it, lambda c: c["pruning"].update(layers=[{}] * 65)), "65 entries: 64 are"),
    "many steps": (
        lambda it: edit(it, lambda c: c["pruning"].update(pruning_steps=[step(c)] * 101)), "101 entries: 100 are",
    ),
    "no steps": (lambda it: edit(it, lambda c: c["pruning"].update(pruning_steps=[])), "it has no pruning_steps"),
    "a step that is a number": (
        lambda it: edit(it, lambda c: c["pruning"].update(pruning_steps=[1])), "pruning_steps[0] must be an object",
    ),
    "scores without layers": (lambda it: edit(it, lambda c: step(c)["scores"].update(layers={})), "must have layers"),
    "an entropy that no label has": (
        lambda it: edit(it, lambda c: step(c)["scores"].update(label_entropy_bits=1e6)), "=1000000.0: must be -1e-06",
    ),
    "more neurons than a page shows": (
        lambda it: edit(
            it, lambda c: step(c)["scores"].update(layers={str(n): {"neurons": 1_000_000} for n in range(3)})
        ),
        "more than 2,000,000 neurons, which no page can show",
    ),
    "other layers": (
        lambda it: edit(it, lambda c: step(c)["scores"].update(layers={"x": {"neurons": 3}})), "different layers",
    ),
    "a sweep's choice that is none": (
        lambda it: edit(it, lambda c: step(c).update(sweep={
            "metric": "loss", "margin": 0, "alpha": 0, "rows": 1, "dense": {"loss": 1}, "levels": [], "chosen": 0,
        })),
        "chosen=0 is none of the levels",
    ),
    "no arrays": (lambda it: (it / ARRAYS).unlink(), f"{ARRAYS} is missing"),
    "arrays that are none": (lambda it: (it / ARRAYS).write_bytes(b"x" * 99), "is no safetensors file"),
    "arrays cut off": (lambda it: os.truncate(it / ARRAYS, 4_000), "but its header describes"),
    "an array missing": (lambda it: edit_arrays(it, lambda a: a.pop(FIRST)), "does not hold its values per neuron"),
    "an array of other size": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST: a[FIRST][1:]})), "does not hold its values per neuron",
    ),
    "an array of another type": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST: a[FIRST].astype("f4")})), "does not hold its values",
    ),
    "bits that no label has": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST: a[FIRST] + 65})), "must be numbers of 0 to 64",
    ),
    "NaN bits": (
        lambda it: edit_arrays(it, lambda a: a.update({FIRST: a[FIRST] * float("nan")})), "must be numbers of 0 to 64",
    ),
    "other bits": (lambda it: edit_arrays(it, lambda a: a.update({FIRST: a[FIRST] / 2})), "is of another one"),
    "huge arrays": (lambda it: os.truncate(it / ARRAYS, 10**9), "has 1,000,000,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_refused_in_one_line(folder, what, capsys):
    spoil, reason = HOSTILE[what]
    spoil(folder)
    with pytest.raises(ValueError) as refusal:
        Report.load(folder)
    message = str(refusal.value)
    assert reason in message and message.startswith(JSON) and message.isprintable() and len(message) < 300
    assert main(["report", str(folder)]) == 1
    error = capsys.readouterr().err
    assert reason in error and "Traceback" not in error and not (folder / "midropout_report.html").exists()


def test_a_link_that_leads_out_is_not_followed(folder):
    for name in (ARRAYS, JSON):
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)
        with pytest.raises(ValueError, match=f"{name} is a link that leads out"):
            Report.load(folder)


def test_whatever_is_changed_only_a_refusal_comes_out(folder):
    """Random changes of the JSON: drawn, or refused, never another exception."""
    draw, refused = random.Random(0), 0
    good = (folder / JSON).read_text()
    nasty = [None, True, -1, 0, 10**6, 10**18, 0.5, 1e308, "", "\x1b[2J", [], [[]], {}, {"a": {"b": []}}]
    for _ in range(60):
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
            assert report.record.layers()
            card_text(folder)
        except ValueError as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 600
    assert 20 < refused < 60


def test_what_is_saved_is_loaded(folder, tmp_path):
    report = Report.load(folder)
    report.save(tmp_path, "again")
    again = Report.load(tmp_path, "again")
    assert again.record.to_dict() == report.record.to_dict()
    for name in (JSON, ARRAYS):
        assert (tmp_path / name.replace("midropout_report", "again")).read_bytes() == (folder / name).read_bytes()
    assert Report.load(tmp_path) is None
    assert Report.load(folder, arrays=False).arrays == {}


def test_arrays_travel_with_the_report_and_are_no_weights(folder):
    assert {JSON, ARRAYS} <= published_contents(folder).keys()
    (folder / "model.safetensors").unlink()
    assert main(["score", str(folder)]) == 1  # what is left is no model


def test_a_card_and_its_report_need_no_torch(folder):
    code = (
        "import sys; from hf_midropout.reporting.model_card import card_text; card_text(sys.argv[1]); "
        "assert not {'torch', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_a_figure_is_one_entry(tmp_path, monkeypatch):
    """Every drawing is in the list, and a new entry is on the page without another edit."""
    drawings = {name for module in (figures, page_figures, encoder_figures) for name, value in vars(module).items()
                if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")}  # fmt: skip
    words = {name for name, value in vars(alt_texts).items() if getattr(value, "__module__", "") == alt_texts.__name__}
    assert len(FIGURES) == len(drawings) + 1 and drawings == words  # the accuracy is drawn from the whole report
    new = figure_list.FigureEntry(
        "new",
        "My figure",
        lambda it: "What it is.",
        lambda it: "In words.",
        lambda it: figures.bits_per_layer(it.record),
    )
    for module in ("figure_list", "drawing"):
        monkeypatch.setattr(f"hf_midropout.reporting.{module}.FIGURES", (new,))
    folder = save_checkpoint(tmp_path / "compact")
    assert [path.name for path in (folder / "figures").iterdir()] == ["new.png"]
    text = write_page(folder)[0].read_text()
    assert (
        text.count("<figure>") == 1
        and "My figure" in text
        and 'aria-label="In words."' in text
        and "What it is." in text
    )
    assert (folder / "figures" / "new.svg").is_file()
