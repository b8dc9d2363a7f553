import json
import math

import pytest

from hf_midropout.utils.files import new_folder, write_json


def test_a_failed_write_leaves_the_former_file(tmp_path):
    path = tmp_path / "report.json"
    write_json(path, {"accuracy": 1.0})
    with pytest.raises(ValueError):
        write_json(path, {"accuracy": math.nan})
    assert json.loads(path.read_text()) == {"accuracy": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "compact"
    with pytest.raises(RuntimeError), new_folder(target) as folder:
        (folder / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with new_folder(target) as folder:
        (folder / "first").touch()
        assert not target.exists()
    with pytest.raises(RuntimeError), new_folder(target) as folder:
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["first"]
    with new_folder(target) as folder:
        (folder / "second").touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_of_folders_around_it_only_those_that_were_there_are_left(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "there" / "new" / "newer" / "target"):
        raise KeyboardInterrupt
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    with new_folder(tmp_path / "there" / "new" / "target") as folder:
        (folder / "file").touch()
    assert (tmp_path / "there" / "new" / "target" / "file").is_file()
