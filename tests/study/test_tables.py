from dataclasses import replace

import pandas as pd
import pytest

from hf_midropout.study import figures
from hf_midropout.study.figures import MOST_LINES, accuracy_per_epoch, draw_figures, lines
from hf_midropout.study.methods import METHODS
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
    missing = {Run("news", 200, "dropout"): "layer 1 gave NaN."}
    page = write_page(results, table, SUITES["paper"], "tiny", tmp_path, drawn, missing).read_text()
    assert "**Not complete**: 1 run has no result." in page and "2,000 test rows" in page
    assert "\n- news, 200 rows, Dropout: layer 1 gave NaN.\n" in page
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


@pytest.fixture
def quickly_drawn(monkeypatch):
    monkeypatch.setattr(figures, "draw", lambda _, path: path.write_bytes(b"a figure") and path)


def page_of(results, folder, suite=SUITES["paper"]):
    drawn = draw_figures(results, folder / "figures")
    return write_page(results, tidy(results), suite, "tiny", folder, drawn).read_text()


def test_the_page_shows_what_ran(results, tmp_path, quickly_drawn):
    page = page_of(results, tmp_path)
    assert "Adam: 200 rows, 200 steps of 32; all rows, 600 steps of 128." in page.replace("\n", " ")
    assert "differs from `none`" in page and "grid of six points; the" in page
    alone = [(replace(run, size=50), result) for run, result in results if run.method == "random_prune"]
    page = page_of(alone, tmp_path)
    assert "Adam: 50 rows, 200 steps of 32." in page.replace("\n", " ")
    # of the figures of the first results the one is drawn anew, and the others are gone
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["accuracy_per_epoch.png"]
    assert "differences.png" not in page and "bits_per_layer.png" not in page and "differs from" not in page
    assert "accuracy_per_epoch.png" in page


def test_files_of_others_stay_among_the_figures(results, tmp_path, quickly_drawn):
    (tmp_path / "mine.png").write_text("mine")
    draw_figures(results[:1], tmp_path)
    assert (tmp_path / "mine.png").exists()


def test_a_grid_of_another_size_is_named(results, tmp_path, quickly_drawn):
    two_rates = [(replace(run, method="none_two_rates"), result) for run, result in results[:1]]
    page = page_of(two_rates, tmp_path)
    assert "a grid of six points, but for `none, two learning rates`, with 2; the point" in page.replace("\n", " ")


def test_sizes_come_in_their_order():
    several = [made_up(method, "news", size) for size in (1000, 200, 0, 40) for method in ACCURACY]
    columns = ["news, 40", "news, 200", "news, 1000", "news, all"]
    assert readable(tidy(several), "accuracy").columns.tolist() == columns
    sentences = verdict(tidy(several), curves(several))
    assert [sentence.split("**")[1] for sentence in sentences] == [f"{each} rows" for each in columns]


def test_those_that_are_highest_together_are_all_named(results):
    same = [(replace(run, method="dropout"), result) for run, result in results if run.method == "mi_prune"]
    (sentence, *_) = verdict(tidy(results + same), curves(results + same))
    assert "highest of 4: 2 are highest together with 83.75% (Dropout, MI-Dropout (prune)); none 80.50" in sentence


def test_a_difference_without_a_spread_has_no_test():
    pair = [made_up("none", "news", 200), made_up("mi_prune", "news", 200)]
    for _, result in pair:
        result["seeds"] = result["seeds"][:2]
    for one, other in zip(pair[1][1]["seeds"], pair[0][1]["seeds"], strict=True):
        one["test"] = {**other["test"], "accuracy": other["test"]["accuracy"] + 0.02}
    (sentence,) = verdict(tidy(pair), curves(pair))
    assert "(+2.00 points from none with every seed, which allows no test)" in sentence
    assert readable(tidy(pair), "accuracy")["news, 200"]["MI-Dropout (prune)"] == "83.00 ± 1.41"


def test_every_method_has_a_line_if_few_ran():
    assert list(lines(["spatial_1d", "none", "none_two_rates"])) == ["none_two_rates", "none", "spatial_1d"]
    every = lines(METHODS)
    assert len(every) == MOST_LINES and next(iter(every)) == "none_two_rates"
    assert len({tuple(style.values()) for style in every.values()}) == MOST_LINES
    run, result = made_up("none", "news", 200)
    figure = accuracy_per_epoch(curves([(replace(run, method="spatial_1d"), result)]))
    assert [line.get_label() for line in figure.axes[0].lines][0] == "SpatialDropout1D"
