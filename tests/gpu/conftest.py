import os

import pytest
import torch


DEVICE = torch.device(os.environ.get("MIDROPOUT_GPU_TESTS_ON", "cuda"))
"""`cpu` shows that the tests themselves run, where there is no GPU."""


def pytest_collection_modifyitems(items):
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.gpu)
            if DEVICE.type == "cuda" and not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.fixture(scope="session")
def device():
    return DEVICE
