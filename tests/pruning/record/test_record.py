"""A record in two files: exact, small where people read it, and whole at every moment."""

import json
import os
import shutil
import sys
from dataclasses import replace

import pytest
import torch

from hf_midropout import MIDropoutConfig, NeuronScores
from hf_midropout.information import MutualInformation
from hf_midropout.pruning.record.result import PruningResult
from hf_midropout.pruning.record.training import PruningRecord
from hf_midropout.pruning.selection import select


def made_up_scores(widths, seed: int = 0) -> NeuronScores:
    generator = torch.Generator().manual_seed(seed)
    layers = {}
    for index, width in enumerate(widths):
        bits = torch.rand(width, generator=generator, dtype=torch.float64)
        layers[f"encoder.layer.{index}.ffn"] = MutualInformation(bits, bits / 7, bits / 3, 1.5, 1000)
    return NeuronScores(layers, num_classes=3, num_ignored=2, seconds=0.25, bytes_reduced=8)


def made_up_record(widths=(5, 3), steps: int = 2, seed: int = 0) -> PruningRecord:
    done = []
    for number in range(steps):
        scores = made_up_scores(widths, seed + number)
        done.append(PruningResult(number + 3, scores, select(scores.bits, keep=0.5), seconds={"scoring": 0.5}))
    return PruningRecord(MIDropoutConfig(keep=0.5).to_dict(), 100, done, made_up_scores(widths, seed + 100))


def same_record(one: PruningRecord | None, other: PruningRecord) -> bool:
    return one is not None and one.to_dict() == other.to_dict()


def test_every_bit_comes_back_from_the_files_and_from_a_checkpoint(tmp_path):
    record = made_up_record(widths=(40, 9))
    record.pruning_steps[1].selection = None
    record.pruning_steps[1].refused = "threshold=2 bits would drop all."
    record.save(tmp_path)
    checkpoint = json.loads(json.dumps(record.to_dict()))
    for back in (PruningRecord.load(tmp_path), PruningRecord.from_dict(checkpoint)):
        assert same_record(back, record)
        assert back.after == record.after and back.before == record.before
        assert back.after.seconds == 0.25 and back.after.bytes_reduced == 8
        for name, mask in record.selection.kept.items():
            assert torch.equal(back.selection.kept[name], mask) and back.selection.kept[name].dtype == torch.bool
        assert back.selection.threshold == record.selection.threshold
        assert [each.refused for each in back.pruning_steps] == [None, "threshold=2 bits would drop all."]


def test_the_json_of_a_large_encoder_is_small(tmp_path):
    """24 layers of 4,096 neurons, three steps: 9.7 MB of numbers, which as JSON were more than the 16 MiB allowed."""
    record = made_up_record([4096] * 24, steps=3)
    record.save(tmp_path)
    people, arrays = (os.path.getsize(tmp_path / f"midropout_record.{kind}") for kind in ("json", "safetensors"))
    numbers = 24 * 4096 * (4 * 3 * 8 + 3)
    assert numbers <= arrays < numbers + 64 * 1024
    assert people < 64 * 1024
    assert '"mean_bits_before": 0.' in (tmp_path / "midropout_record.json").read_text()
    assert same_record(PruningRecord.load(tmp_path), record)


def killed_before(number: int, folder, record: PruningRecord) -> bool:
    """Saves `record` in a process that ends without a word before its file operation `number` in `folder`."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = number

    def watch(event, arguments):
        nonlocal left
        if event in ("open", "os.rename", "os.remove") and str(folder) in str(arguments[0]):
            left -= 1
            if left == 0:
                os._exit(9)

    try:
        sys.addaudithook(watch)
        record.save(folder)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes of its own")
@pytest.mark.parametrize("there", ["nothing", "its beginning", "another training"])
def test_it_is_whole_whenever_the_process_is_killed(tmp_path, there):
    whole = made_up_record()
    beginning = replace(whole, pruning_steps=whole.pruning_steps[:1], after=None)
    former = {"nothing": None, "its beginning": beginning, "another training": made_up_record(seed=50)}[there]
    seen = set()
    for number in range(1, 100):
        folder = tmp_path / str(number)
        folder.mkdir()
        if former is not None:
            former.save(folder)
        killed = killed_before(number, folder, whole)
        found = PruningRecord.load(folder)  # raises if the two files do not belong together
        if found is None:
            assert there != "its beginning", "what was there is lost"
            seen.add("none")
        else:
            assert same_record(found, whole) or same_record(found, former)
            seen.add("new" if same_record(found, whole) else "former")
        whole.save(folder)  # what a kill left does not stand in the way
        assert same_record(PruningRecord.load(folder), whole)
        shutil.rmtree(folder)
        if not killed:
            break
    assert number > 8 and "new" in seen
    assert ("former" in seen) == (former is not None)


def test_arrays_of_another_record_are_refused(tmp_path):
    for seed, name in ((0, "mine"), (1, "other")):
        made_up_record(seed=seed).save(tmp_path / name)
    arrays = "midropout_record.safetensors"
    shutil.copyfile(tmp_path / "other" / arrays, tmp_path / "mine" / arrays)
    with pytest.raises(ValueError, match="midropout_record.json cannot be read: midropout_record.safetensors is of"):
        PruningRecord.load(tmp_path / "mine")
    (tmp_path / "mine" / arrays).unlink()
    with pytest.raises(ValueError, match="midropout_record.safetensors is missing"):
        PruningRecord.load(tmp_path / "mine")


def test_a_record_of_a_newer_version_says_to_upgrade(tmp_path):
    record = made_up_record()
    record.save(tmp_path)
    content = json.loads((tmp_path / "midropout_record.json").read_text())
    (tmp_path / "midropout_record.json").write_text(json.dumps(content | {"format_version": 3}))
    with pytest.raises(ValueError, match=r"format_version=3 is newer than the 2 that this .* reads: upgrade it\.$"):
        PruningRecord.load(tmp_path)
    with pytest.raises(ValueError, match="format_version=3 is newer"):
        PruningRecord.from_dict(record.to_dict() | {"format_version": 3})


def test_a_link_in_the_place_of_the_record_is_replaced_not_written_through(tmp_path):
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "out").mkdir()
    for kind in ("json", "safetensors"):
        (tmp_path / "out" / f"midropout_record.{kind}").symlink_to(tmp_path / "mine.json")
    made_up_record().save(tmp_path / "out")
    assert (tmp_path / "mine.json").read_text() == "{}"
    assert PruningRecord.load(tmp_path / "out") is not None
