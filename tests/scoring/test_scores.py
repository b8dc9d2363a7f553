import copy
import dataclasses

import pytest
import torch

from hf_midropout import NeuronScores
from hf_midropout.information import MutualInformation


@pytest.fixture
def scores():
    bits = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    layers = {name: MutualInformation(bits, bits / 10, bits / 100, 1.5, 1000) for name in ("first", "second")}
    return NeuronScores(layers, num_classes=3, seconds=1.0)


def test_equality_is_that_of_the_numbers(scores):
    other = dataclasses.replace(copy.deepcopy(scores), seconds=2.0, bytes_reduced=10)
    assert scores == other and not scores != other  # noqa: SIM202 - `!=` is tested too
    assert NeuronScores.from_dict(scores.to_dict()) == scores
    assert scores != dataclasses.replace(scores, num_classes=4)
    assert scores != dataclasses.replace(scores, layers=dict(list(scores.layers.items())[:1]))
    renamed = {"first": scores.layers["first"], "third": scores.layers["second"]}
    assert scores != dataclasses.replace(scores, layers=renamed)
    other.layers["second"].bits[1] += 1e-16
    assert scores != other
    shorter = scores.layers["first"]._replace(bits=torch.zeros(2, dtype=torch.float64))
    assert scores != dataclasses.replace(scores, layers={**scores.layers, "first": shorter})
    assert scores != "scores" and scores != None  # noqa: E711
    with pytest.raises(TypeError, match="unhashable"):
        hash(scores)


def test_repr_is_a_line_and_str_a_table(scores):
    assert repr(scores) == "NeuronScores(2 layers, 6 neurons, 1,000 samples, label of 1.500 bits)"
    assert "\n" not in repr([scores]) and len(str(scores).splitlines()) == 4


def test_the_table_has_room_for_long_names(scores):
    scores.layers = {"a" * 60: scores.layers["first"]}
    header, row, _ = str(scores).splitlines()
    assert header.index("neurons") + len("neurons") == row.index("       3 ") + len("       3")


def test_layers_by_name_and_a_frame(scores):
    assert list(scores) == ["first", "second"] and len(scores) == 2 and "first" in scores
    assert scores["second"] is scores.layers["second"]
    with pytest.raises(KeyError, match="'third' is none of the layers: first, second"):
        scores["third"]
    frame = scores.to_pandas()
    assert list(frame.columns) == ["layer", "neuron", "bits", "stderr", "p_value"]
    assert frame[frame.layer == "second"].bits.tolist() == scores["second"].bits.tolist() and len(frame) == 6
    scores.layers = {"<b>": scores["first"]}
    assert "&lt;b&gt;" in scores._repr_html_() and "<b>" not in scores._repr_html_()


def test_plot_returns_axes_and_leaves_the_style(scores, tmp_path):
    import matplotlib
    from matplotlib import pyplot as plt

    before = dict(matplotlib.rcParams)
    ax = scores.plot()
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) >= 6
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first", "second"]
    own = plt.subplots()[1]
    assert scores.plot("first", ax=own) is own and own.get_title() == "first"
    assert dict(matplotlib.rcParams) == before
    plt.close("all")
    assert scores.save_figure(tmp_path / "bits.png").read_bytes().startswith(b"\x89PNG")


def test_only_public_names_are_shown():
    import hf_midropout

    assert dir(hf_midropout) == sorted(hf_midropout.__all__)
    assert all(getattr(hf_midropout, name) is not None for name in dir(hf_midropout))
