from hf_midropout.utils.listing import listed


def test_long_lists_are_cut():
    assert listed(["a", "b"], repr) == "'a', 'b'"
    assert listed(range(8)) == "0, 1, 2, 3, 4, 5, 6, 7"
    assert listed(range(9)) == "0, 1, 2, 3, 4, 5, 6, 7, ... and 1 more"
    assert listed({str(number): 0 for number in range(1000)}).endswith("6, 7, ... and 992 more")
    assert listed([]) == ""
