"""Histograms and the configuration reach trackers through the Trainer's own callbacks; the terminal gets a line."""

import json
from types import SimpleNamespace

import pytest
from transformers import TrainerCallback
from transformers.integrations.integration_utils import (
    MLflowCallback,
    TensorBoardCallback,
    TrackioCallback,
    WandbCallback,
)
from transformers.trainer_callback import PrinterCallback

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.training.trackers import BINS, counts


class Recorder:
    """Notes what is called, on itself and on its attributes."""

    def __init__(self, name="", calls=None):
        self._name, self._calls = name, [] if calls is None else calls

    def __getattr__(self, name):
        return Recorder(name, self._calls)

    def __call__(self, *args, **kwargs):
        self._calls.append((self._name, args, kwargs))
        return self

    def named(self, name):
        return [args for called, args, _ in self._calls if called == name]


def tracker(kind, **attributes):
    """A callback of transformers whose package need not be installed."""
    made = object.__new__(type(kind.__name__, (kind,), {"__init__": None, **quiet_events(kind)}))
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def quiet_events(kind):
    events = ("on_train_begin", "on_train_end", "on_log", "on_save", "on_step_end", "on_predict", "__del__")
    return {name: lambda self, *args, **kwargs: None for name in events if hasattr(kind, name)}


@pytest.fixture
def trained(make_trainer):
    def run(*callbacks, **arguments):
        config = MIDropoutConfig(start=3, keep=0.5)
        trainer = make_trainer(callbacks=[MIDropoutCallback(config), *callbacks], max_steps=6, **arguments)
        trainer.train()
        return trainer

    return run


def test_tensorboard(trained, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    trained(TensorBoardCallback(SummaryWriter(str(tmp_path / "logs"))))
    events = EventAccumulator(str(tmp_path / "logs"), size_guidance={"histograms": 0})
    events.Reload()
    names = [f"midropout/bits/classifier.layers.{number}" for number in range(3)]
    assert events.Tags()["histograms"] == names
    assert [each.step for each in events.Histograms(names[0])] == [3, 6]
    assert events.Histograms(names[0])[0].histogram_value.num == 12  # its neurons
    assert "midropout_config/text_summary" in events.Tags()["tensors"]


def test_the_others(trained):
    wandb, mlflow, trackio = Recorder(), Recorder(), Recorder()
    trained(
        tracker(WandbCallback, _wandb=wandb),
        tracker(MLflowCallback, _ml_flow=mlflow, _initialized=True, _auto_end_run=False),
        tracker(TrackioCallback, _trackio=trackio, _initialized=True),
    )
    for each in (wandb, trackio):
        ((config,),) = each.named("update")
        assert config["midropout/keep"] == 0.5 and config["midropout/criterion"] == "mutual_information"
        assert len(each.named("Histogram")) == 6 and len(each.named("log")) == 2  # three layers, twice
    ((config,),) = mlflow.named("log_params")
    assert config["midropout/keep"] == "0.5"
    (first, path), (_, last) = mlflow.named("log_dict")
    assert (path, last) == ("midropout/bits_at_step_3.json", "midropout/bits_at_step_6.json")
    shown = json.loads(json.dumps(first))["midropout/bits/classifier.layers.0"]
    assert sum(shown["counts"]) == 12 and len(shown["edges"]) == BINS + 1 == len(shown["counts"]) + 1


def test_dictionaries_go_to_trackers_and_a_line_to_the_terminal(trained, capsys):
    class Logs(TrainerCallback):
        def __init__(self):
            self.seen = {}

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.seen |= logs

    logs = Logs()
    trainer = trained(logs)
    assert any(isinstance(each, PrinterCallback) for each in trainer.callback_handler.callbacks)  # it is there again
    printed = capsys.readouterr().out
    assert "midropout/before/bits/classifier.layers.0" in logs.seen and "midropout/" not in printed
    assert "step 3: scored 26 neurons in " in printed and "s, kept 13\n" in printed
    assert any("midropout/after/bits/classifier.layers.0" in entry for entry in trainer.state.log_history)


def test_no_line_where_transformers_shows_errors_only(trained, capsys):
    trained(log_level="error")
    assert "scored" not in capsys.readouterr().out
    trained(log_level="warning")
    assert "scored" in capsys.readouterr().out


def test_counts_of_one_value():
    assert sum(counts(SimpleNamespace(bits=[0.0] * 5).bits)["counts"]) == 5
