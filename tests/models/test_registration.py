"""The Auto classes know our model whatever is imported in whatever order; each order needs a fresh interpreter."""

from pathlib import Path

import pytest
from conftest import run_python
from processes import servers


ROOT = Path(__file__).parents[2]


# The one that most programs have; the others, each some seconds, are marked slow.
ORDERS = [["import hf_midropout", "from transformers import AutoModelForSequenceClassification"]]
MORE_ORDERS = [
    ["from transformers import Trainer, AutoModelForSequenceClassification", "import hf_midropout"],
]
ENTRIES = ["AutoConfig", "AlbertForSequenceClassification", "AutoTokenizer", "PreTrainedModel", "Trainer", "pipeline"]
MORE_ORDERS += [["import hf_midropout", f"from transformers import {entry}"] for entry in ENTRIES] + [
    ["import hf_midropout", "import transformers.quantizers.auto"],
    ["from hf_midropout import MIDropoutAlbertConfig"],
    ["from hf_midropout import MIDropoutAlbertForSequenceClassification"],
    ["from hf_midropout.commands import train", "from transformers import Trainer"],
]


def build(order: list[str], file: Path) -> None:
    """Run in a process of its own: writes the modules of the classes that are found."""
    for statement in order:
        exec(statement)
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(
        "midropout_albert", vocab_size=9, embedding_size=4, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=4, head_widths=[2], num_labels=3,
    )  # fmt: skip
    from transformers import AutoModel

    found = [type(auto.from_config(config)) for auto in (AutoModelForSequenceClassification, AutoModel)]
    file.write_text(" ".join(each.__module__ for each in found))


@pytest.mark.parametrize("orders", [ORDERS, pytest.param(MORE_ORDERS, marks=pytest.mark.slow)], ids=["one", "more"])
def test_every_order_of_imports_registers_the_classes(orders, tmp_path):
    for order in orders:
        log, file = tmp_path / "log", tmp_path / "modules"
        (code,) = servers().bare.run((log, log, {}, build, (order, file)))
        assert code == 0, (order, log.read_text())
        assert file.read_text().split() == ["hf_midropout.models.modeling_midropout_albert"] * 2, order


def test_import_brings_neither_torch_nor_transformers():
    code = "import sys, hf_midropout; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    assert run_python(code, cwd=ROOT) == ["[]"]


def test_public_names_are_listed():
    import hf_midropout

    assert set(hf_midropout.__all__) <= set(dir(hf_midropout))
    for name in hf_midropout.__all__:
        assert getattr(hf_midropout, name) is not None
