"""`hf-midropout reproduce` as a stranger meets it."""

from dataclasses import replace

import pytest

from hf_midropout.cli import main
from hf_midropout.study import plan


def test_from_texts_to_the_page_and_on(study_encoder, data_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(plan.SUITES, "quick", replace(plan.SUITES["quick"], steps={200: 10}))
    options = ["--model", str(study_encoder), "--dataset", str(data_folder), "--output_dir", str(tmp_path / "study")]
    options += ["--size", "40", "--seeds", "2", "--workers", "1", "--max_length", "8"]
    assert main(["reproduce", *options, "--method", "none", "mi_prune"]) == 0
    assert "2 runs: 2 methods, 1 datasets, 1 sizes." in capsys.readouterr().out
    page = tmp_path / "study" / "README.md"
    assert "MI-Dropout (prune)" in page.read_text() and "Dropout 0.3" not in page.read_text()
    assert main(["reproduce", *options, "--method", "none", "mi_prune", "mi_and_dropout"]) == 0
    assert "1 runs made, 2 were there." in capsys.readouterr().out
    assert "Dropout 0.3" in page.read_text()


@pytest.mark.slow  # test_fine_tuning.py holds its parts
def test_fine_tuned(study_encoder, data_folder, tmp_path, capsys, monkeypatch):
    suite = replace(plan.SUITES["finetuned"], steps={40: 4}, batch_sizes={40: 8}, evaluations=2)
    monkeypatch.setitem(plan.SUITES, "finetuned", suite)
    options = ["--model", str(study_encoder), "--dataset", str(data_folder), "--size", "40", "--seeds", "2"]
    options += ["--workers", "1", "--max_length", "8", "--method", "none", "mi_prune"]
    folder = tmp_path / "study"
    assert main(["reproduce", "--suite", "finetuned", "--output_dir", str(folder), *options]) == 0
    assert "2 runs made, 0 were there." in capsys.readouterr().out
    page = (folder / "README.md").read_text()
    assert "The whole classifier is fine-tuned" in page and "**Reduced grid**: nothing was chosen." in page
    assert "all methods have the learning rate 0.0001" in page.lower()
    assert main(["reproduce", "--output_dir", str(folder), *options]) == 1
    assert "holds a study with a fine-tuned encoder; name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--suite", "big"], "--suite big: must be one of paper, quick, finetuned."),
        (["--method", "none", "magic"], "--method magic: must be among none, none_two_rates, rewound,"),
        (["--method", "none", "none"], "--method none: comes 2 times"),
        (["--seeds", "1"], "--seeds 1: must be 2 to 999"),
        (["--tuning_seeds", "-1"], "--tuning_seeds -1: must be 0 to 999"),
        (["--size", "5"], "--size 5: must be 20 rows or more, or 0 for all."),
        (["--workers", "0"], "--workers 0: must be 1 or more."),
        (["--dataset", "a/news", "b/news"], "--dataset news: comes 2 times"),
        (["--max_length", "2"], "--max_length 2: must be 3 or more."),
    ],
)
def test_refused_at_once(options, message, tmp_path, capsys):
    assert main(["reproduce", "--output_dir", str(tmp_path / "study"), *options]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_there_are(study_encoder, data_folder, tmp_path, capsys):
    options = ["--model", str(study_encoder), "--dataset", str(data_folder), "--output_dir", str(tmp_path / "study")]
    assert main(["reproduce", *options, "--size", "500"]) == 1
    assert "size 500: the training split has 72 rows" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.docx").write_text("mine")
    assert main(["reproduce", "--output_dir", str(tmp_path)]) == 1
    assert "holds thesis.docx, and no study" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_page_of_someone_else_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    assert main(["reproduce", "--output_dir", str(tmp_path)]) == 1
    assert "README.md" in capsys.readouterr().err and (tmp_path / "README.md").read_text() == "mine"


def test_list(capsys):
    assert main(["reproduce", "--list_methods"]) == 0
    out = capsys.readouterr().out
    assert "suite paper: frozen encoder, 10 seeds, sizes 200, 2000, all" in out and "mi_prune" in out
