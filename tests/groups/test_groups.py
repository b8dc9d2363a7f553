"""Operations on groups, the same for every architecture: units, gate, cut."""

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.optimization import Adafactor

from hf_midropout.groups import ARCHITECTURES, capture_units, cut_groups, find_groups, gate_units


SMALL = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 40, "num_labels": 3, "pad_token_id": 0,
}  # fmt: skip
SPECIAL = {
    "albert": {"embedding_size": 8, "num_hidden_layers": 4, "num_hidden_groups": 2},
    "midropout_albert": {"embedding_size": 8, "num_hidden_layers": 3, "head_widths": [6, 5]},
    "distilbert": {"dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 2},
    "electra": {"embedding_size": 16},
    "modernbert": {"global_attn_every_n_layers": 2, "mlp_bias": True},
}


def tiny(kind: str):
    config = AutoConfig.for_model(kind, **{**SMALL, **SPECIAL.get(kind, {})})
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()
    for parameter in model.parameters():  # biases start at 0, layer norms at 1: nothing may hide in that
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def model(request):
    return tiny(request.param)


TOKENS = torch.randint(3, 50, (4, 9), generator=torch.Generator().manual_seed(1))


def masks_of(groups, keep: float = 0.4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    masks = {name: torch.rand(group.num_units, generator=generator) < keep for name, group in groups.items()}
    for mask in masks.values():
        mask[0] = True
    return masks


def all_groups(model):
    return find_groups(model, "all" if hasattr(model, "masked_layers") else "encoder")


def test_every_application_of_a_consumer_is_captured(model):
    groups = all_groups(model)
    with capture_units(model, groups) as captured, torch.no_grad():
        model(TOKENS)
    for name, group in groups.items():
        assert len(captured[name]) == group.num_calls, name
        assert all(units.shape[-1] == group.width for units in captured[name])
        assert group.incoming_weight(model).shape[0] == group.num_units
        assert group.outgoing_weight(model).shape[1] == group.width
    assert not any(model.get_submodule(group.consumer)._forward_pre_hooks for group in groups.values())


def test_albert_shares_its_layers():
    assert [group.num_calls for group in find_groups(tiny("albert"), "encoder").values()] == [2, 2]
    assert [group.num_calls for group in find_groups(tiny("midropout_albert"), "encoder").values()] == [3]


def test_cut_equals_gated(model):
    groups = all_groups(model)
    masks = masks_of(groups)
    with torch.no_grad(), gate_units(model, groups, masks):
        gated = model(TOKENS).logits
    with torch.no_grad():
        assert not torch.allclose(model(TOKENS).logits, gated, atol=1e-3)  # the mask matters
        small = copy.deepcopy(model)
        cut_groups(small, groups, masks)
        assert torch.allclose(small(TOKENS).logits, gated, atol=1e-5)
    encoder = find_groups(model, "encoder")
    if list(groups) == list(encoder):  # layers of a head share weights with each other
        gone = sum(int((~masks[name]).sum()) * group.parameters_per_unit(model) for name, group in encoder.items())
        assert sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in small.parameters()) == gone


def test_units_that_are_not_kept_are_out_of_the_training(model):
    """
    AdamW on the cut model goes on as on the gated one, moments carried over. (A large eps: keys' biases have gradients
    of rounding alone, which it would blow up.)
    """
    groups, targets = all_groups(model), torch.tensor([0, 1, 2, 0])
    masks = masks_of(groups)
    cut, gated = copy.deepcopy(model), copy.deepcopy(model)
    optimizers = [torch.optim.AdamW(each.parameters(), lr=1e-3, eps=1e-3) for each in (cut, gated)]

    def step(each, optimizer):
        torch.nn.functional.cross_entropy(each(TOKENS).logits, targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    for each, optimizer in zip((cut, gated), optimizers, strict=True):
        with gate_units(each, groups, masks):
            step(each, optimizer)  # makes moments
    cut_groups(cut, groups, masks, optimizers[0])
    for _ in range(2):
        step(cut, optimizers[0])
        with gate_units(gated, groups, masks):
            step(gated, optimizers[1])
    cut_groups(gated, groups, masks)
    for (name, left), (_, right) in zip(cut.named_parameters(), gated.named_parameters(), strict=True):
        assert torch.allclose(left, right, atol=1e-5), name


def factored(parameters):
    return Adafactor(parameters, lr=1e-3, relative_step=False, scale_parameter=False)


@pytest.mark.parametrize("make", [torch.optim.Adafactor, factored], ids=["torch", "transformers"])
def test_what_an_optimizer_remembers_of_rows_or_columns_is_cut(make):
    model = tiny("bert")
    groups, optimizer, mask = find_groups(model, "encoder"), make(model.parameters()), torch.arange(24) % 3 == 0
    layer = model.bert.encoder.layer[0]

    def step():
        torch.nn.functional.cross_entropy(model(TOKENS).logits, torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
        optimizer.zero_grad()

    def of_neurons(count: int) -> list[torch.Tensor]:
        states = (optimizer.state[each] for each in (layer.intermediate.dense.weight, layer.output.dense.weight))
        return [value.flatten() for state in states for value in state.values()
                if torch.is_tensor(value) and value.numel() == count]  # fmt: skip

    step()
    before = of_neurons(24)
    cut_groups(model, groups, dict.fromkeys(groups, mask), optimizer)
    after = of_neurons(8)
    assert len(before) == len(after) == 2
    assert all(torch.equal(new, old[mask]) for old, new in zip(before, after, strict=True))
    step()


def test_an_optimizer_that_remembers_anything_else_is_told():
    model = tiny("bert")
    groups, optimizer = find_groups(model, "encoder"), torch.optim.AdamW(model.parameters())
    optimizer.state[model.bert.encoder.layer[0].output.dense.weight]["absmax"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"'absmax' of shape \(3,\) for a parameter of shape .* cannot be cut"):
        cut_groups(model, groups, {name: torch.arange(24) < 8 for name in groups}, optimizer)


def test_cut_head_equals_the_compact_model(tiny_model):
    groups = find_groups(tiny_model, "head")
    masks = masks_of(groups)
    for name, layer in tiny_model.masked_layers().items():
        layer.mask.copy_(masks[name])
    compact = tiny_model.compact()
    cut_groups(tiny_model, groups, masks)
    assert tiny_model.state_dict().keys() == compact.state_dict().keys()
    for name, tensor in compact.state_dict().items():
        assert torch.equal(tiny_model.state_dict()[name], tensor), name


def test_mistakes_are_told(tiny_model):
    with pytest.raises(ValueError, match="targets='tail': must be one of 'head', 'encoder', 'all'"):
        find_groups(tiny_model, "tail")
    gpt = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=1, vocab_size=20, n_positions=8)
    )
    with pytest.raises(
        ValueError, match=r"model_type='gpt2' has no row in hf_midropout/groups/architectures.py.*bert"
    ):
        find_groups(gpt, "encoder")
    with pytest.raises(ValueError, match="has no masked layers.*targets='encoder'"):
        find_groups(gpt, "head")
    groups = find_groups(tiny_model)
    with pytest.raises(ValueError, match="classifier.layers.0 has 12 units: a mask of 12 that keeps 0"):
        cut_groups(tiny_model, groups, {"classifier.layers.0": torch.zeros(12, dtype=torch.bool)})
