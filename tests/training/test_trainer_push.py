"""`TrainingArguments(push_to_hub=True)`, `trainer.push_to_hub()` and `model.push_to_hub()`, against hub_server.py."""

import json
from pathlib import Path

import pytest
from checkpoints import TEXTS
from conftest import make_rows, tiny_config
from hub_server import WRITE_TOKEN, HubServer
from processes import exit_code, find_hub

from hf_midropout.model_types import code_files


def train_and_push(folder: Path, token: str) -> None:
    """Run in a process of its own."""
    import torch
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig
    from hf_midropout.models.builtin import train_tokenizer

    find_hub()
    tokenizer = train_tokenizer(TEXTS * 4, vocab_size=60)
    torch.manual_seed(0)
    trainer = Trainer(
        MIDropoutAlbertForSequenceClassification(tiny_config(vocab_size=80)),
        TrainingArguments(
            str(folder), max_steps=4, save_steps=2, save_strategy="steps", logging_steps=1,
            per_device_train_batch_size=16, learning_rate=1e-2, use_cpu=True, disable_tqdm=True, push_to_hub=True,
            hub_model_id="me/run", hub_private_repo=True, hub_always_push=True, hub_token=token,
        ),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=make_rows(64, seed=2), eval_dataset=make_rows(32, seed=3), processing_class=tokenizer,
        callbacks=[MIDropoutCallback(MIDropoutConfig(start=3, keep=0.5))],
    )  # fmt: skip
    trainer.train()
    trainer._finish_current_push()  # what the next line waits for too; here it marks where training ended
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n\nMy words.\n")
    trainer.push_to_hub(tags="news", dataset="x")
    assert [int(layer.mask.sum()) for layer in trainer.model.masked_layers().values()] == [6, 4, 3]
    trainer.model.push_to_hub("me/direct")


WHOLE = {
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md",
    *code_files("albert"),
}  # fmt: skip
REPORT = {
    "midropout_report.json", "midropout_report.safetensors",
    "figures/bits_per_layer.png", "figures/training_curve.png",
}  # fmt: skip


@pytest.mark.parametrize("xet", [pytest.param(False, id="lfs", marks=pytest.mark.slow), pytest.param(True, id="xet")])
def test_every_push_of_a_trainer_is_whole(tmp_path, xet):
    with HubServer(tmp_path / "cas") as hub:
        environment = hub.environment(tmp_path / "home", xet=xet)
        code = exit_code(tmp_path / "log", train_and_push, tmp_path / "out", WRITE_TOKEN, **environment)
        said = (tmp_path / "log").read_text()
        assert code == 0, said[-3000:]
        assert WRITE_TOKEN not in said
        repo = hub.repositories["me/run"]
        commits = [(repo.messages[sha], hub.files("me/run", sha)) for sha in repo.commits]
        progress = [(message, files) for message, files in commits if message.startswith("Training in progress")]
        assert [message for message, _ in progress] == [f"Training in progress, step {step}" for step in (2, 4)]
        for message, files in progress:
            assert WHOLE <= set(files), message
            assert "auto_map" in json.loads(files["config.json"])
            assert json.loads(files["config.json"])["head_widths"] == [12, 8, 6]  # masked: training goes on
        assert not REPORT & set(progress[0][1]) and REPORT <= set(progress[1][1])  # scored at step 3

        message, last = commits[-1]
        assert message == "End of training"
        assert WHOLE | REPORT <= set(last)
        assert json.loads(last["config.json"])["head_widths"] == [6, 4, 3]
        report = json.loads(last["midropout_report.json"])
        assert report["model"]["head_widths_after"] == [6, 4, 3] and report["pruning"]["after"]
        card = last["README.md"].decode()
        assert "My words." in card and "license: mit" in card and "- news" in card and "12, 8, 6 → 6, 4, 3" in card
        direct = hub.files("me/direct")
        assert WHOLE - {"tokenizer.json", "tokenizer_config.json"} <= set(direct)
        for path, content in [
            *last.items(),
            *direct.items(),
            *(item for _, files in progress for item in files.items()),
        ]:
            assert WRITE_TOKEN.encode() not in content, path
            assert not path.endswith((".bin", ".pt", ".pth")), path
