"""Files of processes that died while they wrote them."""

import os

from hf_midropout.study.leftovers import remove_leftovers
from hf_midropout.utils import files


def test_what_the_dead_left_goes_and_all_else_stays(tmp_path):
    dead, alive = (f"{files._place()}-{pid}-0123abcd" for pid in (4_194_305, os.getpid()))  # above the highest number
    kept = [
        tmp_path / "features" / f".a.safetensors.{alive}",
        tmp_path / ".gitignore",
        tmp_path / "runs" / "none.json",
    ]
    gone = [
        tmp_path / f"..midropout_study.{dead}",
        tmp_path / "features" / "0123" / f".train-00000.safetensors.{dead}",
        tmp_path / "runs" / "news" / "200" / f".none.json.{dead}",
        tmp_path / "trainings" / f".0123.json.{dead}",
    ]
    for path in kept + gone:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    remove_leftovers(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(kept)
