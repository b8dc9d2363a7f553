"""Models and rows that no encoder can be pruned with: `prune` says why, and changes nothing."""

import copy
import logging

import pytest
import torch
from encoders import collate, rows, tiny_classifier
from transformers import GPT2Config, GPT2ForSequenceClassification, Trainer, TrainingArguments

from hf_midropout import MIDropoutCallback, MIDropoutConfig, prune
from hf_midropout.pruning.encoder.one_shot import measure_encoder


CONFIG = MIDropoutConfig(targets="encoder", keep=0.5, reconstruction_samples=100, baselines=False)


def of_another_kind():
    return GPT2ForSequenceClassification(
        GPT2Config(vocab_size=60, n_embd=16, n_layer=1, n_head=2, pad_token_id=0, num_labels=3)
    )


def adapted():
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(tiny_classifier("bert"), peft.LoraConfig(target_modules=["query"], task_type="SEQ_CLS"))


def quantised(method: str):
    model = tiny_classifier("bert")
    model.config.quantization_config = {"quant_method": method}
    return model


def parametrised():
    model = tiny_classifier("bert")
    torch.nn.utils.parametrizations.weight_norm(model.bert.encoder.layer[1].output.dense)
    return model


def broken(value: float):
    model = tiny_classifier("bert")
    with torch.no_grad():
        model.bert.encoder.layer[1].intermediate.dense.weight[3] = value
    return model


REFUSED = {
    "an architecture that is not in the table": (
        of_another_kind, r"model_type='gpt2' has no row in hf_midropout/groups/architectures.py, which lists albert",
    ),
    "half precision": (lambda: tiny_classifier("bert").half(), "float16 weights, .*load the model with dtype=torch"),
    "an adapter": (adapted, r"merge it into the weights first, model = model.merge_and_unload\(\), then prune"),
    "GPTQ": (lambda: quantised("gptq"), "is quantised, .*prune the model that it was made from"),
    "bitsandbytes": (lambda: quantised("bitsandbytes"), "is quantised"),
    "parametrised weights": (parametrised, "layer.1.output.dense is a .* without a plain weight matrix"),
    "NaN": (lambda: broken(float("nan")), "encoder.layer.1.ffn: NaN or infinite activations in 1 of 64 neurons"),
    "too large": (lambda: broken(3e38), "encoder.layer.1.ffn: NaN or infinite activations in 1 of 64 neurons"),
    "no classifier": (lambda: tiny_classifier("bert").bert, "BertModel gives no logits; must be a sequence"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_models_that_cannot_be_pruned(case):
    make, message = REFUSED[case]
    model = make()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        prune(model, rows(120), None, CONFIG, progress=False)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("case", ["an architecture that is not in the table", "GPTQ", "parametrised weights"])
def test_nor_trained_with_a_callback_that_would(case, tmp_path):
    make, message = REFUSED[case]
    arguments = TrainingArguments(str(tmp_path), max_steps=2, use_cpu=True, report_to=[], disable_tqdm=True)
    model = make()
    config = getattr(model, "config", None)
    saved, config.quantization_config = getattr(config, "quantization_config", None), None  # the Trainer's own refusal
    trainer = Trainer(
        model, arguments, train_dataset=rows(120).dataset, data_collator=collate, callbacks=[MIDropoutCallback(CONFIG)]
    )
    config.quantization_config = saved
    with pytest.raises(ValueError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0


def test_rows_of_one_class():
    batches = rows(120)
    for row in batches.dataset:
        row["labels"] = 1
    with pytest.raises(ValueError, match=r"holds 1 class\(es\) \[1\]: needs 2 at least"):
        prune(tiny_classifier("bert"), batches, None, CONFIG, progress=False)


def test_activations_are_named_before_what_follows_from_them():
    """In derivatives, which run backwards, the first layer breaks too."""
    with pytest.raises(ValueError, match="^encoder.layer.1.ffn has NaN or infinite activations: its neurons cannot"):
        measure_encoder(broken(3e38), rows(16))


@pytest.mark.parametrize(("number", "told"), [(99, True), (100, False)])
def test_few_rows_are_told(caplog, number, told):
    with caplog.at_level(logging.WARNING, "hf_midropout"):
        measure_encoder(tiny_classifier("bert"), rows(number))
    assert ("weights refitted, on only 99 rows" in caplog.text) == told
