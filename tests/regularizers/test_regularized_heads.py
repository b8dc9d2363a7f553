"""Models whose head has a regularizer: the loss, checkpoints, compact forms, many heads at once."""

import copy
import json

import pytest
import torch
from conftest import drop, tiny_config
from encoders import tiny_config as tiny_config_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from transformers import AutoModelForSequenceClassification

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.checkpoints.checks import check_checkpoint
from hf_midropout.export.onnx import export_onnx
from hf_midropout.groups.sharding import full_module
from hf_midropout.models.head_loss import HeadLoss
from hf_midropout.models.modeling_midropout import MIDropoutHead
from hf_midropout.regularizers import REGULARIZERS, regularizer_names


ALL = regularizer_names()
LEARNED = ("concrete", "drop_mi", "information")
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def made(name, **options):
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification(tiny_config(head_regularizer=name, **options))
    with torch.no_grad():  # as if they had been trained
        for number, tensor in enumerate(model.classifier.regularizers.state_dict().values()):
            tensor.uniform_(0.2, 0.8, generator=torch.Generator().manual_seed(number))
    return model.eval()


@pytest.fixture(scope="module")
def compacts(tmp_path_factory):
    """Masked models, and folders of their compact checkpoints, by regularizer."""
    folder, found = tmp_path_factory.mktemp("regularized"), {}
    for name in ALL:
        model = made(name)
        drop(model, layer0=[2, 3], layer1=[0], layer2=[5])
        model.compact().save_pretrained(folder / name)
        found[name] = model, folder / name
    return found


def test_dropout_is_what_it_was(tokens):
    """Bit-identical to a chain of dropout after each layer, with the same weights and random numbers."""
    model = made("dropout", head_dropout=0.3)
    assert model.state_dict().keys() == made("none").state_dict().keys() and not model._forward_hooks
    head, vectors = model.classifier.train(), torch.randn(8, 16)
    torch.manual_seed(3)
    found = head(vectors)
    torch.manual_seed(3)
    expected = vectors
    for layer in head.layers:
        expected = nn.functional.dropout(torch.relu(layer.dense(expected)), 0.3)
    assert torch.equal(found, head.out_proj(expected))
    torch.manual_seed(3)
    made("none").classifier.train()(vectors)
    state = torch.get_rng_state()
    made("none")
    assert torch.equal(torch.get_rng_state(), state)  # no draw beyond those of the weights


@pytest.mark.parametrize("name", ALL)
def test_masked_equals_compact_equals_loaded(compacts, tokens, name):
    model, folder = compacts[name]
    check_checkpoint(folder)
    loaded, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert loaded.config.head_regularizer == name and loaded.config.head_widths == [10, 7, 5]
    with torch.no_grad():
        expected = model(tokens).logits
        assert torch.allclose(loaded(tokens).logits, expected, rtol=0, atol=1e-6)
        loaded.train()
        assert name in ("none", "dropout") or not torch.allclose(loaded(tokens).logits, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LEARNED)
def test_what_was_learned_is_cut_with_the_neurons(compacts, name):
    masked = compacts[name][0].classifier
    compact = MIDropoutAlbertForSequenceClassification.from_pretrained(compacts[name][1]).classifier
    kept = [layer.mask for layer in masked.layers]
    for number, (narrow, wide) in enumerate(zip(compact.regularizers, masked.regularizers, strict=True)):
        incoming = torch.ones(16, dtype=torch.bool) if number == 0 else kept[number - 1]
        if name == "information":
            assert torch.equal(narrow.scale.weight, wide.scale.weight[kept[number]][:, incoming])
            assert torch.equal(narrow.scale.bias, wide.scale.bias[kept[number]])
        elif name == "drop_mi":
            assert torch.equal(narrow.rank, wide.rank[kept[number]])
        else:
            assert torch.equal(narrow.logit, wide.logit)


@pytest.mark.parametrize("name", ["information", "concrete"])
def test_compact_adds_the_same_to_the_loss(name):
    model = made(name)
    drop(model, layer0=[2, 3], layer1=[0])
    compact = model.compact()
    penalties = []
    for each in (model, compact):
        each.classifier.train()
        for regularizer in each.classifier.regularizers:  # without noise, so that layers read the same
            regularizer.regularize = quiet(regularizer)
        penalties.append(
            each.classifier.regularized(torch.randn(8, 16, generator=torch.Generator().manual_seed(1)))[1]
        )
    assert torch.allclose(*penalties, rtol=1e-4)


