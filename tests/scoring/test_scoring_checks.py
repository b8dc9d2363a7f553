import copy
from types import SimpleNamespace

import datasets
import pytest
import torch
from conftest import make_rows

from hf_midropout import prune, score_neurons
from hf_midropout.scoring.checks import check_model
from hf_midropout.scoring.inference import inner_model


def score(model, rows, **options):
    return score_neurons(model, rows, progress=False, **options)


def test_what_is_no_model(tiny_model, train_rows, make_trainer):
    with pytest.raises(ValueError, match="model='out/compact': must be a loaded model.*from_pretrained"):
        score("out/compact", train_rows)
    with pytest.raises(ValueError, match="model is a Trainer: give its model"):
        score(make_trainer(), train_rows)
    with pytest.raises(ValueError, match="must be a loaded model"):
        check_model(type(tiny_model))


def test_apple_gpus_are_refused(tiny_model, train_rows, monkeypatch):
    on_apple = SimpleNamespace(device=torch.device("mps"), dtype=torch.float32)
    monkeypatch.setattr(tiny_model, "parameters", lambda: iter([on_apple]))
    for start in (score_neurons, prune):
        with pytest.raises(ValueError, match=r"on an Apple GPU .*use_cpu=True"):
            start(tiny_model, train_rows)


def test_a_model_that_does_not_say_its_classes(train_rows):
    with pytest.raises(ValueError, match="num_classes=None: Sequential has no config that tells"):
        score(torch.nn.Sequential(torch.nn.Linear(1, 1)), train_rows, layers="*")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_models_in_half_precision(tiny_model, train_rows, dtype):
    assert score(tiny_model.to(dtype), train_rows).num_samples == 128


def test_compiled_models(tiny_model, train_rows):
    """Also those that were traced before: what was compiled then calls no hooks."""
    expected = score(tiny_model, train_rows)
    inputs = {name: torch.tensor(train_rows[name][:32]) for name in ("input_ids", "attention_mask")}
    in_place = copy.deepcopy(tiny_model)
    in_place.compile(backend="eager")
    for compiled in (torch.compile(tiny_model, backend="eager"), in_place):
        with torch.no_grad():
            compiled(**inputs)
        assert score(compiled, train_rows) == expected


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's
@pytest.mark.parametrize("task_type", ["SEQ_CLS", None])
def test_peft_models(tiny_model, train_rows, task_type):
    peft = pytest.importorskip("peft")
    expected = score(tiny_model, train_rows)
    config = peft.LoraConfig(task_type=task_type, target_modules=["query", "value"])  # starts as the model itself
    model = peft.get_peft_model(tiny_model, config)
    assert score(model, train_rows) == expected
    assert inner_model(model) is model.get_base_model()


def ragged(count=60):
    return [
        {"input_ids": [5] * (3 + row % 4), "attention_mask": [1] * (3 + row % 4), "labels": row % 3}
        for row in range(count)
    ]


@pytest.mark.parametrize("kind", [list, datasets.Dataset.from_list])
def test_rows_of_different_lengths(tiny_model, kind):
    with pytest.raises(ValueError, match="different lengths .3 to 6.: give processing_class=tokenizer"):
        score(tiny_model, kind(ragged()))


def test_rows_that_do_not_fit_the_model(tiny_model):
    def rows(ids):
        return datasets.Dataset.from_dict({"input_ids": [ids] * 60, "labels": [0, 1, 2] * 20})

    with pytest.raises(ValueError, match="20 tokens, the model has positions for 16: tokenize with.* max_length=16"):
        score(tiny_model, rows([5] * 20))
    with pytest.raises(ValueError, match="hold the token 500, the model has 60"):
        score(tiny_model, rows([5, 500]))
    text = datasets.Dataset.from_dict({"text": ["some words"] * 60, "label": [0, 1, 2] * 20})
    with pytest.raises(ValueError, match="columns label, text but no input_ids: tokenize it first"):
        score(tiny_model, text)
    nothing = [{"text": "some words", "label": row % 3} for row in range(60)]
    with pytest.raises(ValueError, match="nothing that the model takes: tokenize"):
        score(tiny_model, nothing)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (7, "Row 100 has the label 7 in the dataset"),
        (-1, "Row 100 has the label -1"),
        ("a", "'labels' of a row is 'a': classes must be integers"),
        (None, "'labels' of a row is None"),
    ],
)
def test_labels_of_rows_that_are_only_read_in_batches(tiny_model, label, message):
    rows = list(make_rows(128, seed=2))
    rows[100] = {**rows[100], "labels": label}

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return rows[index]

    stream = datasets.IterableDataset.from_generator(lambda: iter(rows))
    for dataset in (Rows(), stream):
        with pytest.raises(ValueError, match=message):
            score(tiny_model, dataset)


def test_errors_of_a_collator_that_cannot_be_explained_are_its_own(tiny_model, train_rows):
    def collate(items):
        raise KeyError("pixel_values")

    with pytest.raises(KeyError, match="pixel_values"):
        score(tiny_model, train_rows, collate_fn=collate)
