"""Links in a checkpoint's folder are followed neither to read nor to write."""

import os
import re
from pathlib import Path

import pytest

from hf_midropout.checkpoints.checks import check_checkpoint
from hf_midropout.cli import main
from hf_midropout.hub.contents import published_contents
from hf_midropout.reporting.drawing import page_figures
from hf_midropout.reporting.model_card import write_card
from hf_midropout.reporting.page import write_page
from hf_midropout.reporting.report import Report
from hf_midropout.training.pushes import keep_out
from hf_midropout.utils.safe_paths import files_of, read_inside, write_inside


@pytest.fixture(scope="module")
def figures(checkpoint):
    return page_figures(Report.load(checkpoint), {})


@pytest.fixture
def drawn_once(figures, monkeypatch):
    """To draw a page's figures takes seconds; where they are written is what matters here."""
    monkeypatch.setattr("hf_midropout.reporting.page.page_figures", lambda report, config: figures)


@pytest.fixture
def precious(tmp_path) -> Path:
    """A file of the user's, outside the checkpoint."""
    path = tmp_path / "precious" / "bashrc"
    path.parent.mkdir()
    path.write_text("mine")
    return path


def a_folder(folder: Path, precious: Path) -> None:
    for path in (folder / "figures").iterdir():
        path.unlink()
    (folder / "figures").rmdir()
    (folder / "figures").symlink_to(precious.parent)


def link(name: str):
    def make(folder: Path, precious: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(precious)

    return make


LINKS = {
    "the folder of figures": a_folder,
    "a figure": link("figures/architecture.svg"),
    "the page": link("midropout_report.html"),
    "the report": link("midropout_report.json"),
    "the card": link("README.md"),
    "a vocabulary": link("vocab.txt"),
    "onnx": link("onnx/model.onnx"),
}


@pytest.mark.parametrize("what", LINKS)
@pytest.mark.parametrize("command", [["report"], ["push", "me/x"], ["export", "--onnx"], ["score"]])
def test_no_command_follows_a_link_out_of_the_checkpoint(folder, precious, what, command, capsys):
    LINKS[what](folder, precious)
    assert main([command[0], str(folder), *command[1:]]) == 1
    assert "is a link that leads out of the folder" in capsys.readouterr().err
    assert precious.read_text() == "mine" and list(precious.parent.iterdir()) == [precious]


@pytest.mark.parametrize("what", LINKS)
def test_nor_do_the_functions_that_write_and_read(folder, precious, what, drawn_once):
    """Each by itself: the links may have come after the check."""
    LINKS[what](folder, precious)
    for attempt in (
        lambda: write_page(folder),
        lambda: write_card(folder),
        lambda: published_contents(folder),
        lambda: write_inside(folder, "onnx/model.onnx", b"onnx"),
    ):
        try:
            attempt()
        except ValueError as error:
            assert "link" in str(error)
    assert precious.read_text() == "mine" and list(precious.parent.iterdir()) == [precious]


def test_the_trainers_output_folder_too(tmp_path, precious):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".gitignore").symlink_to(precious)
    with pytest.raises(ValueError, match="leads out of the folder"):
        keep_out(tmp_path / "out", ["training_args.bin"])
    assert precious.read_text() == "mine"


def test_links_inside_the_folder_and_of_the_hubs_cache_are_read(folder, tmp_path, drawn_once):
    (folder / "weights").mkdir()
    (folder / "model.safetensors").rename(folder / "weights" / "w.safetensors")
    (folder / "model.safetensors").symlink_to("weights/w.safetensors")
    check_checkpoint(folder)
    snapshot = tmp_path / "models--me--x" / "snapshots" / "abc"
    blobs = tmp_path / "models--me--x" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, (name, _) in enumerate(sorted(files_of(folder).items())):
        (blobs / str(number)).write_bytes((folder / name).read_bytes())
        (snapshot / name).parent.mkdir(exist_ok=True)
        (snapshot / name).symlink_to(os.path.relpath(blobs / str(number), (snapshot / name).parent))
    check_checkpoint(snapshot)
    before = {path: path.read_bytes() for path in blobs.iterdir()}
    write_page(snapshot)  # replaces links by files; what the cache holds stays as it was
    assert {path: path.read_bytes() for path in blobs.iterdir()} == before
    (snapshot / "vocab.txt").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=re.escape("vocab.txt is a link that leads out")):
        check_checkpoint(snapshot)


def test_written_whole_in_the_place_of_a_link(tmp_path, precious):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").symlink_to(precious)
    path = write_inside(tmp_path / "a", "b", "text")
    assert path.read_text() == "text" and not path.is_symlink() and precious.read_text() == "mine"
    assert oct(path.stat().st_mode & 0o777) == oct(0o666 & ~umask())
    (tmp_path / "a" / "c").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="leads nowhere"):
        read_inside(tmp_path / "a", "c")
    with pytest.raises(ValueError, match="is a link or a file, not a folder"):
        write_inside(tmp_path / "a", "b/c", "text")
    (tmp_path / "a" / "folder").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        write_inside(tmp_path / "a", "folder", "text")
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == ["b", "c", "folder"]


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