def quiet(regularizer):
    whole = type(regularizer).regularize
    return lambda neurons, *others: (neurons, whole(regularizer, neurons, *others)[1])


@pytest.mark.parametrize("name", sorted(REGULARIZERS))
def test_dropped_neurons_stay_at_0_in_training(name):
    model, seen = made(name, head_activation="gelu"), []
    drop(model, layer0=[2, 3])
    head = model.classifier.train()
    masked, inputs = head.layers[1].forward, seen.append
    head.layers[1].forward = lambda vectors, read=None: inputs(vectors) or masked(vectors, read)
    head.regularized(torch.randn(8, 16))
    assert not seen[0][..., [2, 3]].any() and seen[0][..., 4:].any()


@pytest.mark.slow
def test_all_load_without_the_package_and_training_says_what_it_needs(compacts, tokens, run_stock):
    code = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification
for name in sys.argv[2:]:
    model = AutoModelForSequenceClassification.from_pretrained(f"{sys.argv[1]}/{name}", trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules.")
    with torch.no_grad():
        logits = model(torch.arange(5, 15)[None]).logits.tolist()
    try:
        model.train()(torch.arange(5, 15)[None], labels=torch.tensor([0])).loss.backward()
        said = ""
    except RuntimeError as error:
        said = str(error)
    model.save_pretrained(f"{sys.argv[1]}/{name}/again")
    print(json.dumps([name, logits, said]))
"""
    folder = compacts["none"][1].parent
    results = [json.loads(line) for line in run_stock(code, str(folder), *ALL) if line.startswith("[")]
    assert [name for name, _, _ in results] == ALL
    for name, logits, said in results:
        with torch.no_grad():
            expected = compacts[name][0](torch.arange(5, 15)[None]).logits
            again = MIDropoutAlbertForSequenceClassification.from_pretrained(folder / name / "again")
            assert torch.allclose(again(torch.arange(5, 15)[None]).logits, expected, rtol=0, atol=1e-6)
        assert torch.allclose(torch.tensor(logits), expected, rtol=0, atol=1e-6)
        assert (f"head_regularizer='{name}'" in said and "install hf_midropout" in said) == (name in REGULARIZERS)


def test_another_regularizer_or_none_can_be_loaded_over_it(compacts):
    load, folder = MIDropoutAlbertForSequenceClassification.from_pretrained, compacts["information"][1]
    model, info = load(folder, head_regularizer="drop_mi", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert all((each.rank == 0.5).all() for each in model.classifier.regularizers)
    model, info = load(folder, head_regularizer="concrete", output_loading_info=True)
    assert len(info["missing_keys"]) == 3
    assert all(torch.sigmoid(each.logit).item() == pytest.approx(0.1) for each in model.classifier.regularizers)
    assert not len(load(folder, head_regularizer="none").classifier.regularizers)
    with pytest.raises(ValueError, match="head_regularizer='gausian'"):
        load(folder, head_regularizer="gausian")


@pytest.mark.parametrize("name", ["information", "concrete"])
@pytest.mark.parametrize("as_tuple", [False, True])
def test_penalties_are_part_of_the_loss_in_training_only(tokens, name, as_tuple):
    model = made(name, head_regularizer_weight=0.5)
    assert torch.allclose(model(tokens, labels=LABELS).loss, nn.functional.cross_entropy(model(tokens).logits, LABELS))
    model.train()
    outputs = model(tokens, labels=LABELS, return_dict=not as_tuple)
    loss, logits = outputs[:2]
    kept, model.classifier.keeps_terms = copy.deepcopy(model), True  # nothing of the graph is left on the model
    assert kept.classifier.terms is None
    extra = loss - nn.functional.cross_entropy(logits, LABELS)
    assert extra.abs() > 0.5
    if name == "concrete":
        layers = model.classifier.layers
        consumers = [*(layer.dense for layer in layers[1:]), model.classifier.out_proj]
        divergences = [
            regularizer.divergence(layer.mask, consumer)
            for regularizer, layer, consumer in zip(model.classifier.regularizers, layers, consumers, strict=True)
        ]
        assert torch.allclose(extra, 0.5 * sum(divergences), atol=1e-5)


@settings(max_examples=8)
@given(st.integers(2, 6), st.integers(0, 99))
def test_multi_sample_is_the_mean_of_losses(samples, seed):
    model = made("multi_sample", head_samples=samples).train()
    taken, regularized = [], MIDropoutHead.regularized
    model.classifier.regularized = lambda *args: taken.append(regularized(model.classifier, *args)) or taken[-1]
    labels = LABELS.clone()
    labels[1] = -100
    torch.manual_seed(seed)
    outputs = model(torch.randint(5, 60, (8, 10)), labels=labels)
    logits = taken[0][0]
    assert logits.shape == (samples, 8, 3) and len(logits.unique(dim=0)) == samples
    expected = torch.stack([nn.functional.cross_entropy(each, labels) for each in logits]).mean()
    assert torch.allclose(outputs.loss, expected) and torch.allclose(outputs.logits, logits.mean(0))


def test_a_loss_from_elsewhere_is_told_what_it_lacks(tokens, monkeypatch):
    said = []
    monkeypatch.setattr("hf_midropout.models.modeling_midropout.logger.warning_once", said.append)
    model = made("multi_sample").train()
    model(tokens, labels=LABELS)
    assert not said
    model(tokens)
    assert len(said) == 1 and "no labels" in said[0]


@pytest.mark.parametrize("kind", ["albert", "bert", "distilbert", "modernbert", "roberta", "deberta-v2"])
def test_spatial_dropout_acts_on_tokens_before_they_are_pooled(kind):
    config = tiny_config_of(kind, "midropout_", head_widths=[12, 8], head_regularizer="spatial_1d", head_dropout=0.4)
    torch.manual_seed(0)
    model = copy.deepcopy(AutoModelForSequenceClassification.from_config(config).eval())
    pooler = model.get_submodule(model.pooler_of_tokens) if model.pooler_of_tokens else None
    ids, seen = torch.arange(3, 12).repeat(40, 1), []
    module = model.classifier.layers[0] if pooler is None else pooler
    module.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        expected = model(ids).logits
        model.classifier.train()  # the encoder's own dropout stays off
        assert not torch.allclose(model(ids).logits, expected)
    whole, dropped = seen
    assert (dropped == 0).float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert torch.allclose(dropped, torch.where(dropped == 0, 0, whole / 0.6), atol=1e-5)
    if kind == "bert":
        assert whole.ndim == 3 and torch.equal(dropped == 0, (dropped == 0)[:, :1].expand_as(dropped))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["information", "multi_sample"])
def test_onnx(name, tmp_path):
    assert export_onnx(made(name), tmp_path) < 1e-4


def test_a_copy_of_the_head_alone(tokens):
    head = full_module(made("information").classifier, tiny_config(head_regularizer="information"))
    copied = MIDropoutHead(tiny_config(head_regularizer="information"))
    copied.load_state_dict(head.state_dict())
    assert not copied.keeps_terms and torch.equal(copied.eval()(torch.ones(2, 16)), head(torch.ones(2, 16)))


@pytest.mark.parametrize("name", ALL)
def test_many_heads_at_once(name):
    """Gradients of stacked heads, each with random numbers of its own; without noise each equals itself alone."""
    config = tiny_config(head_regularizer=name, **({} if name != "dropout" else {"head_dropout": 0.5}))
    losses = []
    for seed in range(3):
        torch.manual_seed(seed)
        losses.append(HeadLoss(MIDropoutHead(config)))
    parameters, buffers = stack_module_state(losses)
    base = copy.deepcopy(losses[0]).to("meta")
    vectors = torch.randn(3, 8, 16)

    def loss_of(parameters, buffers, vectors):
        return functional_call(base, (parameters, buffers), (vectors, LABELS))

    many = vmap(torch.func.grad_and_value(loss_of), randomness="different")
    gradients, values = many(parameters, buffers, vectors)
    assert values.shape == (3,) and values.isfinite().all()
    assert all(each.isfinite().all() for each in gradients.values())
    same = {key: each[:1].expand_as(each) for key, each in parameters.items()}
    _, values = many(same, buffers, vectors[:1].expand_as(vectors))
    assert (len(values.unique()) == 3) == (name != "none")
    base.eval()
    _, values = many(parameters, buffers, vectors)
    for loss, vector, value in zip(losses, vectors, values, strict=True):
        assert torch.allclose(loss.eval()(vector, LABELS), value, atol=1e-6)
