import pytest
import torch
from torch.func import vmap

from hf_midropout.study.seeded_noise import SeededNoise


DRAWS = {
    "dropout": lambda x: torch.nn.functional.dropout(x, 0.4),
    "alpha": lambda x: torch.nn.functional.alpha_dropout(x, 0.4, training=True),
    "bernoulli": lambda x: torch.bernoulli(torch.full_like(x, 0.5)),
    "in place": lambda x: torch.empty_like(x).uniform_(),
    "like": lambda x: torch.randn_like(x),
    "of a shape": lambda x: torch.rand(x.shape) + torch.randn(x.shape),
    "multinomial": lambda x: torch.multinomial(x, 5).float(),
    "integers": lambda x: torch.randint(0, 1000, x.shape),
}


@pytest.mark.parametrize("name", DRAWS)
def test_each_draws_what_it_draws_alone(name):
    inputs = torch.arange(1.0, 13.0).expand(4, 3, 12)

    def drawn(seeds):
        with SeededNoise(seeds):
            return [vmap(DRAWS[name], randomness="different")(inputs[: len(seeds)]) for _ in range(2)]

    first, second = drawn([5, 6, 7, 5])
    assert torch.equal(first[0], first[3])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)
    for number, seed in enumerate([5, 6, 7]):
        assert [
            torch.equal(alone[0], all_of_them[number])
            for alone, all_of_them in zip(drawn([seed]), (first, second), strict=True)
        ] == [True, True]


def test_the_generator_of_the_process_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with SeededNoise([1, 2]):
        vmap(DRAWS["dropout"], randomness="different")(torch.ones(2, 5))
        fixed = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(fixed, torch.randperm(6, generator=torch.Generator().manual_seed(0)))


def test_noise_that_all_would_share_is_refused():
    with SeededNoise([1, 2]), pytest.raises(RuntimeError, match=r"aten.randn.default draws \[3, 4\]: .* each of 2"):
        torch.randn(3, 4)
