"""
What transformers' own `ModelTesterMixin` asks of a model, asked of stock ALBERT and of ours side by side: what holds
for the one holds for the other. (The mixin itself is in the source distribution of transformers only.)
"""

import copy
import inspect
import json

import pytest
import torch
from conftest import tiny_config
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AlbertModel,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    pipeline,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput
from transformers.pytorch_utils import apply_chunking_to_forward

from hf_midropout import (
    MIDropoutAlbertConfig,
    MIDropoutAlbertForSequenceClassification,
    MIDropoutAlbertModel,
)


SIZES = {"num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 24, "pad_token_id": 0}
CLASSIFIERS = [AlbertForSequenceClassification, MIDropoutAlbertForSequenceClassification]
CLASSES = [AlbertModel, MIDropoutAlbertModel, *CLASSIFIERS]


def config_for(cls, **changes):
    ours = tiny_config(**{**SIZES, **changes})
    if cls.config_class is MIDropoutAlbertConfig:
        return ours
    known = AlbertConfig().to_dict()
    return AlbertConfig(
        **{key: value for key, value in ours.to_dict().items() if key in known and key != "model_type"}
    )


def build(cls, **changes):
    torch.manual_seed(0)
    model = cls(config_for(cls, **changes)).eval()
    with torch.no_grad():  # neither at their initial values, nor all neurons on
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    for layer in masked_layers(model):
        layer.mask[1] = False
    return model


def stock_slow(classes):
    """Stock ones tell whether what is asked is right, which only a new version of transformers changes."""
    return [pytest.param(cls, marks=pytest.mark.slow if "MIDropout" not in cls.__name__ else ()) for cls in classes]


@pytest.fixture(params=stock_slow(CLASSES), ids=lambda cls: cls.__name__)
def cls(request):
    return request.param


@pytest.fixture(params=stock_slow(CLASSIFIERS), ids=lambda cls: cls.__name__)
def classifier(request):
    return request.param


@pytest.fixture
def ids():
    return torch.randint(1, 60, (3, 7), generator=torch.Generator().manual_seed(1))


def result(outputs) -> torch.Tensor:
    """Logits, or what stands for them in an encoder."""
    return outputs.logits if hasattr(outputs, "logits") else outputs.pooler_output


def run(model, *args, **kwargs):
    with torch.no_grad():
        return model(*args, **kwargs)


def flat(values) -> list[torch.Tensor]:
    """The tensors in nested tuples."""
    return [values] if isinstance(values, torch.Tensor) else [tensor for value in values for tensor in flat(value)]


def masked_layers(model) -> list:
    return list(model.masked_layers().values()) if hasattr(model, "masked_layers") else []


def distance(first, second) -> float:
    return float((first.detach().float() - second.float()).abs().max())


# --- saving, loading, initialising -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_save_and_load(cls, ids, tmp_path, dtype):
    model = build(cls).to(dtype)
    model.save_pretrained(tmp_path)
    loaded, info = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert loaded.dtype == dtype and type(loaded) is cls and not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert torch.equal(result(run(loaded, ids)), result(run(model, ids)))
    loaded.save_pretrained(tmp_path / "again")
    first, second = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path, tmp_path / "again"))
    assert first == second


