"""Training with PEFT: adapters on the encoder, the head trained whole and pruned, then merged and compacted."""

import copy

import pytest
import torch

from hf_midropout import MIDropoutCallback, MIDropoutConfig


peft = pytest.importorskip("peft")

WITH_TASK = {"task_type": "SEQ_CLS", "target_modules": ["query", "value"]}


def with_adapters(model, **options):
    torch.manual_seed(3)
    return peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=2, lora_alpha=8, **options))


def run(make_trainer, model, resume=None, config=None, **arguments):
    callback = MIDropoutCallback(MIDropoutConfig(**{"start": 4, "keep": 0.5, **(config or {})}))
    trainer = make_trainer([callback], model=model, **arguments)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, callback.record


@pytest.mark.parametrize(
    "options",
    [
        WITH_TASK,
        {**WITH_TASK, "target_modules": "all-linear"},
        {"target_modules": ["query", "value"], "modules_to_save": ["classifier"]},
        {"target_modules": ["query", "value"]},
    ],
)
def test_merged_and_compacted_equals_masked(make_trainer, tiny_model_once, valid_rows, options):
    trainer, record = run(make_trainer, with_adapters(tiny_model_once, **options))
    model, tokens = trainer.model.eval(), torch.tensor(valid_rows["input_ids"][:])
    assert trainer.state.global_step == 8
    assert any(name.endswith("lora_B.default.weight") and bool(each.any()) for name, each in model.named_parameters())
    with torch.no_grad():
        expected = model(tokens).logits
    with pytest.raises(ValueError, match=r"PEFT adapters .*model.merge_and_unload\(\).compact\(\)"):
        model.compact()
    compact = model.merge_and_unload().compact()
    assert compact.config.head_widths == [6, 4, 3] == [kept for kept, _ in record.selection.widths.values()]
    assert not any("lora" in name or "modules_to_save" in name for name in compact.state_dict())
    with torch.no_grad():
        assert (compact(tokens).logits - expected).abs().max() <= 1e-5


def test_adapters_are_saved_with_the_masks(make_trainer, tiny_model_once, valid_rows, tmp_path):
    trainer, _ = run(make_trainer, with_adapters(tiny_model_once, **WITH_TASK))
    trainer.save_model(str(tmp_path / "adapter"))
    loaded = peft.PeftModel.from_pretrained(copy.deepcopy(tiny_model_once), tmp_path / "adapter")
    tokens = torch.tensor(valid_rows["input_ids"][:])
    with torch.no_grad():
        assert torch.equal(loaded.eval()(tokens).logits, trainer.model.eval()(tokens).logits)
    assert loaded.merge_and_unload().compact().config.head_widths == [6, 4, 3]


@pytest.mark.parametrize("action", ["prune", "dropout"])
def test_resumed_equals_uninterrupted(make_trainer, tiny_model_once, action):
    def model():
        return with_adapters(tiny_model_once, **WITH_TASK)

    options = {"config": {"action": action}, "save_strategy": "steps", "save_steps": 2}
    whole, _ = run(make_trainer, model(), **options)
    resumed, _ = run(make_trainer, model(), resume=f"{whole.args.output_dir}/checkpoint-6", **options)
    expected = whole.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert [layer.mi_dropout for layer in resumed.model.classifier.layers] == [action == "dropout"] * 3


def test_adapters_on_the_head_are_refused_at_the_start(make_trainer, tiny_model_once):
    model = with_adapters(tiny_model_once, target_modules="all-linear")
    with pytest.raises(ValueError, match="classifier.layers.0.dense has a PEFT adapter"):
        run(make_trainer, model)
