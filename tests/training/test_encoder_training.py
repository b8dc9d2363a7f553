import copy

import pytest
import torch
from conftest import ON_GPU
from encoders import collate, rows, tiny_classifier, tiny_head_classifier
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.groups import find_groups
from hf_midropout.pruning.encoder.checks import check_encoder
from hf_midropout.pruning.record.training import PruningRecord
from hf_midropout.training.distillation import TEACHER, Distillation


ROWS = rows(160).dataset
CHECKPOINTS = {"save_strategy": "steps", "save_steps": 1}
CONFIG = {"targets": "encoder", "keep": 0.5, "start": 3, "reconstruction_samples": 100, "score_samples": 120}


def trainer_for(folder, config=None, kind="bert", model=None, **arguments) -> Trainer:
    options = {"max_steps": 6, "save_strategy": "no", "eval_strategy": "no", **arguments}
    args = TrainingArguments(
        str(folder), report_to=[], disable_tqdm=True, use_cpu=not ON_GPU, seed=1, learning_rate=1e-3,
        per_device_train_batch_size=16, dataloader_pin_memory=False, **options,
    )  # fmt: skip
    callback = MIDropoutCallback(MIDropoutConfig(**{**CONFIG, **(config or {})}))
    return Trainer(
        model or tiny_classifier(kind), args, train_dataset=ROWS, eval_dataset=ROWS[:64], data_collator=collate,
        callbacks=[callback],
    )  # fmt: skip


