"""Classifiers whose feed-forward layers have different widths: made in place, saved, and loaded in three ways."""

import copy
import json
import pickle

import pytest
import torch
from encoders import ARCHITECTURES, rows, tiny_classifier, tiny_config, tiny_head_classifier
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hf_midropout import MIDropoutConfig, prune
from hf_midropout.checkpoints.checks import check_checkpoint
from hf_midropout.checkpoints.loading import load_checked_model
from hf_midropout.groups import cut_groups, drop_layers, find_groups
from hf_midropout.model_types import (
    HEAD_ARCHITECTURES,
    UNEVEN_CODE,
    auto_map,
    brings_code,
    is_own,
    is_uneven,
    stock_type,
    uneven_type,
)
from hf_midropout.models.configuration_uneven_widths import CONFIGURATIONS, UnevenBertConfig
from hf_midropout.models.modeling_uneven_widths import CLASSIFIERS, MODELS, UnevenBertForSequenceClassification
from hf_midropout.pruning.encoder.one_shot import set_width


KINDS = [kind for kind in ARCHITECTURES if kind != "albert-shared"]
WIDTHS = (24, 64, 7)
GLOBAL = MIDropoutConfig(targets="encoder", scope="global", keep=0.5, reconstruction_samples=100, baselines=False)
INPUTS = {"input_ids": torch.arange(3, 21).reshape(2, 9), "attention_mask": torch.ones(2, 9, dtype=torch.long)}


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(**INPUTS).logits


def cut(model, widths=WIDTHS):
    """`model` with the first neurons of each layer, in place."""
    groups = find_groups(model, "encoder")
    kept = {
        name: torch.arange(group.num_units) < width
        for (name, group), width in zip(groups.items(), widths, strict=True)
    }
    cut_groups(model, groups, kept)
    set_width(model, groups)
    return model


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """By architecture: a classifier with layers of different widths, and where it is saved."""
    folder, made = tmp_path_factory.mktemp("uneven"), {}
    for kind in KINDS:
        model = cut(tiny_classifier(kind))
        model.save_pretrained(folder / kind)
        made[kind] = model, folder / kind
    return made


def test_every_architecture_of_the_table_can_be_uneven():
    assert [each.model_type for each in CONFIGURATIONS] == [uneven_type(stock) for stock in HEAD_ARCHITECTURES]
    for stock, *classes in zip(HEAD_ARCHITECTURES, CONFIGURATIONS, MODELS, CLASSIFIERS, strict=True):
        assert classes[0].auto_classes == auto_map(stock, uneven=True)
        assert all(each.config_class is classes[0] for each in classes[1:])
        assert issubclass(classes[0], CONFIG_MAPPING[stock])


@pytest.mark.parametrize(
    ("model_type", "stock", "uneven"),
    [("uneven_bert", "bert", True), ("uneven_deberta-v2", "deberta-v2", True), ("bert", "bert", False),
     ("midropout_bert", "bert", False), ("midropout_uneven_bert", None, False), ("uneven_gpt2", None, False),
     ("uneven_", None, False), (None, None, False)],
)  # fmt: skip
def test_types(model_type, stock, uneven):
    assert stock_type(model_type) == stock and is_uneven(model_type) == uneven
    assert brings_code(model_type) == (uneven or is_own(model_type)) and not (uneven and is_own(model_type))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_with_this_package(uneven, kind):
    model, folder = uneven[kind]
    check_checkpoint(folder)
    loaded = load_checked_model(folder)
    assert type(loaded) is type(model) and type(model).__name__.startswith("Uneven")
    assert [group.num_units for group in find_groups(loaded, "encoder").values()] == list(WIDTHS)
    assert torch.equal(logits(loaded), logits(model)) and logits(model).std() > 1e-3
    assert {path.name for path in folder.glob("*.py")} == set(UNEVEN_CODE)
    encoder = AutoModel.from_pretrained(folder)
    assert type(encoder).__name__ == type(model).__name__.replace("ForSequenceClassification", "Model")
    assert [group.num_units for group in find_groups(encoder, "encoder").values()] == list(WIDTHS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_that_of_transformers(uneven, kind):
    """Its own configuration, of the stock type, tells the same widths: models may follow, and need no new files."""
    content = json.loads((uneven[kind][1] / "config.json").read_text())
    field = "hidden_dim" if kind == "distilbert" else "intermediate_size"
    assert content["per_layer_config"] == {"0": {field: 24}, "1": {field: 64}} and content[field] == 7
    stock = stock_type(content.pop("model_type"))
    config = AutoConfig.for_model(stock, **content)
    assert [getattr(layer, field) for layer in config.per_layer_config] == list(WIDTHS)


def test_loaded_with_trust_remote_code_where_this_package_is_not(uneven, tmp_path, run_stock):
    kinds = ("albert", "bert", "distilbert", "modernbert", "roberta")  # others have their layers where BERT has them
    torch.save(({kind: logits(uneven[kind][0]) for kind in kinds}, INPUTS), tmp_path / "expected.pt")
    code = """
import sys, torch
from transformers import AutoModelForSequenceClassification
expected, inputs = torch.load(sys.argv[2])
for kind, logits in expected.items():
    model = AutoModelForSequenceClassification.from_pretrained(f"{sys.argv[1]}/{kind}", trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    with torch.no_grad():
        got = model(**inputs).logits
    assert torch.allclose(got, logits, rtol=0, atol=1e-6), (kind, (got - logits).abs().max())
    model.save_pretrained(f"{sys.argv[3]}/{kind}")
"""
    folder = uneven["bert"][1].parent
    run_stock(code, folder, tmp_path / "expected.pt", tmp_path / "again")
    for kind in kinds:
        assert {path.name for path in (tmp_path / "again" / kind).glob("*.py")} == set(UNEVEN_CODE)
        before, after = (
            json.loads((each / kind / "config.json").read_text()) for each in (folder, tmp_path / "again")
        )
        assert before == after


def test_stock_transformers_without_trust_says_that_it_does_not_know_it(uneven, run_stock):
    code = """
import sys
from transformers import AutoModelForSequenceClassification
try:
    AutoModelForSequenceClassification.from_pretrained(sys.argv[1], trust_remote_code=False)
except ValueError as error:
    print("trust_remote_code" in str(error))
"""
    assert run_stock(code, uneven["bert"][1])[-1] == "True"


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[2:] if kind != "distilbert"]


