import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, open_page
from checkpoints import changed, save_checkpoint
from matplotlib.image import imread

from hf_midropout.cli import main
from hf_midropout.reporting.page import write_page


class Page(HTMLParser):
    """Collects images, links and visible text."""

    def __init__(self, text: str):
        super().__init__()
        self.images: list[dict] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.sources += [values[key] for key in ("src", "href") if key in values]
        if tag == "svg":
            self.images.append({"alt": values["aria-label"], "role": values["role"]})
        self.names += [values["id"]] if "id" in values else []

    def handle_data(self, data):
        self.words.append(data)


REST = {"threshold": {"a": 0.1, "b": 0.2}, "macro_f1": 0.6, "loss": 0.9, "difference": 0.0, "stderr": 0.01}
SWEEP = {
    "metric": "accuracy", "margin": 0.01, "alpha": 0.05, "rows": 900, "dense": {"accuracy": 0.7}, "chosen": 1,
    "levels": [
        {"kept": {"a": 12, "b": 8}, "accuracy": 0.7, "p_value": 0.01, **REST},
        {"kept": {"a": 6, "b": 4}, "accuracy": 0.695, "p_value": 0.04, **REST},
        {"kept": {"a": 2, "b": 1}, "accuracy": 0.5, "p_value": 0.9, **REST},
    ],
}  # fmt: skip
BASELINES = {
    "rows": 900,
    "one_shot": {
        "mutual_information": {"accuracy": 0.695, "macro_f1": 0.68, "loss": 0.9},
        "random": {"accuracy": 0.61, "macro_f1": 0.6, "loss": 1.1, "accuracy_std": 0.02},
    },
}


def test_the_command_makes_a_page_without_network_and_figures(folder, capsys):
    assert main(["report", str(folder.parent)]) == 0
    assert "midropout_report.html" in capsys.readouterr().out
    text = (folder / "midropout_report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert all(source.startswith("data:") for source in page.sources)
    assert "script" not in page.tags and not re.search(r"https?://", re.sub(r"base64,[\w+/=]+", "", text))
    assert 'name="viewport"' in text and "@media print" in text
    names = ["accuracy", "architecture", "bits_per_layer", "training_curve", "bits_per_neuron", "calibration"]
    assert len(page.images) == len(names)
    for name in names:
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (folder / "figures" / f"{name}.svg").read_bytes()
    assert len(page.names) == len(set(page.names)) > 100, "names in one figure are not those of another"
    accuracy, architecture, layers, training, _, calibration = (image["alt"] for image in page.images)
    assert "accuracy on 40 test rows: this model 75.0% ± 6.8" in accuracy
    assert "classifier.layers.0 with 6 of 12 neurons kept" in architecture and "3 classes" in architecture
    assert "classifier.layers.0: 0.5" in layers and "The label has 1.50 bits" in layers
    assert "after step 50" in training and "Training loss goes from 1.00 to 0.10" in training
    assert "40 test rows" in calibration and "confidence 0.90, accuracy 0.80" in calibration
    words = " ".join(" ".join(page.words).split())
    assert "accuracy on 40 test rows" in words.split("Verdict")[0], "the answer comes first"
    assert words.index("Verdict") < words.index("this model") < words.index("Results") < words.index("Layers")
    assert "optimizer step" in page.words, "the words of figures are words"
    assert "Test accuracy 75.0% with 50% of the neurons of the head; no dense training of the same seed" in words
    assert "test, this model 13 0.7500" in words and "None: nothing was dropped at random" in words


@pytest.mark.usefixtures("unrendered_figures")
def test_sweep_and_controls_are_shown_where_a_report_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr("checkpoints.draw_figures", lambda report, folder: None)  # the page has its own
    folder = save_checkpoint(tmp_path / "compact", sweep=SWEEP, baselines=BASELINES)
    page = Page(write_page(folder)[0].read_text())
    (alt,) = [image["alt"] for image in page.images if "Chosen" in image["alt"]]
    assert "0.700 with 20 neurons, 0.500 with 3; 0.700 before pruning. Chosen: 10 neurons with 0.695." in alt
    assert (folder / "figures" / "sweep.png").is_file()
    words = " ".join(" ".join(page.words).split())
    assert (
        "mutual information (used here) 0.6950" in words and "random (mean of several draws) 0.6100 ± 0.0200" in words
    )
    assert "Every threshold tried on 900 validation rows" in words and "None: nothing" not in words


@pytest.mark.usefixtures("unrendered_figures")
def test_a_run_that_dropped_nothing_and_knows_little(folder):
    """No test split, no log, nothing dropped, not scored again: a page all the same."""
    path = folder / "midropout_report.json"
    report = json.loads(path.read_text())
    pruning = changed(report["pruning"], after=None, after_retraining=None)
    pruning["refused"] = pruning["pruning_steps"][0]["refused"] = "threshold=2 bits would drop all."
    del pruning["pruning_steps"][0]["selection"]
    for layer in pruning["layers"]:
        layer |= {"kept": layer["neurons"], "mean_bits_after_of_kept": None, "lowest_bits_kept": None}
    report = {key: report[key] for key in ("format_version", "hf_midropout_version", "environment")}
    path.write_text(json.dumps(report | {"pruning": pruning}))
    page = Page(write_page(folder)[0].read_text())
    assert len(page.images) == 3 and "No rows were kept aside" in " ".join(page.words)
    assert "threshold=2 bits would drop all." in " ".join(page.words)


@pytest.mark.parametrize("content", ["{}", '{"pruning": []}', '{"pruning": {"layers": [{}]}}', "[]", "nonsense"])
def test_other_reports_are_refused(folder, content, capsys):
    (folder / "midropout_report.json").write_text(content)
    assert main(["report", str(folder)]) == 1
    error = capsys.readouterr().err
    assert "midropout_report.json" in error and "Traceback" not in error


def hostile_words(folder: Path) -> None:
    for name in ("midropout_report.json", "config.json"):
        text = (folder / name).read_text()
        text = text.replace("fancyzhx/ag_news", "<script>alert(1)<script>").replace("LABEL_0", "<img src=x onerror=y>")
        (folder / name).write_text(text)


@pytest.fixture(scope="module")
def hostile_page(checkpoint, tmp_path_factory) -> Path:
    folder = Path(shutil.copytree(checkpoint, tmp_path_factory.mktemp("hostile") / "compact"))
    hostile_words(folder)
    return write_page(folder, name="<b>bold</b>")[0]


def test_words_of_a_stranger_are_text(hostile_page):
    text = hostile_page.read_text()
    assert "&lt;script&gt;" in text and "<script" not in text and "<img src=x" not in text and "<b>bold" not in text


needs_browser = pytest.mark.skipif(not CHROMIUM, reason="needs chromium, for a look at the page")


@needs_browser
@pytest.mark.parametrize("width", [1200, 500], ids=["desktop", "phone"])
def test_it_renders_without_console_errors(hostile_page, tmp_path, width):
    assert open_page(hostile_page, tmp_path / "page.png", width) == []
    pixels = imread(tmp_path / "page.png")[..., :3]
    blue = (abs(pixels - [0, 0x72 / 255, 0xB2 / 255]) < 0.02).all(-1)
    assert blue.sum() > 200  # bars and dots of the figures


@needs_browser
def test_the_browser_test_can_fail(hostile_page, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(hostile_page.read_text().replace("</main>", "<script>boom()</script></main>"))
    assert "Content Security Policy" in "".join(open_page(page, tmp_path / "page.png"))
