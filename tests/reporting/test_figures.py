import torch

from hf_midropout import MIDropoutConfig, NeuronScores
from hf_midropout.information import MutualInformation
from hf_midropout.pruning.record.result import PruningResult
from hf_midropout.pruning.record.training import PruningRecord
from hf_midropout.pruning.selection import select
from hf_midropout.reporting.drawing import draw_figures
from hf_midropout.reporting.report import Report


def made_up_record(prune: bool = True) -> PruningRecord:
    generator = torch.Generator().manual_seed(0)

    def scores(scale: float) -> NeuronScores:
        layers = {}
        for index, width in enumerate((256, 128, 64)):
            bits = torch.rand(width, generator=generator, dtype=torch.float64) * scale * (index + 1) / 3
            layers[f"classifier.layers.{index}"] = MutualInformation(bits, bits * 0.1, bits * 0, 2.0, 1000)
        return NeuronScores(layers, num_classes=4)

    config = MIDropoutConfig(threshold=0.3)
    before = scores(1.0)
    bits = {name: layer.bits for name, layer in before.layers.items()}
    done = PruningResult(50, before, select(bits, threshold=0.3) if prune else None)
    return PruningRecord(config.recorded(), max_steps=100, pruning_steps=[done], after=scores(1.5))


def test_record_round_trip(tmp_path):
    assert PruningRecord.load(tmp_path) is None
    for prune in (True, False):
        record = made_up_record(prune)
        record.save(tmp_path)
        assert PruningRecord.load(tmp_path).to_dict() == record.to_dict()


def test_figures_are_drawn_with_and_without_pruning(tmp_path):
    history = [{"step": step, "loss": 1 / step} for step in range(10, 101, 10)] + [{"step": 50, "eval_loss": 0.1}]
    paths = draw_figures(Report.of(made_up_record(), training_log=history), tmp_path / "pruned")
    assert [path.name for path in paths] == ["bits_per_layer.png", "training_curve.png", "bits_per_neuron.png"]
    # nothing logged: no curve
    others = draw_figures(Report.of(made_up_record(prune=False)), tmp_path / "dense")
    assert [path.name for path in others] == ["bits_per_layer.png", "bits_per_neuron.png"]
    for path in (*paths, *others):
        assert path.stat().st_size > 5000