def weights(model) -> dict[str, torch.Tensor]:
    return {name: tensor.cpu().clone() for name, tensor in model.state_dict().items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trainer = trainer_for(tmp_path_factory.mktemp("trained"), **CHECKPOINTS)
    trainer.train()
    return trainer


def test_the_rest_of_the_training_runs_at_the_smaller_size(trained):
    model = trained.model
    assert model.config.intermediate_size == 32
    assert {group.num_units for group in find_groups(model, "encoder").values()} == {32}
    for settings in trained.optimizer.param_groups:
        for parameter in settings["params"]:
            assert trained.optimizer.state[parameter]["exp_avg"].shape == parameter.shape
    held = {id(parameter) for settings in trained.optimizer.param_groups for parameter in settings["params"]}
    assert held == {id(parameter) for parameter in model.parameters()}


def test_the_record_tells_of_all_neurons_there_were(trained):
    record = PruningRecord.load(trained.args.output_dir)
    assert record.config["criterion"] == "prediction_information"
    assert {layer.name: (layer.kept, layer.neurons) for layer in record.layers()} == {
        f"encoder.layer.{number}.ffn": (32, 64) for number in range(3)
    }
    for name, mask in record.selection.kept.items():
        assert mask.sum() == 32 and not record.after.bits[name][~mask].any()
    assert set(record.validation) == {"rows", "before_pruning", "after_pruning", "after_retraining"}
    one_shot = record.pruning_steps[0].baselines["one_shot"]
    assert list(one_shot) == ["prediction_information", "std_times_norm", "magnitude", "random"]
    assert one_shot["prediction_information"]["bits_lost"] < one_shot["random"]["bits_lost"]


def test_what_it_saves_loads_with_stock_transformers(trained, tmp_path):
    trained.save_model(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert_same(weights(loaded), weights(trained.model))


def test_in_mixed_precision_layers_are_run_in_float32(tmp_path):
    trainer = trainer_for(tmp_path, bf16=True)
    trainer.train()
    record = PruningRecord.load(tmp_path)
    assert trainer.model.config.intermediate_size == 32 and record.validation["after_pruning"]
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_resumed_training_ends_in_the_same_weights(trained, tmp_path, step):
    """The checkpoint of step 3 is of the moment after the cut: live cutting equals cutting and starting from disk."""
    trainer = trainer_for(tmp_path)
    trainer.train(resume_from_checkpoint=f"{trained.args.output_dir}/checkpoint-{step}")
    assert_same(weights(trainer.model), weights(trained.model))
    assert PruningRecord.load(tmp_path).after == PruningRecord.load(trained.args.output_dir).after


def test_a_callback_that_is_added_later_resumes_too(trained, tmp_path):
    trainer = Trainer(
        tiny_classifier("bert"), trainer_for(tmp_path).args, train_dataset=ROWS, eval_dataset=ROWS[:64],
        data_collator=collate,
    )  # fmt: skip
    trainer.add_callback(MIDropoutCallback(MIDropoutConfig(**CONFIG), trainer))
    trainer.train(resume_from_checkpoint=f"{trained.args.output_dir}/checkpoint-5")
    assert_same(weights(trainer.model), weights(trained.model))


def test_a_narrow_model_does_not_take_a_wide_checkpoint(trained, tmp_path):
    trainer = trainer_for(tmp_path, model=copy.deepcopy(trained.model))
    with pytest.raises(ValueError, match="has 32 neurons, the checkpoint 64: the model was pruned already"):
        trainer.train(resume_from_checkpoint=f"{trained.args.output_dir}/checkpoint-2")


def test_models_of_model_init_fit_too(trained, tmp_path):
    trainer = trainer_for(tmp_path)
    again = Trainer(
        model_init=lambda: tiny_classifier("bert"), args=trainer.args, train_dataset=ROWS, eval_dataset=ROWS[:64],
        data_collator=collate, callbacks=[MIDropoutCallback(MIDropoutConfig(**CONFIG))],
    )  # fmt: skip
    again.train(resume_from_checkpoint=f"{trained.args.output_dir}/checkpoint-5")
    assert again.model.config.intermediate_size == 32
    again.train()  # from the start, with a dense model
    assert again.model.config.intermediate_size == 32
    assert next(iter(PruningRecord.load(tmp_path).selection.widths.values())) == (32, 64)


def test_distillation_goes_on_after_a_resume(tmp_path):
    config = {"distill": 0.5, "distill_temperature": 3.0, "baselines": False}
    trainer = trainer_for(tmp_path / "whole", config, save_strategy="steps", save_steps=4)
    trainer.train()
    teacher = AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole" / TEACHER)
    assert teacher.config.intermediate_size == 64
    assert not trainer.model._forward_hooks
    plain = trainer_for(tmp_path / "plain", {"baselines": False})
    plain.train()
    assert any(
        not torch.equal(one, other)
        for one, other in zip(plain.model.parameters(), trainer.model.parameters(), strict=True)
    )
    (tmp_path / "again").mkdir()
    again = trainer_for(tmp_path / "again", config)
    with pytest.raises(ValueError, match=f"{TEACHER} is missing"):
        again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    again = trainer_for(tmp_path / "whole", config)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    assert_same(weights(again.model), weights(trainer.model))


def test_distillation_is_the_loss_of_hinton():
    student, teacher = tiny_classifier("bert"), tiny_classifier("bert")
    with torch.no_grad():
        teacher.classifier.weight.mul_(-1)
    batch = collate(ROWS[:8])
    distillation = Distillation(teacher, 0.25, 2.0)
    student.train()
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    plain = student(**batch)
    distillation.attach(student)
    mixed = student(**batch)
    p, q = (teacher(**batch).logits / 2).softmax(-1), (plain.logits / 2).softmax(-1)
    divergence = (p * (p / q).log()).sum(-1).mean()
    assert float(mixed.loss) == pytest.approx(float(0.75 * plain.loss + 0.25 * 4 * divergence), rel=1e-5)
    student.eval()
    assert float(student(**batch).loss) == pytest.approx(float(plain.loss), rel=1e-5)
    distillation.detach()
    assert not student._forward_hooks


def test_in_several_steps_it_reaches_the_same_width(tmp_path):
    trainer = trainer_for(tmp_path, {"pruning_steps": 2, "keep": 0.25, "baselines": False})
    trainer.train()
    record = PruningRecord.load(tmp_path)
    assert [next(iter(step.selection.widths.values())) for step in record.pruning_steps] == [(32, 64), (16, 64)]
    first, second = (step.selection.kept for step in record.pruning_steps)
    assert all((first[name] | ~second[name]).all() for name in first)
    assert trainer.model.config.intermediate_size == 16


def test_a_step_that_drops_neurons_of_the_head_alone_leaves_those_of_the_encoder(tmp_path):
    config = {"targets": "all", "pruning_steps": 2, "keep": 0.92, "baselines": False}  # 60 of 64 at once, of 26 none
    trainer = trainer_for(tmp_path, config, model=tiny_head_classifier("bert"))
    trainer.train()
    record = PruningRecord.load(tmp_path)
    assert {name: kept for name, (kept, _) in record.selection.widths.items() if name.startswith("encoder")} == {
        group.name: group.num_units for group in find_groups(trainer.model, "encoder").values()
    }
    assert record.config["criterion"] == "prediction_information"
    assert record.config["head_criterion"] == "mutual_information"


def test_the_search_takes_the_narrowest_that_is_no_worse(tmp_path):
    trainer = trainer_for(tmp_path, {"threshold": "search", "keep": None, "margin": 0.4, "baselines": False})
    trainer.train()
    step = PruningRecord.load(tmp_path).pruning_steps[0]
    sweep = step.sweep
    assert sweep["chosen"] is not None
    kept = [next(iter(level["kept"].values())) for level in sweep["levels"]]
    assert kept == sorted(kept, reverse=True)
    assert trainer.model.config.intermediate_size == kept[sweep["chosen"]]
    failed = [level["p_value"] > sweep["alpha"] for level in sweep["levels"]]
    assert not any(failed[:-1]) and sweep["chosen"] == len(kept) - 1 - failed[-1]


def test_scoring_alone_leaves_the_training_as_it_is(tmp_path):
    scored = trainer_for(tmp_path / "scored", {"action": "none", "keep": None, "reconstruction_samples": 2048})
    scored.train()
    plain = trainer_for(tmp_path / "plain")
    plain.remove_callback(MIDropoutCallback)
    plain.train()
    assert_same(weights(scored.model), weights(plain.model))
    assert PruningRecord.load(tmp_path / "scored").selection is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scope": "global", "targets": "all"}, "scope='global' with targets='all': must be 'layer'"),
        (
            {"scope": "global", "criterion": "std_times_norm"},
            "criterion='std_times_norm' with scope='global': its values do not compare over layers; must be one of "
            "'prediction_information', 'prediction_variance', 'mutual_information'",
        ),
        ({"action": "dropout"}, "action='dropout' with targets='encoder': must be 'prune' or 'none'"),
        (
            {"threshold": 0.5, "keep": None},
            "threshold=0.5 bits with targets='encoder': give keep or threshold='search'",
        ),
        ({"reconstruction": "mean"}, "reconstruction='mean' with targets='encoder'"),
        ({"reconstruction_samples": 50}, "reconstruction_samples=50: must be 100 rows or more"),
        ({"distill": 1.5}, "distill=1.5: must be in"),
        ({"distill_temperature": 3.0}, "distill_temperature=3.0 has no effect"),
        ({"targets": "head"}, "reconstruction_samples=100 has no effect"),
    ],
)
def test_what_makes_no_sense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        MIDropoutConfig(**{**CONFIG, **values})


