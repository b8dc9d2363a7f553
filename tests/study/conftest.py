import pytest
import torch

from hf_midropout.pruning.head_evaluation import HeadInputs
from hf_midropout.study.features import Features


CLASSES, HIDDEN = 3, 10


def made_up(rows: int, seed: int) -> HeadInputs:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (rows,), generator=generator)
    noise = torch.randn(rows, HIDDEN, generator=generator)
    return HeadInputs(noise + 1.5 * torch.nn.functional.one_hot(labels, HIDDEN), labels)


@pytest.fixture(scope="package")
def features() -> Features:
    return Features(made_up(120, 0), made_up(60, 1), made_up(80, 2))
