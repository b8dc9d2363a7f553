import pytest

from hf_midropout.training.output_place import check_place


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, in a home directory."""
    (tmp_path / "project").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize(
    ("output_dir", "message"),
    [
        ("", "'' is empty"),
        (" ", "' ' is empty"),
        (".", "is the current directory"),
        ("out/..", "is the current directory"),
        ("here", "is the current directory"),  # a link
        ("..", "contains the current directory"),
        ("/", "contains the current directory"),
        ("~", "the current directory"),
        ("repository", "is the root of a repository"),
        ("worktree", "is the root of a repository"),
        ("file", "is a file"),
        ("nowhere", "is a link that leads nowhere"),
        ("a\udcff", "is not valid UTF-8"),
    ],
)
def test_places_that_are_refused(here, output_dir, message):
    (here / "out").mkdir()
    (here / "here").symlink_to(here)
    (here / "nowhere").symlink_to(here / "nothing")
    (here / "file").touch()
    (here / "repository" / ".git").mkdir(parents=True)
    (here / "worktree").mkdir()
    (here / "worktree" / ".git").touch()
    with pytest.raises(ValueError) as told:
        check_place(output_dir, {})
    assert message in str(told.value) and "--output_dir" in str(told.value)


def test_the_home_directory(here, monkeypatch):
    monkeypatch.chdir("/")
    with pytest.raises(ValueError, match="is your home directory"):
        check_place("~", {})


@pytest.mark.parametrize("given", ["out/train.csv", "out", "link.csv", "out/link.csv"])
def test_a_folder_with_what_is_to_be_read(here, given):
    (here / "out").mkdir()
    (here / "out" / "train.csv").touch()
    (here / "elsewhere.csv").touch()
    (here / "link.csv").symlink_to(here / "out" / "train.csv")
    (here / "out" / "link.csv").symlink_to(here / "elsewhere.csv")
    with pytest.raises(ValueError, match=rf"contains --dataset {given}, which the run reads"):
        check_place("out", {"--model": "me/model", "--dataset": given})
    assert check_place("out/new", {"--dataset": "out"}) and check_place("other", {"--dataset": given})
