"""A short training with the callback, and from the command line."""

import json

import pytest
import torch
from runs import train
from safetensors.torch import load_file

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig
from hf_midropout.regularizers.information import ranks


pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.mark.parametrize("name", ["information", "multi_sample", "drop_mi"])
def test_trained_with_the_callback(make_trainer, tiny_model, tmp_path, name):
    tiny_model.save_pretrained(tmp_path / "base")
    load = MIDropoutAlbertForSequenceClassification.from_pretrained
    callback = MIDropoutCallback(MIDropoutConfig(keep=0.5, start=0.5))
    trainer = make_trainer([callback], model=load(tmp_path / "base", head_regularizer=name), max_steps=10)
    trainer.train()
    assert callback.record.after is not None
    if name == "drop_mi":
        kept = [layer.mask for layer in trainer.model.classifier.layers]
        bits = callback.record.pruning_steps[0].scores.bits
        found = [each.rank for each in trainer.model.classifier.regularizers]
        assert all(
            (rank[~mask] == 0.5).all() and rank[mask].max() == 1 for rank, mask in zip(found, kept, strict=True)
        )
        assert not torch.equal(
            found[0], ranks(bits["classifier.layers.0"], kept[0]).float()
        )  # an epoch has begun since
    compact = trainer.model.compact().eval()
    compact.save_pretrained(tmp_path / "compact")
    with torch.no_grad():
        expected = compact(torch.arange(5, 15)[None]).logits
        assert torch.allclose(load(tmp_path / "compact")(torch.arange(5, 15)[None]).logits, expected, atol=1e-6)


@pytest.mark.slow
def test_from_the_command_line(data_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert train(data_folder, out, "--head_regularizer", "concrete") == 0
    config = json.loads((out / "compact" / "config.json").read_text())
    assert config["head_regularizer"] == "concrete" and 1 / 80 <= config["head_regularizer_weight"] <= 1 / 60
    assert "classifier.regularizers.0.logit" in load_file(out / "compact" / "model.safetensors")
    assert train(data_folder, tmp_path / "other", "--head_regularizer", "gausian") != 0
    assert "--head_regularizer 'gausian'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["drop_mi", pytest.param("concrete", marks=pytest.mark.slow)])
def test_a_resumed_training_ends_in_the_same_weights(make_trainer, tiny_model, tmp_path, name):
    """From within an epoch, at its end, and after neurons were dropped."""
    tiny_model.save_pretrained(tmp_path / "base")
    load = MIDropoutAlbertForSequenceClassification.from_pretrained

    def trained(resume=None, **options):
        callback = MIDropoutCallback(MIDropoutConfig(keep=0.5, start=5))
        model = load(tmp_path / "base", head_regularizer=name)
        trainer = make_trainer([callback], model=model, max_steps=11, **options)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = trained(save_strategy="steps", save_steps=1)
    steps_per_epoch = round(11 / whole.state.epoch)
    expected = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}
    for step in (3, steps_per_epoch, 6, steps_per_epoch + 1):
        resumed = trained(f"{whole.args.output_dir}/checkpoint-{step}")
        for key, tensor in resumed.model.state_dict().items():
            assert torch.equal(tensor, expected[key]), (step, key)