def test_save_and_load_in_shards(cls, ids, tmp_path):
    model = build(cls)
    model.save_pretrained(tmp_path, max_shard_size="3KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert torch.equal(result(run(cls.from_pretrained(tmp_path), ids)), result(run(model, ids)))


def test_auto_classes(cls, ids, tmp_path):
    model = build(cls)
    model.save_pretrained(tmp_path)
    auto = AutoModelForSequenceClassification if cls in CLASSIFIERS else AutoModel
    loaded = auto.from_pretrained(tmp_path)
    assert type(loaded) is cls and type(AutoConfig.from_pretrained(tmp_path)) is cls.config_class
    assert torch.equal(result(run(loaded, ids)), result(run(model, ids)))
    assert type(auto.from_config(model.config)) is cls


def test_a_classifier_is_read_as_an_encoder_and_back(classifier, ids, tmp_path):
    model = build(classifier)
    model.save_pretrained(tmp_path / "classifier")
    encoder = AutoModel.from_pretrained(tmp_path / "classifier")
    assert torch.equal(run(encoder, ids).pooler_output, run(model.albert, ids).pooler_output)
    encoder.save_pretrained(tmp_path / "encoder")
    again, info = classifier.from_pretrained(tmp_path / "encoder", output_loading_info=True)
    assert torch.equal(run(again.albert, ids).pooler_output, run(model.albert, ids).pooler_output)
    assert info["missing_keys"] and all(name.startswith("classifier.") for name in info["missing_keys"])


def test_what_a_checkpoint_lacks_is_initialised(classifier, tmp_path):
    """It is built on the meta device, whose tensors hold nothing."""
    from safetensors.torch import load_file, save_file

    model = build(classifier)
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier.")}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    torch.manual_seed(4)
    loaded = classifier.from_pretrained(tmp_path)
    torch.manual_seed(4)
    again = classifier.from_pretrained(tmp_path)
    for (name, parameter), other in zip(loaded.named_parameters(), again.parameters(), strict=True):
        assert not parameter.is_meta and parameter.isfinite().all() and torch.equal(parameter, other), name
        if name.startswith("classifier.") and name.endswith("weight"):
            assert 0 < parameter.std() < 1.5, name
        elif name.startswith("classifier."):
            assert not parameter.any(), name
    for name, buffer in loaded.named_buffers():
        assert not buffer.is_meta, name
    assert all(layer.mask.all() and not layer.drop_rate.any() for layer in masked_layers(loaded))


def test_other_numbers_of_labels(classifier, ids, tmp_path):
    build(classifier).save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        classifier.from_pretrained(tmp_path, num_labels=7)
    loaded = classifier.from_pretrained(tmp_path, num_labels=7, ignore_mismatched_sizes=True)
    logits = run(loaded, ids).logits
    assert logits.shape == (3, 7) and logits.isfinite().all()


def test_initialisation(cls):
    """Every parameter gets its values from `_init_weights`: the same from the same seed, whatever was there before."""
    torch.manual_seed(3)
    first = cls(config_for(cls))
    torch.manual_seed(3)
    second = cls(config_for(cls))
    for (name, parameter), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(parameter, other) and parameter.isfinite().all(), name
        layer_norm = "LayerNorm.weight" in name or "layer_norm.weight" in name
        assert float(parameter.detach().mean().abs()) < 0.5 or (layer_norm and bool((parameter == 1).all())), name
    with torch.no_grad():
        for tensor in [*first.parameters(), *first.buffers()]:
            tensor.fill_(7)
            tensor._is_hf_initialized = False
    for module in first.modules():
        module._is_hf_initialized = False
    first.init_weights()
    left = [name for name, tensor in first.state_dict().items() if tensor.dtype != torch.bool and (tensor == 7).all()]
    assert not left
    assert all(layer.mask.all() for layer in masked_layers(first))


def test_built_on_the_meta_device(cls, ids):
    with torch.device("meta"):
        empty = cls(config_for(cls))
    assert all(tensor.is_meta for tensor in empty.parameters())
    model = build(cls)
    empty.load_state_dict(model.state_dict(), assign=True)
    for name, buffer in model.named_buffers():  # those that are no part of a state dict
        module, _, leaf = name.rpartition(".")
        setattr(empty.get_submodule(module), leaf, buffer)
    assert torch.equal(result(run(empty.eval(), ids)), result(run(model, ids)))


def test_casts(cls, ids):
    model = build(cls)
    expected = result(run(model, ids))
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        cast = copy.deepcopy(model).to(dtype)
        assert result(run(cast, ids)).dtype == dtype
        assert distance(result(run(cast, ids)), expected) < (1e-5 if dtype == torch.float64 else 0.1)
        assert all(layer.mask.dtype == torch.bool for layer in masked_layers(cast))
    assert cls._from_config(config_for(cls), dtype=torch.bfloat16).dtype == torch.bfloat16


# --- the forward pass ------------------------------------------------------------------------------------------------


def test_forward_signature(cls):
    stock = AlbertForSequenceClassification if cls in CLASSIFIERS else AlbertModel
    names = list(inspect.signature(cls.forward).parameters)
    assert names == list(inspect.signature(stock.forward).parameters)
    assert names[:2] == ["self", "input_ids"]


def test_determinism(cls, ids):
    model = build(cls)
    assert torch.equal(result(run(model, ids)), result(run(model, ids)))
    state = torch.get_rng_state()
    run(model, ids)
    assert torch.equal(state, torch.get_rng_state())


def test_outputs_as_a_tuple(cls, ids):
    model = build(cls)
    for more in ({}, {"output_hidden_states": True}, {"output_hidden_states": True, "output_attentions": True}):
        outputs = run(model, ids, **more)
        assert type(outputs) is (SequenceClassifierOutput if cls in CLASSIFIERS else BaseModelOutputWithPooling)
        values = run(model, ids, return_dict=False, **more)
        assert isinstance(values, tuple) and len(values) == len(outputs)
        assert all(torch.equal(*pair) for pair in zip(flat(values), flat(outputs.to_tuple()), strict=True))


def test_hidden_states(cls, ids):
    model = build(cls)
    hidden = run(model, ids, output_hidden_states=True).hidden_states
    assert [tuple(each.shape) for each in hidden] == [(3, 7, 16)] * 3
    model.config.output_hidden_states = True
    assert len(run(model, ids).hidden_states) == 3
    model.config.output_hidden_states = False
    assert run(model, ids).hidden_states is None


def test_attentions(cls, ids):
    model = build(cls)
    model.set_attn_implementation("eager")
    attentions = run(model, ids, output_attentions=True).attentions
    assert [tuple(each.shape) for each in attentions] == [(3, 4, 7, 7)] * 2
    assert all(torch.allclose(each.sum(-1), torch.ones(3, 4, 7)) for each in attentions)
    assert run(model, ids).attentions is None


def test_gradients_of_hidden_states_and_attentions(cls, ids):
    model = build(cls)
    model.set_attn_implementation("eager")
    outputs = model(ids, output_hidden_states=True, output_attentions=True)
    for tensor in (outputs.hidden_states[0], outputs.attentions[0]):
        tensor.retain_grad()
    result(outputs).sum().backward()
    assert outputs.hidden_states[0].grad.any() and outputs.attentions[0].grad is not None


def test_eager_equals_sdpa(cls, ids):
    model, mask = build(cls), torch.ones(3, 7, dtype=torch.long)
    mask[1, 4:] = 0
    results = {}
    for implementation in ("eager", "sdpa"):
        model.set_attn_implementation(implementation)
        assert model.config._attn_implementation == implementation
        results[implementation] = result(run(model, ids, attention_mask=mask))
    assert distance(results["eager"], results["sdpa"]) < 1e-5
    assert (
        type(model)._from_config(config_for(cls), attn_implementation="eager").config._attn_implementation == "eager"
    )


def test_inputs_embeds(cls, ids):
    model = build(cls)
    embeddings = model.get_input_embeddings()(ids)
    assert torch.equal(result(run(model, inputs_embeds=embeddings)), result(run(model, ids)))
    with pytest.raises(ValueError, match="exactly one of input_ids or inputs_embeds"):
        model(ids, inputs_embeds=embeddings)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_nothing(cls, ids, side):
    model, padding = build(cls), torch.zeros(3, 4, dtype=torch.long)
    model.config.pad_token_id = 0
    first = 0 if side == "right" else 4
    padded = torch.cat([ids, padding] if side == "right" else [padding, ids], 1)
    mask, positions = (padded != 0).long(), torch.zeros_like(padded)
    positions[:, first : first + 7] = torch.arange(7)
    outputs = run(model.albert if cls in CLASSIFIERS else model, padded, attention_mask=mask, position_ids=positions)
    expected = run(model.albert if cls in CLASSIFIERS else model, ids)
    states = outputs.last_hidden_state[:, first : first + 7]
    assert distance(states, expected.last_hidden_state) < 1e-5
    if side == "right":  # the first token is what is pooled
        assert distance(result(run(model, padded, attention_mask=mask)), result(run(model, ids))) < 1e-5


def test_rows_of_a_batch_are_independent(cls, ids):
    model = build(cls)
    whole = result(run(model, ids))
    for row in range(3):
        assert distance(result(run(model, ids[row : row + 1])), whole[row : row + 1]) < 1e-5


def test_feed_forward_chunking(cls, ids):
    """ALBERT no longer reads `chunk_size_feed_forward`; what is given is accepted, and the result is the same."""
    expected = result(run(build(cls), ids))
    assert distance(result(run(build(cls, chunk_size_feed_forward=1), ids)), expected) < 1e-6
    if cls in CLASSIFIERS:
        head, hidden = build(cls).classifier, torch.randn(4, 6, 16)
        in_chunks = apply_chunking_to_forward(lambda chunk: head(chunk), 2, 1, hidden)
        assert distance(in_chunks, head(hidden)) < 1e-6


# --- losses and training ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "num_labels", "labels", "loss"),
    [
        ("single_label_classification", 3, torch.tensor([0, 2, 1]), torch.nn.CrossEntropyLoss()),
        ("multi_label_classification", 3, torch.tensor([[0.0, 1, 1], [1, 0, 0], [0, 0, 0]]),
         torch.nn.BCEWithLogitsLoss()),
        ("regression", 1, torch.tensor([[0.3], [-1.0], [2.0]]), torch.nn.MSELoss()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.filterwarnings("error:Using a target size:UserWarning")
def test_losses(classifier, ids, problem, num_labels, labels, loss, named):
    model = build(classifier, num_labels=num_labels)
    model.config.problem_type = problem if named else None
    outputs = model(ids, labels=labels)
    assert model.config.problem_type == problem
    assert distance(outputs.loss, loss(outputs.logits, labels)) < 1e-6
    outputs.loss.backward()
    used = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert not used


def test_training_moves_every_parameter_but_the_dropped_neurons(classifier, ids):
    model = build(classifier).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = copy.deepcopy(model.state_dict())
    for _ in range(3):
        optimizer.zero_grad()
        model(ids, labels=torch.tensor([0, 2, 1])).loss.backward()
        optimizer.step()
    for name in ("albert.embeddings.word_embeddings.weight", "albert.pooler.weight"):
        assert not torch.equal(model.state_dict()[name], before[name])
    for index, layer in enumerate(masked_layers(model)):
        earlier = before[f"classifier.layers.{index}.dense.weight"]
        assert torch.equal(layer.dense.weight[1], earlier[1])
        assert not torch.equal(layer.dense.weight, earlier)


def test_gradient_checkpointing(cls):
    """ALBERT does not do it, and says so; ours neither more nor less."""
    assert cls.supports_gradient_checkpointing == AlbertModel.supports_gradient_checkpointing
    if not cls.supports_gradient_checkpointing:
        model = build(cls)
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        with pytest.raises(ValueError, match="does not support"):
            enable()


# --- embeddings ------------------------------------------------------------------------------------------------------


def test_resized_embeddings(cls, ids, tmp_path):
    model = build(cls)
    expected = result(run(model, ids))
    assert model.resize_token_embeddings(75).num_embeddings == 75
    assert model.config.vocab_size == 75 and model.get_input_embeddings().weight.shape == (75, 8)
    assert torch.equal(result(run(model, ids)), expected)
    assert run(model, torch.full((1, 3), 74)) is not None
    model.save_pretrained(tmp_path)
    assert torch.equal(result(run(cls.from_pretrained(tmp_path), ids)), expected)
    model.resize_token_embeddings(60)
    assert torch.equal(result(run(model, ids)), expected)
    assert model.resize_token_embeddings(61, pad_to_multiple_of=32).num_embeddings == 64


def test_embeddings_are_found_and_set(cls, ids):
    model = build(cls)
    assert isinstance(model.get_input_embeddings(), torch.nn.Embedding)
    new = torch.nn.Embedding(60, 8)
    model.set_input_embeddings(new)
    assert model.get_input_embeddings() is new and model.base_model.embeddings.word_embeddings is new
    assert model.get_output_embeddings() is None
    model.enable_input_require_grads()
    assert model(ids).to_tuple()[0].requires_grad


def test_nothing_is_tied_nor_shared(cls, tmp_path):
    model = build(cls, tie_word_embeddings=True)
    model.tie_weights()
    places = [tensor.data_ptr() for tensor in model.state_dict().values()]
    assert len(places) == len(set(places))
    model.save_pretrained(tmp_path)  # refuses tensors that share memory
    _, info = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]


def test_base_model(cls):
    model = build(cls)
    assert model.base_model_prefix == "albert"
    assert model.base_model is (model.albert if cls in CLASSIFIERS else model)
    assert model.main_input_name == "input_ids"
    assert model.can_generate() is False
    assert model.num_parameters() == sum(parameter.numel() for parameter in model.parameters())


# --- exporting, and what uses the models -----------------------------------------------------------------------------


def test_torch_export(classifier, ids):
    model, mask = build(classifier), torch.ones_like(ids)
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(
        model, (), {"input_ids": ids, "attention_mask": mask},
        dynamic_shapes={"input_ids": {0: batch}, "attention_mask": {0: batch}},
    )  # fmt: skip
    more = torch.cat([ids, ids.flip(1)])
    logits = exported.module()(input_ids=more, attention_mask=torch.ones_like(more)).logits
    assert distance(logits, run(model, more).logits) < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_torchscript(classifier, ids):
    model = build(classifier)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        traced = torch.jit.trace(model, (ids, mask), strict=False)
        assert distance(traced(ids, mask)["logits"], model(ids, mask).logits) < 1e-5


def test_pipelines(classifier, folder, tmp_path):
    """With the tokenizer of a whole checkpoint."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    build(classifier, vocab_size=max(60, len(tokenizer))).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    features = pipeline("feature-extraction", model=str(tmp_path))
    assert features("opens a socket", return_tensors=True).shape[-1] == 16
    classify = pipeline("text-classification", model=str(tmp_path), top_k=None)
    scores = classify(["opens a socket", "reads the file of the parser"], batch_size=2)
    assert len(scores) == 2 and all(abs(sum(each["score"] for each in row) - 1) < 1e-5 for row in scores)
    alone = {each["label"]: each["score"] for each in classify(["opens a socket"])[0]}
    assert alone == pytest.approx({each["label"]: each["score"] for each in scores[0]}, abs=1e-5)
