"""A MI-Dropout head on every architecture that has one; `test_modeling_midropout_albert.py` has more on the head."""

import inspect
import json
from pathlib import Path

import pytest
import torch
from encoders import ARCHITECTURES, collate, rows, tiny_classifier, tiny_config, tiny_head_classifier
from transformers import AutoModel, AutoModelForSequenceClassification, Trainer, TrainingArguments

import hf_midropout
from hf_midropout import MIDropoutBertForSequenceClassification, MIDropoutCallback, MIDropoutConfig, prune
from hf_midropout.checkpoints.checks import check_checkpoint
from hf_midropout.commands.checkpoint import checks
from hf_midropout.groups import find_groups
from hf_midropout.groups.architectures import ARCHITECTURES as ROWS
from hf_midropout.model_types import (
    HEAD_ARCHITECTURES,
    HEAD_CODE_FILES,
    auto_map,
    code_files,
    is_own,
    own_type,
    position_limit,
    stock_type,
)
from hf_midropout.pruning.head.inputs import collect_head_inputs


KINDS = [kind for kind in ARCHITECTURES if kind != "albert-shared"]
IDS = torch.arange(3, 12)[None]
MODELS = Path(hf_midropout.__file__).parent / "models"


def classifier_of(kind: str):
    return getattr(hf_midropout, f"MIDropout{HEAD_ARCHITECTURES[kind].classes}ForSequenceClassification")


@pytest.fixture(scope="module")
def heads():
    """A classifier with a masked head of each architecture, and its compact form."""
    made = {}
    for kind in KINDS:
        model = tiny_head_classifier(kind)
        model.classifier.layers[0].mask[[2, 3]] = False
        model.classifier.layers[2].mask[[5]] = False
        made[kind] = model, model.compact()
    return made


@pytest.fixture(scope="module")
def saved(heads, tmp_path_factory):
    """Folder of the compact checkpoints, by architecture."""
    folder = tmp_path_factory.mktemp("heads")
    for kind, (_, compact) in heads.items():
        compact.save_pretrained(folder / kind)
    return folder


def test_every_architecture_of_the_table_has_a_head():
    assert HEAD_ARCHITECTURES.keys() == ROWS.keys() == set(KINDS)
    on_disk = {path.name for path in MODELS.glob("*_midropout*.py")}
    assert on_disk == set(HEAD_CODE_FILES)


@pytest.mark.parametrize(
    ("model_type", "stock", "own"),
    [("bert", "bert", False), ("midropout_bert", "bert", True), ("midropout_deberta-v2", "deberta-v2", True),
     ("gpt2", None, False), ("midropout_gpt2", None, False), ("midropout_", None, False), (None, None, False),
     (["bert"], None, False)],
)  # fmt: skip
def test_types(model_type, stock, own):
    assert stock_type(model_type) == stock and is_own(model_type) == own