def test_models_that_cannot_be_cut_are_refused_before_training(tmp_path):
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(
        tiny_classifier("bert"), peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"])
    )
    with pytest.raises(ValueError, match="merge it into the weights first"):
        trainer_for(tmp_path, model=adapted).train()
    with pytest.raises(ValueError, match="scope='global' with targets='encoder' in a training is not supported"):
        trainer_for(tmp_path, {"scope": "global"}).train()
    with pytest.raises(ValueError, match="float16 weights"):
        trainer_for(tmp_path, model=tiny_classifier("bert").half()).train()
    packed = trainer_for(tmp_path)
    packed.optimizer = type("AdamW8bit", (torch.optim.AdamW,), {"__module__": "bitsandbytes.optim.adamw"})(
        packed.model.parameters()
    )
    with pytest.raises(ValueError, match="targets='encoder' with AdamW8bit of bitsandbytes is not supported"):
        packed.train()
    with pytest.raises(ValueError, match="chunk_size_feed_forward=4: .* set it to 0"):
        chunked = tiny_classifier("bert")
        chunked.config.chunk_size_feed_forward = 4
        check_encoder(chunked)
    quantised = tiny_classifier("bert")
    quantised.config.quantization_config = {"quant_method": "gptq"}
    with pytest.raises(ValueError, match="is quantised"):
        check_encoder(quantised)


def test_a_teachers_place_that_is_taken_is_left_alone(tmp_path):
    (tmp_path / TEACHER).mkdir()
    (tmp_path / TEACHER / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is in the way"):
        trainer_for(tmp_path, {"distill": 0.5}).train()
    assert (tmp_path / TEACHER / "notes.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / TEACHER).iterdir()] == ["notes.txt"]
