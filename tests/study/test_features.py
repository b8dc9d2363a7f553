"""The cache of what a frozen encoder gives."""

import copy
import shutil

import pytest
import torch
from conftest import tiny_config

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.pruning.head.inputs import collect_head_inputs
from hf_midropout.scoring.batches import batches_for
from hf_midropout.study import features
from hf_midropout.study.features import encode, load_features


@pytest.fixture(scope="module")
def task(data_folder):
    data = load_text_classification(str(data_folder))
    tokenizer = train_tokenizer(data.splits["train"]["text"][:], vocab_size=60)
    torch.manual_seed(0)
    return MIDropoutAlbertForSequenceClassification(tiny_config(vocab_size=len(tokenizer))).eval(), tokenizer, data


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(features, "SHARD_ROWS", 16)


def test_they_are_what_the_head_reads(task, tmp_path, few_rows):
    model, tokenizer, data = task
    path = encode(*task, 12, tmp_path, progress=False)
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ".lock"] == [path.name]
    loaded = load_features(path)
    for name in ("train", "validation", "test"):
        rows = data.tokenize(tokenizer, 12, [name])[name]
        expected = collect_head_inputs(model, batches_for(model, rows, 8, processing_class=tokenizer), progress=False)
        torch.testing.assert_close(getattr(loaded, name).hidden_states, expected.hidden_states)
        assert torch.equal(getattr(loaded, name).labels, expected.labels)


def test_a_stop_loses_little(task, tmp_path, few_rows, monkeypatch):
    model, tokenizer, data = task
    whole = load_features(encode(*task, 12, tmp_path / "whole", progress=False))
    passes = []

    def counted(*args, **options):
        passes.append(1)
        if len(passes) == 4:
            raise KeyboardInterrupt
        return collect_head_inputs(*args, **options)

    monkeypatch.setattr(features, "collect_head_inputs", counted)
    with pytest.raises(KeyboardInterrupt):
        encode(*task, 12, tmp_path / "stopped", progress=False)
    path = encode(*task, 12, tmp_path / "stopped", progress=False)
    assert len(passes) == 8 + 1  # 72, 8 and 30 rows in sixteens, and the one that was stopped
    assert torch.equal(load_features(path).train.hidden_states, whole.train.hidden_states)
    encode(*task, 12, tmp_path / "stopped", progress=False)
    assert len(passes) == 9


def test_other_weights_texts_or_lengths_are_other_features(task, tmp_path, data_folder):
    model, tokenizer, data = task
    paths = {encode(model, tokenizer, data, length, tmp_path, progress=False) for length in (12, 10)}
    changed = copy.deepcopy(model)
    changed.albert.embeddings.word_embeddings.weight.data[0, 0] += 1
    paths.add(encode(changed, tokenizer, data, 12, tmp_path, progress=False))
    fewer = load_text_classification(str(data_folder), max_train_samples=50)
    paths.add(encode(model, tokenizer, fewer, 12, tmp_path, progress=False))
    assert len(paths) == 4
    changed = copy.deepcopy(model)
    changed.classifier.out_proj.weight.data += 1  # the head plays no role
    assert encode(changed, tokenizer, data, 12, tmp_path, progress=False) in paths


def test_no_test_split(task, tmp_path):
    model, tokenizer, data = task
    rest = copy.copy(data)
    rest.splits = type(data.splits)({name: data.splits[name] for name in ("train", "validation")})
    with pytest.raises(ValueError, match=r"has no test split \(train, validation\)"):
        encode(model, tokenizer, rest, 12, tmp_path, progress=False)


def test_what_a_kill_left_is_no_obstacle(task, tmp_path, few_rows):
    path = encode(*task, 12, tmp_path, progress=False)
    parts = path.with_suffix("")
    parts.mkdir()
    shutil.copy(path, parts / "train-00000.safetensors")  # after the file, before its shards went
    encode(*task, 12, tmp_path, progress=False)
    assert not parts.exists()
    path.unlink()
    parts.mkdir()
    (parts / ".train-00000.safetensors.01234567-4194305-01234567").write_bytes(b"half")
    assert encode(*task, 12, tmp_path, progress=False) == path and path.exists() and not parts.exists()


def test_what_is_damaged_is_made_again(task, tmp_path, few_rows, caplog):
    path = encode(*task, 12, tmp_path, progress=False)
    whole = load_features(path)
    shard = path.with_suffix("") / "train-00001.safetensors"
    shard.parent.mkdir()
    shard.write_bytes(path.read_bytes()[:500])
    path.write_bytes(path.read_bytes()[:-100])
    encode(*task, 12, tmp_path, progress=False)
    assert caplog.messages == [f"{each} cannot be read; it is made again." for each in (path, shard)]
    assert torch.equal(load_features(path).train.hidden_states, whole.train.hidden_states)
    path.write_bytes(b"")
    encode(*task, 12, tmp_path, progress=False)
    assert torch.equal(load_features(path).test.labels, whole.test.labels)
