from hf_midropout.pruning.encoder.sequential_reconstruction import segments


def test_segments_hold_all_calls_of_a_layer():
    assert segments(["a", "b", "c"]) == [(0, 1), (1, 2), (2, 3)]
    assert segments(["a", "a", "b", "b"]) == [(0, 2), (2, 4)]
    assert segments(["a", "b", "a", "b", "c"]) == [(0, 4), (4, 5)]
