from hf_midropout.pruning.encoder.sequential_reconstruction import held_out_batches, segments


def test_segments_hold_all_calls_of_a_layer():
    assert segments(["a", "b", "c"]) == [(0, 1), (1, 2), (2, 3)]
    assert segments(["a", "a", "b", "b"]) == [(0, 2), (2, 4)]
    assert segments(["a", "b", "a", "b", "c"]) == [(0, 4), (4, 5)]


def test_one_batch_in_eight_is_held_out():
    assert [held_out_batches(count) for count in (0, 1, 2, 7, 8, 17)] == [set(), set(), {1}, {6}, {7}, {7, 15}]
