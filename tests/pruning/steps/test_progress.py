"""What is left to do after a resume."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout import MIDropoutConfig
from hf_midropout.pruning.steps.progress import PruningProgress


def progress_after(done: int, config: MIDropoutConfig, max_steps: int) -> PruningProgress:
    progress = PruningProgress.begin(config, max_steps, None)
    return dataclasses.replace(progress, record=FakeRecord([None] * done) if done else None)


@dataclasses.dataclass
class FakeRecord:
    pruning_steps: list


@given(st.integers(1, 5), st.integers(2, 60), st.integers(0, 60), st.data())
def test_rounds_to_come_fit_into_a_longer_training(rounds, max_steps, more, data):
    config = MIDropoutConfig(pruning_steps=rounds, keep=0.1)
    try:
        config.step_schedule(max_steps, None)
    except ValueError:
        return
    done = data.draw(st.integers(1, rounds))
    progress = progress_after(done, config, max_steps)
    ends = [*progress.steps[1:], max_steps]
    step = data.draw(st.integers(progress.steps[done - 1], ends[done - 1]))
    if more == 0:
        assert progress.replanned(step, max_steps).steps == progress.steps
        return
    try:
        longer = progress.replanned(step, max_steps + more)
    except ValueError as error:
        assert max_steps + more - step <= rounds - done
        assert "of them are left" in str(error)
        return
    assert longer.steps[:done] == progress.steps[:done] and len(longer.steps) == rounds
    to_come = longer.steps[done:]
    assert to_come == sorted(set(to_come)) and all(step < each < max_steps + more for each in to_come)


def resume(saved, config, step, max_steps=20, pruned=False):
    return PruningProgress.resume(saved, config, step, max_steps, 5.0, pruned)


def test_before_the_first_round_the_present_configuration_counts():
    saved = PruningProgress.begin(MIDropoutConfig(start=8, keep=0.5), 10, None).to_dict()
    assert json.loads(json.dumps(saved)) == saved
    assert resume(saved, MIDropoutConfig(start=9, keep=0.25), step=6).steps == [9]
    assert resume(None, MIDropoutConfig(start=9), step=6).steps == [9]


@pytest.mark.parametrize("saved", [None, PruningProgress.begin(MIDropoutConfig(start=15), 20, None).to_dict()])
def test_a_start_that_has_gone_by_is_told(saved):
    with pytest.raises(ValueError, match=r"start=0.5 is step 10 of 20, but the checkpoint is of step 12.*such as 13"):
        resume(saved, MIDropoutConfig(), step=12)


def test_dropped_neurons_without_a_record_are_refused():
    with pytest.raises(ValueError, match=r"step 12 has dropped neurons, but holds no record.*compact\(\)"):
        resume(None, MIDropoutConfig(start=15), step=12, pruned=True)
