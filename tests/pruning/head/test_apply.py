import pytest
import torch

from hf_midropout.pruning.head.apply import CompactionError, apply_selection, is_pruned, verify_compaction
from hf_midropout.pruning.selection import Selection
from hf_midropout.scoring.batches import batches_for


def selection_for(model, dropped: int) -> Selection:
    kept = {name: torch.arange(layer.mask.numel()) >= dropped for name, layer in model.masked_layers().items()}
    return Selection(kept, dict.fromkeys(kept, 0.1))


def test_apply_selection_changes_masks_in_place(tiny_model):
    storage = tiny_model.classifier.layers[0].mask.data_ptr()
    assert not is_pruned(tiny_model)
    apply_selection(tiny_model, selection_for(tiny_model, 2))
    assert is_pruned(tiny_model)
    assert tiny_model.classifier.layers[0].mask.data_ptr() == storage
    assert [int(layer.mask.sum()) for layer in tiny_model.classifier.layers] == [10, 6, 4]
    apply_selection(tiny_model, selection_for(tiny_model, 0))  # what is dropped stays dropped
    assert [int(layer.mask.sum()) for layer in tiny_model.classifier.layers] == [10, 6, 4]


def test_selection_for_another_model_is_refused(tiny_model):
    selection = selection_for(tiny_model, 1)
    del selection.kept["classifier.layers.0"]
    with pytest.raises(ValueError, match="selection is for layers of"):
        apply_selection(tiny_model, selection)


def test_compaction_is_proved_on_real_inputs(tiny_model, train_rows):
    """Invariant 4, and the proof notices a model that is not the same."""
    apply_selection(tiny_model, selection_for(tiny_model, 2))
    compact = tiny_model.compact()
    batches = batches_for(tiny_model, train_rows, batch_size=32)
    assert verify_compaction(tiny_model, compact, batches) <= 1e-5
    compact.classifier.out_proj.bias.data[0] += 1e-3
    with pytest.raises(CompactionError, match="differ by 1.00e-03"):
        verify_compaction(tiny_model, compact, batches)
    compact.classifier.out_proj.bias.data[0] = torch.nan
    with pytest.raises(CompactionError):
        verify_compaction(tiny_model, compact, batches)
