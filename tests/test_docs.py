"""The pages of `docs/`: their code runs, and they leave out nothing that is public."""

import re
from dataclasses import fields

import pytest
from conftest import tiny_config
from pages import FEW_STEPS, PAGES, ROOT, blocks, run

import hf_midropout
import hf_midropout.information
from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutConfig


DOCS = ROOT / "docs"
RUN = {
    "getting-started.md": {"num_train_epochs=4": FEW_STEPS, '"albert/albert-base-v2"': '"albert"'},
    "prune-an-encoder.md": {
        '"out/encoder", ': f'"out/encoder", {FEW_STEPS}, ',
        'targets="encoder", ': 'targets="encoder", baselines=False, ',
    },
    "own-architecture.md": {},
    "own-data.md": {},
    "resume.md": {},
    "score.md": {},
}
"""Pages with code, and what is changed in it: few steps, no controls, and a checkpoint in a folder, not on the Hub."""
WITH_CODE = {page.name: page for page in PAGES if blocks(page, "python") and page.name != "walkthrough.md"}


@pytest.mark.parametrize("name", RUN)
def test_code_runs_and_prints_what_it_says(name, tmp_path, monkeypatch, capsys):
    from hf_midropout.groups import architectures

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(architectures, "ARCHITECTURES", dict(architectures.ARCHITECTURES))
    if name == "getting-started.md":
        MIDropoutAlbertForSequenceClassification(tiny_config(num_labels=4)).save_pretrained("albert")
    names = run(WITH_CODE[name], RUN[name], monkeypatch, capsys)
    if "classify" in names:
        assert names["classify"]("opens a socket and listens for connections")[0]["label"]


def test_all_pages_with_code_run():
    assert set(WITH_CODE) == set(RUN)


def test_yaml_has_options_of_train():
    import yaml

    from hf_midropout.commands.train import make_parser

    options = {option[2:] for action in make_parser()._actions for option in action.option_strings}
    found = [key for page in PAGES for block in blocks(page, "yaml") for key in yaml.safe_load(block)]
    assert found and set(found) <= options


def test_the_table_of_options_has_all_fields():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (DOCS / "reference" / "options.md").read_text(), re.M)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(names) == sorted(field.name for field in fields(MIDropoutConfig))


def test_the_reference_has_all_public_names():
    shown = {path for page in PAGES for path in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.M)}
    public = {f"hf_midropout.{name}" for name in hf_midropout.__all__ if name != "__version__"}
    public |= {f"hf_midropout.information.{name}" for name in hf_midropout.information.__all__}
    assert public - shown == set()


def test_all_pages_are_in_the_navigation():
    """But for the study, which is made later than the rest."""
    nav = re.findall(r"^ +- (?:.+: )?([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    pages = {str(page.relative_to(DOCS)) for page in PAGES}
    assert len(nav) == len(set(nav)) and pages - {"study.md"} <= set(nav) <= pages


def test_pictures_are_drawn(tmp_path, monkeypatch):
    """As committed, by name; their numbers are those of the results, and they are drawn from the package itself."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.setattr("sys.argv", ["draw_docs.py", "first_look", "copies", "--folder", str(tmp_path)])
    import draw_docs

    draw_docs.main()
    assert all(path.stat().st_size > 5000 for path in tmp_path.iterdir()) and len(list(tmp_path.iterdir())) == 2
    assert "all neurons" in (tmp_path / "first_look.svg").read_text(encoding="utf-8")
    for name in draw_docs.PICTURES:
        assert (DOCS / "images" / f"{name}.svg").exists()
