import pytest

from hf_midropout.utils.local_paths import is_meant_as_path, missing_path


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("fancyzhx/ag_news", False),
        ("imdb", False),
        ("./imdb", True),
        ("~/imdb", True),
        ("/data/imdb", True),
        ("a/b/c", True),
        ("two words", True),
        ("", True),
        ("train.CSV", True),
        ("user/train.csv", True),
        ("data/reviews", True),  # `data` exists here
    ],
)
def test_which_names_are_paths(name, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert is_meant_as_path(name, (".csv", ".parquet")) == meant


def test_what_is_near_a_missing_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").write_text("")
    assert missing_path("tarin.csv") == "There is no file or folder 'tarin.csv'. Near names in its folder: train.csv."
    assert missing_path("Train.CSV").endswith("Near names in its folder: train.csv.")
    assert missing_path("other").endswith("'other'.")
    assert missing_path("no/such/file") == "There is no file or folder 'no/such/file': the folder 'no' does not exist."
    assert "'train.csv' is no folder" in missing_path("train.csv/part")
    assert "empty" in missing_path(" ")