# What differs between the others is where their layers are, which the tests above hold for all.
@pytest.mark.parametrize("kind", ["albert", "bert", "distilbert", *SLOW])
def test_pruned_by_what_neurons_tell(kind):
    model, batches = tiny_classifier(kind), rows(120)
    dense = copy.deepcopy(model)
    result = prune(model, batches, rows(40), GLOBAL, progress=False)
    counts = result.selection.counts
    assert len(set(counts.values())) > 1 and sum(counts.values()) == 96
    assert is_uneven(model.config.model_type) and model.config.widths == list(counts.values())
    assert result.validation["after_pruning"].keys() >= {"accuracy", "bits_lost"}
    assert type(dense).__name__ == type(model).__name__.removeprefix("Uneven")
    assert not is_uneven(dense.config.model_type) and dense.config.to_dict().get("per_layer_config") is None


def test_pruned_again(uneven):
    model = copy.deepcopy(uneven["bert"][0])
    even = MIDropoutConfig(targets="encoder", keep=0.5, reconstruction_samples=100, baselines=False)
    with pytest.raises(ValueError, match="have different widths already, 7 to 64 neurons.*give scope='global'"):
        prune(model, rows(120), None, even, progress=False)
    assert model.config.widths == list(WIDTHS)
    result = prune(model, rows(120), None, GLOBAL, progress=False)
    assert model.config.widths == list(result.selection.counts.values())
    assert sum(model.config.widths) <= 12 + 32 + 4


def test_layers_that_end_up_alike_need_no_class_of_ours():
    assert type(cut(tiny_classifier("bert"), (32, 32, 32))).__name__ == "BertForSequenceClassification"
    again = cut(cut(tiny_classifier("bert")), (7, 7, 7))
    assert again.config.widths == [7, 7, 7] and not again.config.is_heterogeneous


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: tiny_classifier("albert-shared"), "num_hidden_groups=1: all layers of this ALBERT share one width"),
        (lambda: tiny_head_classifier("bert"), "and not for MIDropoutBertForSequenceClassification"),
        (
            lambda: AutoModelForSequenceClassification.from_config(tiny_config("albert", inner_group_num=2)),
            "inner_group_num=2: an ALBERT with several inner layers",
        ),
    ],
)
def test_models_that_cannot_be_uneven_are_refused(model, message):
    network = model()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=message):
        prune(network, rows(120), None, GLOBAL, progress=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_groups_of_layers_share_a_width(tmp_path):
    model = AutoModelForSequenceClassification.from_config(
        tiny_config("albert", num_hidden_layers=4, num_hidden_groups=2)
    ).eval()
    cut(model, (16, 48)).save_pretrained(tmp_path)
    assert model.config.widths == [16, 16, 48, 48]
    assert torch.equal(logits(load_checked_model(tmp_path)), logits(model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_layer_config": {"0": {"hidden_size": 16}}}, "names hidden_size: only intermediate_size may differ"),
        ({"per_layer_config": {"0": {"skip": ["mlp"]}}}, "names skip: only intermediate_size"),
        ({"per_layer_config": {"0": {"intermediate_size": 0}}}, "0 neurons in layer 0; must be 1 or more"),
        ({"per_layer_config": {"1": {"intermediate_size": "8"}}}, "expected int, got str"),
        ({"per_layer_config": {"7": {"intermediate_size": 8}}}, "layer ind"),
    ],
)
def test_configurations_that_make_no_model_are_refused(options, message):
    with pytest.raises((ValueError, StrictDataclassError), match=message):
        UnevenBertConfig(num_hidden_layers=3, **options)


def test_a_model_without_a_checkpoint_is_drawn_as_any_other():
    config = tiny_config("bert", "uneven_", per_layer_config={"0": {"intermediate_size": 256}}, initializer_range=0.5)
    model = AutoModelForSequenceClassification.from_config(config)
    assert type(model) is UnevenBertForSequenceClassification
    layer = model.bert.encoder.layer[0]
    for linear in (layer.intermediate.dense, layer.output.dense):
        assert 0.4 < linear.weight.std() < 0.6 and not linear.bias.any()
    assert model.config is model.bert.config and model.config.widths == [256, 64, 64]
    assert pickle.loads(pickle.dumps(config)).widths == config.widths


def test_no_layer_of_them_can_be_dropped(uneven):
    with pytest.raises(ValueError, match="have different widths: none of them can be dropped"):
        drop_layers(copy.deepcopy(uneven["bert"][0]), [0, 1])


def test_trained_on_and_halved(uneven, tmp_path):
    """The class survives what is done to a model after pruning: another dtype, a step of training, a copy."""
    model = copy.deepcopy(uneven["distilbert"][0]).to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path).dtype == torch.bfloat16
    model = load_checked_model(tmp_path, dtype=torch.float32).train()
    model(**INPUTS, labels=torch.tensor([0, 1])).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
