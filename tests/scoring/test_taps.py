import pytest
import torch
from torch import nn

from hf_midropout import score_neurons
from hf_midropout.information import mutual_information
from hf_midropout.scoring.taps import capture_outputs, find_layers, per_sample


def test_layers_by_name_by_pattern_and_by_default(tiny_model):
    default = [f"classifier.layers.{index}" for index in range(3)]
    assert list(find_layers(tiny_model, None)) == default
    assert list(find_layers(tiny_model, "classifier.layers.?")) == default
    assert list(find_layers(tiny_model, ["albert.pooler", "*.ffn"])) == [
        "albert.pooler",
        "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn",
    ]
    assert find_layers(tiny_model, {"mine": tiny_model.albert}) == {"mine": tiny_model.albert}
    with pytest.raises(ValueError, match="layers='\\*.fnn' matches none of the .* modules, such as albert"):
        find_layers(tiny_model, "*.fnn")


def test_tokens_are_averaged_without_padding(tiny_model, train_rows):
    padded = train_rows.map(lambda row: {"attention_mask": [1] * 5 + [0] * 3})
    name = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn"
    scores = score_neurons(tiny_model, padded, layers="*.ffn", batch_size=128, progress=False)
    with capture_outputs(find_layers(tiny_model, "*.ffn")) as captured, torch.no_grad():
        tiny_model(torch.tensor(padded["input_ids"][:]), attention_mask=torch.tensor(padded["attention_mask"][:]))
    expected, _ = mutual_information(captured[name][:, :5].mean(1), torch.tensor(padded["labels"][:]))
    assert torch.allclose(scores.layers[name].bits, expected, atol=0.05)


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
