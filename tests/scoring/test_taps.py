import copy
from fnmatch import fnmatch

import pytest
import torch
from encoders import ARCHITECTURES, rows, tiny_classifier
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from hf_midropout import score_neurons
from hf_midropout.information import mutual_information
from hf_midropout.scoring.passes import labelled_batches
from hf_midropout.scoring.taps import Taps, capture_outputs, find_layers, per_sample


def test_layers_by_name_and_by_pattern(tiny_model):
    assert list(find_layers(tiny_model, "classifier.layers.?")) == [f"classifier.layers.{index}" for index in range(3)]
    assert list(find_layers(tiny_model, ["albert.pooler", "*.ffn"])) == [
        "albert.pooler",
        "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn",
    ]
    assert find_layers(tiny_model, {"mine": tiny_model.albert}) == {"mine": tiny_model.albert}
    with pytest.raises(ValueError, match="layers='\\*.fnn' matches none of the .* modules, such as albert"):
        find_layers(tiny_model, "*.fnn")


def test_groups_are_named_by_targets(tiny_model):
    head = [f"classifier.layers.{index}" for index in range(3)]
    assert Taps(tiny_model).names == head
    assert Taps(tiny_model, targets="encoder").names == ["encoder.layer.0.ffn"]
    assert Taps(tiny_model, targets="all").names == ["encoder.layer.0.ffn", *head]
    with pytest.raises(ValueError, match="layers='\\*' and targets='encoder': give one of them"):
        Taps(tiny_model, "*", "encoder")


BERT_LIKE = ("encoder.layer.*", "intermediate.dense", "intermediate.intermediate_act_fn")
BY_HAND = {
    "albert": ("encoder.albert_layer_groups.*.albert_layers.0", "ffn", "activation"),
    "distilbert": ("transformer.layer.*", "ffn.lin1", "ffn.activation"),
    "modernbert": ("layers.*", "mlp.Wi", "mlp.act"),
}


def units_by_hand(kind: str, model, inputs: dict) -> list[torch.Tensor]:
    """`[rows, K]` by layer, from the model's own modules: mean over tokens, and over applications of shared layers."""
    pattern, producer, activation = BY_HAND.get(kind.removesuffix("-shared"), BERT_LIKE)
    layers = [
        module for name, module in model.base_model.named_modules()
        if fnmatch(name, pattern) and name.count(".") == pattern.count(".")
    ]  # fmt: skip
    made: list[list[torch.Tensor]] = [[] for _ in layers]
    for place, layer in enumerate(layers):
        layer.get_submodule(producer).register_forward_hook(lambda *call, place=place: made[place].append(call[2]))
    with torch.no_grad():
        model(**inputs)
    result = []
    for layer, outputs in zip(layers, made, strict=True):
        act = getattr(layer.get_submodule(activation.rpartition(".")[0]), activation.rpartition(".")[2])
        if kind == "modernbert":
            halves = [output.chunk(2, dim=-1) for output in outputs]
            units = [act(value) * gate for value, gate in halves]
        else:
            units = [act(output) for output in outputs]
        means = []
        for values in units:
            rows = zip(values, inputs["attention_mask"].bool(), strict=True)
            means.append(torch.stack([row[shown].mean(0) for row, shown in rows]))
        result.append(torch.stack(means).mean(0))
    return result


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_units_are_what_the_next_layer_reads(kind):
    model, batches = tiny_classifier(kind), rows(8)
    _, inputs, _ = next(labelled_batches(batches))
    with Taps(model, targets="encoder") as taps, torch.no_grad():
        for _ in range(2):  # nothing is left over from one pass to the next
            taps.begin(inputs["attention_mask"])
            model(**inputs)
        units = taps.activations()
    assert taps.names == [f"encoder.layer.{index}.ffn" for index in range(1 if kind == "albert-shared" else 3)]
    assert list(units) == taps.names
    for found, expected in zip(units.values(), units_by_hand(kind, model, inputs), strict=True):
        assert found.shape == (8, 64)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["albert-shared", "modernbert"])
