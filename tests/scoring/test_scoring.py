import datasets
import pytest
import torch
from accelerate import PartialState

from hf_midropout import NeuronScores, score_neurons
from hf_midropout.information import mutual_information


def test_scores_are_those_of_the_layers_outputs(tiny_model, train_rows):
    scores = score_neurons(tiny_model, train_rows, batch_size=50, progress=False)
    outputs = {}
    for name, layer in tiny_model.masked_layers().items():
        layer.register_forward_hook(lambda module, args, output, name=name: outputs.setdefault(name, output))
    with torch.no_grad():
        tiny_model(torch.tensor(train_rows["input_ids"][:]))
    labels = torch.tensor(train_rows["labels"][:])
    assert list(scores.layers) == [f"classifier.layers.{index}" for index in range(3)]
    for name, layer in scores.layers.items():
        expected, _ = mutual_information(outputs[name], labels)
        assert torch.allclose(layer.bits, expected, atol=0.05)  # a last-bit difference can move a sample by a bin
    assert (scores.num_samples, scores.num_classes) == (128, 3)
    assert scores.layer_average()["classifier.layers.0"] == pytest.approx(
        scores.layers["classifier.layers.0"].bits.mean().item()
    )


def test_scoring_leaves_no_trace(tiny_model, train_rows):
    tiny_model.train()
    tiny_model.classifier.layers[1].eval()
    state = torch.get_rng_state()
    score_neurons(tiny_model, train_rows, progress=False)
    assert torch.equal(state, torch.get_rng_state())
    assert tiny_model.training and not tiny_model.classifier.layers[1].training
    assert not tiny_model.classifier.layers[0]._forward_hooks


def test_max_samples_and_ignored_labels(tiny_model, train_rows):
    assert score_neurons(tiny_model, train_rows, max_samples=70, progress=False).num_samples == 70
    labels = train_rows["labels"][:]
    partly = train_rows.remove_columns("labels").add_column("labels", [-100] * 10 + labels[10:])
    scores = score_neurons(tiny_model, partly, progress=False)
    assert (scores.num_samples, scores.num_ignored) == (118, 10)


def test_columns_that_the_model_does_not_take_are_left_out(tiny_model, train_rows):
    with_text = train_rows.add_column("text", ["words"] * len(train_rows))
    assert score_neurons(tiny_model, with_text, progress=False).num_samples == 128


def test_nan_activations_name_the_layer(tiny_model, train_rows):
    tiny_model.classifier.layers[1].dense.bias.data[3] = torch.nan
    with pytest.raises(ValueError, match=r"classifier.layers.1: NaN.*1 of 8 neurons \(neuron 3: 128 samples\)"):
        score_neurons(tiny_model, train_rows, progress=False)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3], r"3.*must be in 0..2"),
        ([0, 1, -1], r"-1.*must be in 0..2"),
        ([2, 2, -100], r"1 class\(es\) \[2\]"),
        ([0.5, 1.0, 2.0], "float"),
        ([], "empty"),
    ],
)
def test_bad_labels_are_refused_before_any_compute(tiny_model, labels, message):
    rows = datasets.Dataset.from_dict({"input_ids": [[5, 6, 7]] * len(labels), "labels": labels})
    tiny_model.register_forward_pre_hook(lambda *_: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match=message):
        score_neurons(tiny_model, rows, progress=False)


def with_labels(rows, labels):
    return rows.remove_columns("labels").add_column("labels", labels)


def outputs_of_last_layer(model, rows):
    outputs = []
    handle = model.masked_layers()["classifier.layers.2"].register_forward_hook(lambda *call: outputs.append(call[2]))
    with torch.no_grad():
        model(torch.tensor(rows["input_ids"][:]))
    handle.remove()
    return outputs[0]


def test_several_binary_labels(tiny_model, train_rows):
    classes = torch.tensor(train_rows["labels"][:])
    labels = torch.stack([classes == 0, classes >= 1, classes == 2], 1)
    rows = with_labels(train_rows, labels.float().tolist())
    tiny_model.config.problem_type = "multi_label_classification"
    scores = score_neurons(tiny_model, rows, batch_size=50, progress=False)
    each, _ = mutual_information(outputs_of_last_layer(tiny_model, rows), labels)
    assert torch.allclose(scores.layers["classifier.layers.2"].bits, each.mean(0), atol=0.05)
    assert "mean of 3 labels" in str(scores)
    assert NeuronScores.from_dict(scores.to_dict()).problem_type == "multi_label_classification"
    tiny_model.register_forward_pre_hook(lambda *_: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match="2 labels a row, the model has 3"):
        score_neurons(tiny_model, with_labels(train_rows, labels[:, :2].float().tolist()), progress=False)
    with pytest.raises(ValueError, match="needs one that varies"):
        score_neurons(tiny_model, with_labels(train_rows, torch.ones(128, 3).tolist()), progress=False)


def test_regression(tiny_model, train_rows):
    targets = torch.tensor(train_rows["labels"][:]) + torch.rand(128, generator=torch.Generator().manual_seed(0))
    rows = with_labels(train_rows, targets.tolist())
    scores = score_neurons(tiny_model, rows, problem_type="regression", batch_size=50, progress=False)
    expected, _ = mutual_information(outputs_of_last_layer(tiny_model, rows), targets, problem_type="regression")
    assert torch.allclose(scores.layers["classifier.layers.2"].bits, expected, atol=0.05)
    assert scores.label_entropy == pytest.approx(3.0)
    assert "8 bins of the target" in str(scores)
    with pytest.raises(ValueError, match="128 regression targets are 1"):
        score_neurons(tiny_model, with_labels(rows, [1.0] * 128), problem_type="regression", progress=False)


def test_models_without_masked_layers_are_refused(train_rows):
    with pytest.raises(ValueError, match="Linear has no masked layers"):
        score_neurons(torch.nn.Linear(1, 1), train_rows)


def test_scores_save_load_and_print(tiny_model, train_rows, tmp_path):
    scores = score_neurons(tiny_model, train_rows, progress=False)
    scores.save(tmp_path / "scores.json")
    loaded = NeuronScores.load(tmp_path / "scores.json")
    assert loaded.to_dict() == scores.to_dict()
    assert "classifier.layers.2" in str(scores) and "128 samples" in str(scores)


def test_one_process_counts_where_the_model_is(tiny_model, train_rows, monkeypatch):
    """Though it has a GPU: a device that nothing can be read from."""
    expected = score_neurons(tiny_model, train_rows, progress=False)
    monkeypatch.setitem(PartialState._shared_state, "device", torch.device("meta"))
    found = score_neurons(tiny_model, train_rows, progress=False)
    for name, layer in expected.layers.items():
        assert torch.equal(found.layers[name].bits, layer.bits)
