import pytest
import torch

from hf_midropout.pruning.head.checks import check_head


def test_plain_heads_pass(tiny_model):
    check_head(tiny_model)
    check_head(tiny_model.to(torch.bfloat16))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:torch.quantize_per")
def test_quantised_heads_are_refused(tiny_model):
    quantised = torch.ao.quantization.quantize_dynamic(tiny_model, {torch.nn.Linear}, dtype=torch.qint8)
    with pytest.raises(
        ValueError, match=r"classifier.layers.0.dense is a Linear without a plain weight.*quantise the"
    ):
        check_head(quantised)


def test_packed_weights_are_refused(tiny_model):
    dense = tiny_model.classifier.layers[1].dense
    dense.weight = torch.nn.Parameter(torch.zeros(dense.weight.numel() // 2, 1, dtype=torch.uint8), False)  # 4 bits
    with pytest.raises(ValueError, match=r"classifier.layers.1.dense"):
        check_head(tiny_model)


def test_parametrised_weights_are_refused(tiny_model):
    torch.nn.utils.parametrizations.weight_norm(tiny_model.classifier.out_proj)
    with pytest.raises(ValueError, match=r"classifier.out_proj is a ParametrizedLinear"):
        check_head(tiny_model)


@pytest.mark.parametrize("targets", ["all-linear", ["query", "dense"], ["out_proj"]])
def test_adapters_on_the_head_are_refused(tiny_model, targets):
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(tiny_model, peft.LoraConfig(r=2, target_modules=targets))
    with pytest.raises(ValueError, match=r"has a PEFT adapter.*modules_to_save=\['classifier'\]"):
        check_head(model)


@pytest.mark.parametrize("options", [{"task_type": "SEQ_CLS"}, {"modules_to_save": ["classifier"]}, {}])
def test_adapters_on_the_encoder_pass(tiny_model, options):
    peft = pytest.importorskip("peft")
    check_head(peft.get_peft_model(tiny_model, peft.LoraConfig(r=2, target_modules=["query", "value"], **options)))