def test_scores_of_an_encoder_are_those_of_its_units(kind):
    model, batches = tiny_classifier(kind), rows(96)
    scores = score_neurons(model, batches, targets="encoder", progress=False)
    parts, labels = zip(
        *(
            (units_by_hand(kind, copy.deepcopy(model), inputs), labels)
            for _, inputs, labels in labelled_batches(batches)
        ),
        strict=True,
    )
    for name, units in zip(scores.layers, zip(*parts, strict=True), strict=True):
        expected, _ = mutual_information(torch.cat(units), torch.cat(labels))
        assert torch.allclose(scores.layers[name].bits, expected, atol=0.05)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_compiled_models(tiny_model, train_rows):
    alone = score_neurons(tiny_model, train_rows, targets="all", progress=False)
    compiled = torch.compile(tiny_model, backend="eager")
    assert score_neurons(compiled, train_rows, targets="all", progress=False) == alone


def test_adapters(tiny_model, train_rows):
    """New adapters change nothing; they lie around the linear maps that are tapped."""
    peft = pytest.importorskip("peft")
    alone = score_neurons(tiny_model, train_rows, targets="all", progress=False)
    model = peft.get_peft_model(tiny_model, peft.LoraConfig(task_type="SEQ_CLS", target_modules="all-linear"))
    assert score_neurons(model, train_rows, targets="all", progress=False) == alone


def test_architectures_that_are_not_in_the_table(train_rows):
    config = AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=1, vocab_size=20, n_positions=8, num_labels=3)
    model = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(ValueError, match="GPT2ForSequenceClassification has no masked layers.*targets='encoder'"):
        score_neurons(model, train_rows, progress=False)
    with pytest.raises(ValueError, match=r"model_type='gpt2' has no row in hf_midropout/groups/architectures.py"):
        score_neurons(model, train_rows, targets="encoder", progress=False)


def test_tokens_are_averaged_without_padding(tiny_model, train_rows):
    padded = train_rows.map(lambda row: {"attention_mask": [1] * 5 + [0] * 3})
    name = "albert.embeddings"
    scores = score_neurons(tiny_model, padded, layers=name, batch_size=128, progress=False)
    with capture_outputs(find_layers(tiny_model, name)) as captured, torch.no_grad():
        tiny_model(torch.tensor(padded["input_ids"][:]), attention_mask=torch.tensor(padded["attention_mask"][:]))
    expected, _ = mutual_information(captured[name][0][:, :5].mean(1), torch.tensor(padded["labels"][:]))
    assert torch.allclose(scores.layers[name].bits, expected, atol=0.05)


def test_layers_that_do_not_run_are_named(tiny_model, train_rows):
    with pytest.raises(ValueError, match="The model did not run unused"):
        score_neurons(tiny_model, train_rows, layers={"unused": nn.Linear(2, 2)}, progress=False)


def test_a_model_that_is_no_transformer():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 5, 3)
            self.out = nn.Linear(5, 2)

        def forward(self, pixels):
            return self.out(self.convolution(pixels).mean((2, 3)))

    rows = [{"pixels": torch.randn(1, 6, 6) + label, "labels": label} for label in (0, 1) * 30]
    scores = score_neurons(Classifier(), rows, layers="*", num_classes=2, progress=False)
    assert {name: len(layer.bits) for name, layer in scores.layers.items()} == {"convolution": 5, "out": 2}
    assert scores.layers["convolution"].bits.max() > 0.5


def test_per_sample_means():
    tokens = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(per_sample(tokens, torch.tensor([[1, 1, 0]])), tokens[:, :2].mean(1))
    assert torch.equal(per_sample(tokens, None), tokens.mean(1))
    assert torch.equal(per_sample(torch.ones(2, 3, 5, 5), None), torch.ones(2, 3))


def test_outputs_that_are_no_activations_are_refused(tiny_model, train_rows):
    with pytest.raises(ValueError, match="whole gives SequenceClassifierOutput"):
        score_neurons(tiny_model, train_rows, layers={"whole": tiny_model}, progress=False)
