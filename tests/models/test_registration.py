"""The Auto classes know our model whatever is imported in whatever order; each order needs a fresh interpreter."""

import json
from pathlib import Path

import pytest
from conftest import run_python


ROOT = Path(__file__).parents[2]


# Either first; the others, each some seconds, are marked slow.
ORDERS = [
    ["import hf_midropout", "from transformers import AutoModelForSequenceClassification"],
    ["from transformers import Trainer, AutoModelForSequenceClassification", "import hf_midropout"],
]
ENTRIES = ["AutoConfig", "AlbertForSequenceClassification", "AutoTokenizer", "PreTrainedModel", "Trainer", "pipeline"]
MORE_ORDERS = [["import hf_midropout", f"from transformers import {entry}"] for entry in ENTRIES] + [
    ["import hf_midropout", "import transformers.quantizers.auto"],
    ["from hf_midropout import MIDropoutAlbertConfig"],
    ["from hf_midropout import MIDropoutAlbertForSequenceClassification"],
    ["from hf_midropout.commands import train", "from transformers import Trainer"],
]

CODE = """
import json, os, sys
# What takes longest and knows neither transformers nor the package, once for all orders.
import accelerate, datasets, scipy.optimize, torch._dynamo, torch.distributed.tensor
assert not {"transformers", "hf_midropout"} & sys.modules.keys()

def built(order):
    for statement in order:
        exec(statement)
    from transformers import AutoConfig, AutoModelForSequenceClassification
    config = AutoConfig.for_model(
        "midropout_albert", vocab_size=9, embedding_size=4, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=4, head_widths=[2], num_labels=3,
    )
    from transformers import AutoModel
    classes = {type(auto.from_config(config)).__module__ for auto in (AutoModelForSequenceClassification, AutoModel)}
    return " ".join(sorted(classes))

for order in json.loads(sys.argv[1]):
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            result = built(order)
        except Exception as error:
            result = repr(error)[:300]
        print(json.dumps([order, result]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.parametrize("orders", [ORDERS, pytest.param(MORE_ORDERS, marks=pytest.mark.slow)], ids=["few", "more"])
def test_every_order_of_imports_registers_the_classes(orders):
    results = [json.loads(line) for line in run_python(CODE, json.dumps(orders), cwd=ROOT)]
    assert [order for order, _ in results] == orders
    for order, module in results:
        assert module == "hf_midropout.models.modeling_midropout_albert", order


def test_import_brings_neither_torch_nor_transformers():
    code = "import sys, hf_midropout; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    assert run_python(code, cwd=ROOT) == ["[]"]


def test_public_names_are_listed():
    import hf_midropout

    assert set(hf_midropout.__all__) <= set(dir(hf_midropout))
    for name in hf_midropout.__all__:
        assert getattr(hf_midropout, name) is not None