@pytest.mark.parametrize("kind", KINDS)
def test_masked_equals_compact_equals_loaded(heads, saved, kind):
    masked, compact = heads[kind]
    assert compact.config.head_widths == [10, 8, 5] and type(compact) is classifier_of(kind)
    inputs = collate(rows(16).dataset)
    inputs.pop("labels")
    with torch.no_grad():
        expected = masked(**inputs).logits
        assert (compact(**inputs).logits - expected).abs().max() <= 1e-5
        assert expected.std() > 1e-3  # rows differ
        check_checkpoint(saved / kind)
        loaded = AutoModelForSequenceClassification.from_pretrained(saved / kind)
        assert type(loaded) is classifier_of(kind)
        assert torch.allclose(loaded(**inputs).logits, compact(**inputs).logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_encoder_alone(heads, saved, kind):
    encoder, info = AutoModel.from_pretrained(saved / kind, output_loading_info=True)
    assert type(encoder) is getattr(hf_midropout, f"MIDropout{HEAD_ARCHITECTURES[kind].classes}Model")
    assert not info["missing_keys"] and not info["unexpected_keys"]
    with torch.no_grad():
        expected = heads[kind][1].base_model(IDS).last_hidden_state
        assert torch.equal(encoder(IDS).last_hidden_state, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_travels(saved, kind):
    assert {path.name for path in (saved / kind).glob("*.py")} == set(code_files(kind))
    config = json.loads((saved / kind / "config.json").read_text())
    assert config["auto_map"] == auto_map(kind) and config["model_type"] == own_type(kind)
    for name in code_files(kind):
        assert (saved / kind / name).read_bytes() == (MODELS / name).read_bytes()


def test_all_load_with_trust_remote_code_and_no_package(heads, saved, run_stock):
    code = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification
folder, *kinds = sys.argv[1:]
for kind in kinds:
    model = AutoModelForSequenceClassification.from_pretrained(f"{folder}/{kind}", trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    others = {name.rpartition("modeling_midropout_")[2] for name in sys.modules if "modeling_midropout_" in name}
    with torch.no_grad():
        print(json.dumps([kind, sorted(others), model(torch.arange(3, 12)[None]).logits.tolist()]))
"""
    printed = run_stock(code, saved, *KINDS)
    results = [json.loads(line) for line in printed if line.startswith("[")]
    assert [kind for kind, _, _ in results] == KINDS
    assert results[0][1] == ["albert"]  # loading one imports no other
    for kind, _, logits in results:
        with torch.no_grad():
            expected = heads[kind][1](IDS).logits
        # Not to the last bit: how products are summed up depends on where in memory the weights lie.
        assert torch.allclose(torch.tensor(logits), expected, rtol=0, atol=1e-6), kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_stock_classifier_is_a_starting_point(kind, tmp_path):
    """Its head's weights are none of the new head's, even where they have the same names and shapes."""
    stock = tiny_classifier(kind)
    hidden = stock.config.hidden_size
    stock.save_pretrained(tmp_path)
    model, info = classifier_of(kind).from_pretrained(tmp_path, head_widths=[8, hidden], output_loading_info=True)
    assert not [name for name in info["missing_keys"] if not name.startswith("classifier.")]
    expected = stock.state_dict()
    for name, tensor in model.base_model.state_dict().items():
        assert torch.equal(tensor, expected[f"{HEAD_ARCHITECTURES[kind].encoder}.{name}"]), name
    out = model.classifier.out_proj
    assert out.weight.abs().max() < 0.2 and not out.bias.any()  # the stock ones are drawn with a deviation of 0.3
    assert {"classifier.out_proj.weight", "classifier.out_proj.bias"} <= set(info["missing_keys"])
    assert all(layer.mask.all() for layer in model.classifier.layers)


def test_a_mismatch_elsewhere_is_still_refused(tmp_path):
    tiny_classifier("roberta").save_pretrained(tmp_path)
    with pytest.raises(
        RuntimeError, match=r"size mismatch of \d+ weights, such as roberta.*: \[64\] in the checkpoint, \[16\]"
    ):
        classifier_of("roberta").from_pretrained(tmp_path, intermediate_size=16)


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_reads_what_the_stock_classifier_reads(kind):
    model, inputs = tiny_head_classifier(kind), collate(rows(16).dataset)
    read = collect_head_inputs(model, rows(16, 16), progress=False).hidden_states
    with torch.no_grad():
        outputs = model.base_model(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        first = outputs.last_hidden_state[:, 0]
        if HEAD_ARCHITECTURES[kind].pooler:
            expected = outputs.pooler_output
        else:
            expected = model.head(first) if kind == "modernbert" else first
    assert torch.allclose(read, expected, atol=1e-6)


def test_modernbert_reads_the_mean_where_its_config_says_so():
    model = AutoModelForSequenceClassification.from_config(
        tiny_config("modernbert", "midropout_", head_widths=[4], classifier_pooling="mean")
    ).eval()
    inputs = collate(rows(8).dataset)
    read = collect_head_inputs(model, rows(8), progress=False).hidden_states
    mask = inputs["attention_mask"][..., None]
    with torch.no_grad():
        hidden = model.model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        expected = model.head((hidden * mask).sum(1) / mask.sum(1))
    assert torch.allclose(read, expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_means_and_forward_takes_what_the_stock_one_takes(heads, kind):
    model, inputs = heads[kind][0], collate(rows(8).dataset)
    with torch.no_grad():
        outputs = model(**inputs)
    expected = torch.nn.functional.cross_entropy(outputs.logits, inputs["labels"])
    assert not model.accepts_loss_kwargs and torch.allclose(outputs.loss, expected)
    stock = inspect.signature(type(tiny_classifier(kind)).forward).parameters
    assert inspect.signature(model.forward).parameters.keys() == stock.keys() - {"self"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_of_positions_is_the_models(heads, kind):
    model = heads[kind][0]
    limit = position_limit(model.config.to_dict())
    assert limit == checks.position_limit(model)
    with torch.no_grad():
        assert model(torch.full((1, limit), 5)).logits.isfinite().all()
    if "roberta" in kind or kind == "mpnet":
        with pytest.raises((IndexError, RuntimeError)), torch.no_grad():
            model(torch.full((1, limit + 1), 5))


@pytest.mark.parametrize("kind", ["bert", pytest.param("distilbert", marks=pytest.mark.slow), "modernbert"])
@pytest.mark.parametrize("targets", ["head", "all"])
def test_pruned_in_one_shot(kind, targets):
    model = tiny_head_classifier(kind)
    data = rows(160).dataset
    config = MIDropoutConfig(targets=targets, keep=0.5)
    result = prune(model, data, data[:64], config, collate_fn=collate, progress=False)
    kept = {name: int(mask.sum()) for name, mask in result.selection.kept.items()}
    assert {name: count for name, count in kept.items() if name.startswith("classifier")} == {
        f"classifier.layers.{index}": width for index, width in enumerate((6, 4, 3))
    }
    assert model.compact().config.head_widths == [6, 4, 3]
    widths = {group.num_units for group in find_groups(model, "encoder").values()}
    assert widths == {64 if targets == "head" else 32}


@pytest.mark.parametrize("kind", [pytest.param("roberta", marks=pytest.mark.slow), "distilbert"])
def test_trained_with_the_callback(kind, tmp_path):
    model, data = tiny_head_classifier(kind), rows(160).dataset
    arguments = TrainingArguments(
        str(tmp_path), max_steps=4, per_device_train_batch_size=16, report_to=[], disable_tqdm=True, use_cpu=True,
        seed=1, learning_rate=1e-3, dataloader_pin_memory=False, save_strategy="no",
    )  # fmt: skip
    callback = MIDropoutCallback(MIDropoutConfig(targets="all", keep=0.5, start=2, reconstruction_samples=100))
    trainer = Trainer(
        model, arguments, train_dataset=data, eval_dataset=data[:64], data_collator=collate, callbacks=[callback]
    )
    trainer.train()
    compact = trainer.model.compact()
    assert compact.config.head_widths == [6, 4, 3]
    assert {group.num_units for group in find_groups(compact, "encoder").values()} == {32}
    assert callback.record.after is not None
    compact.eval().save_pretrained(tmp_path / "compact")
    check_checkpoint(tmp_path / "compact")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "compact")
    with torch.no_grad():
        assert torch.allclose(loaded(IDS).logits, compact(IDS).logits, rtol=0, atol=1e-6)


def test_a_stock_model_is_told_the_class_to_load_it_with():
    with pytest.raises(ValueError, match="load it as MIDropoutRobertaForSequenceClassification, or give targets='enc"):
        find_groups(tiny_classifier("roberta"), "head")


def test_other_architectures_are_refused(saved):
    with pytest.raises(ValueError, match="a model of type 'midropout_roberta'.*reads 'bert' and 'midropout_bert'"):
        MIDropoutBertForSequenceClassification.from_pretrained(saved / "roberta")
