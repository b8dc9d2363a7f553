from dataclasses import replace

import pandas as pd
import pytest

from hf_midropout.study.figures import draw_figures
from hf_midropout.study.page import verdict, write_page
from hf_midropout.study.plan import SUITES, Run
from hf_midropout.study.tables import curves, differences, latex, markdown, readable, summary, tidy, write_tables


ACCURACY = {
    "none": [0.80, 0.82, 0.81, 0.79],
    "mi_prune": [0.83, 0.86, 0.84, 0.82],
    "random_prune": [0.80, 0.81, 0.81, 0.79],
}


def made_up(method: str, dataset: str, size: int) -> tuple[Run, dict]:
    bits = {key: [0.1, 0.2] for key in ("before", "before_kept", "end", "end_unmasked")}
    outcomes = [
        {
            "seed": seed, "bits": bits, "kept": None,
            "curve": [{"step": step, "accuracy": accuracy - 0.1 / step, "loss": 0.5} for step in (1, 2)],
            "test": {"accuracy": accuracy, "loss": 1 - accuracy, "expected_calibration_error": 0.05 + seed / 100},
        }
        for seed, accuracy in enumerate(ACCURACY[method])
    ]  # fmt: skip
    grid = [{"learning_rate": rate, "value": None, "accuracy": 0.8, "loss": 0.5} for rate in (0.001, 0.003)]
    return Run(dataset, size, method), {
        "seeds": outcomes, "grid": grid, "setting": {"learning_rate": 0.003, "value": None},
        "rows": {"train": 200, "validation": 1000, "test": 2000},
    }  # fmt: skip


@pytest.fixture
def results():
    return [
        made_up(method, dataset, size) for size in (200, 0) for dataset in ("news", "films") for method in ACCURACY
    ]


def test_tidy(results):
    table = tidy(results)
    assert len(table) == 12 * 4 * 3
    one = table[
        (table.method == "none") & (table.dataset == "news") & (table["size"] == "all") & (table.metric == "loss")
    ]
    assert one.value.tolist() == pytest.approx([0.2, 0.18, 0.19, 0.21])
    assert summary(table, "accuracy").loc["none", ("mean", "200", "films")] == pytest.approx(0.805)


def test_differences_are_paired_by_seed(results):
    found = differences(tidy(results), "accuracy")
    assert set(found) == {
        (d, s, m) for d in ("news", "films") for s in ("200", "all") for m in ("mi_prune", "random_prune")
    }
    assert found["news", "200", "mi_prune"].mean == pytest.approx(0.0325)
    assert found["news", "200", "mi_prune"].p_value < 0.05 < found["news", "200", "random_prune"].p_value
    assert differences(tidy([made_up("mi_prune", "news", 200)]), "accuracy") == {}  # with nothing to compare to


def test_the_baseline_has_the_learning_rates_of_the_methods(results):
    same = [(replace(run, method="none_two_rates"), result) for run, result in results if run.method == "mi_prune"]
    found = differences(tidy(results + same), "accuracy")
    assert found["news", "200", "mi_prune"].mean == 0
    assert found["news", "200", "none"].mean == pytest.approx(-0.0325)
    (sentence, *_) = verdict(tidy(results + same), curves(results + same))
    assert "; none, two learning rates 83.75 ± 1.71%; none 80.50 ± 1.29%;" in sentence
    assert "(+0.00 points from none, two learning rates, 95% interval" in sentence


def test_a_star_where_it_differs(results):
    text = markdown(readable(tidy(results), "accuracy"))
    assert "| MI-Dropout (prune) | 83.75 ± 1.71 * |" in text
    assert "| none | 80.50 ± 1.29 | 80.50 ± 1.29 |" in text
    assert "$^{*}$" in latex(readable(tidy(results), "accuracy"), "accuracy")
    assert r"a\_b \& c" in latex(pd.DataFrame({"x": ["1 ± 2"]}, index=["a_b & c"]), "accuracy")


def test_files(results, tmp_path):
    table = write_tables(results, tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "results.parquet"), table)
    chosen = pd.read_parquet(tmp_path / "settings.parquet").query("chosen")
    assert len(chosen) == len(results) and set(chosen.learning_rate) == {0.003}
    bits = pd.read_parquet(tmp_path / "bits.parquet").query("method == 'mi_prune' and when == 'end' and layer == 2")
    assert len(bits) == 4 * 4 and set(bits.bits) == {0.2}
    drawn = draw_figures(results, tmp_path / "figures")
    assert [path.name for path in drawn] == ["accuracy_per_epoch.png", "bits_per_layer.png", "differences.png"]
    assert all(path.stat().st_size > 5000 for path in drawn)
    page = write_page(results, table, SUITES["paper"], "tiny", tmp_path, missing=3).read_text()
    assert "**Not complete**: 3 runs" in page and "2,000 test rows" in page
    for name in ("differences", "accuracy_per_epoch", "bits_per_layer"):
        assert f"(figures/{name}.png)" in page


def test_the_verdict_names_the_control_and_the_interval(results):
    sentences = verdict(tidy(results), curves(results))
    assert len(sentences) == 4
    assert sentences[0].startswith("**films, 200 rows**: highest of 3: MI-Dropout (prune) 83.75 ± 1.71%; none 80.50")
    assert "(+3.25 points from none, 95% interval +2.45 to +4.05, p = 0.002)" in sentences[0]
    assert "controls at the same budget: random (prune) 80.25" in sentences[0]


def test_the_verdict_takes_the_form_that_validation_rows_prefer(results):
    worse = [
        (replace(run, method="mi_dropout"), {**result, "seeds": [lowered(each) for each in result["seeds"]]})
        for run, result in results
        if run.method == "mi_prune"
    ]
    (sentence, *_) = verdict(tidy(results + worse), curves(results + worse))
    assert "MI-Dropout as in the paper: MI-Dropout (Algorithm 1) 33.75" in sentence


def lowered(outcome: dict) -> dict:
    """Better on validation rows, worse on test rows."""
    curve = [{**point, "accuracy": point["accuracy"] + 0.1} for point in outcome["curve"]]
    return {**outcome, "curve": curve, "test": {**outcome["test"], "accuracy": outcome["test"]["accuracy"] - 0.5}}


def test_one_seed_and_a_method_alone(tmp_path):
    run, result = made_up("none", "news", 200)
    alone = [(run, {**result, "seeds": result["seeds"][:1]})]
    table = write_tables(alone, tmp_path)
    draw_figures(alone, tmp_path / "figures")
    assert "none 80.00" in write_page(alone, table, SUITES["quick"], "tiny", tmp_path).read_text()
