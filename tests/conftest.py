from __future__ import annotations

import os


# Before any Hugging Face import: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
if "PYTEST_XDIST_WORKER" in os.environ:  # one core each, and so for the processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import copy
import gc
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import hypothesis
import pytest


# torch, transformers and datasets are imported where they are used: the process that hands out tests to others reads
# this file before it starts them, and needs none of these.
if TYPE_CHECKING:
    import datasets
    from transformers import Trainer

    from hf_midropout import MIDropoutAlbertConfig


# The same examples on every machine: a failure is of the change at hand. `--hypothesis-profile=search` tries others.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

NUM_LABELS = 3
ON_GPU = os.environ.get("MIDROPOUT_TEST_DEVICE") == "cuda"
"""Whether trainings of the tests run on a GPU: `scripts/gpu_checks.sh` says so."""
GPU_TESTS_ON = os.environ.get("MIDROPOUT_GPU_TESTS_ON", "cuda")
WORDS = {"sport": "ball goal team match coach", "money": "bank stock price market trade"}


def tiny_config(**overrides) -> MIDropoutAlbertConfig:
    from hf_midropout import MIDropoutAlbertConfig

    values = {
        "vocab_size": 60,
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 16,
        "head_widths": [12, 8, 6],
        "num_labels": NUM_LABELS,
    }
    return MIDropoutAlbertConfig(**{**values, **overrides})


def drop(model, **neurons):
    """drop(model, layer0=[1, 2]) drops neurons 1 and 2 of the first layer."""
    for layer, indices in neurons.items():
        model.classifier.layers[int(layer[-1])].mask[indices] = False


def run_python(code: str, *arguments: str, cwd) -> list[str]:
    """Runs `code` in a new interpreter; the lines it prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="session", autouse=True)
def garbage_is_rarely_collected():
    """Every training of transformers collects garbage, and each search for it takes as long as some steps of ours."""
    from accelerate.utils import memory

    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)
    memory.gc = SimpleNamespace(collect=lambda: None)


@pytest.fixture(scope="session", autouse=True)
def files_are_not_synchronized():
    """With the disk, on which no test cuts the power: a few milliseconds each, several times a training."""
    os.fsync = lambda descriptor: None


@pytest.fixture(scope="module")
def blank_figures():
    """Instead of those of a run, each a third of a second, where what they show is not looked at."""
    from hf_midropout.reporting import drawing

    def blank(make_figure, path):
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing.plotting, "draw", blank)
        yield


@pytest.fixture(scope="session", autouse=True)
def forks_are_shared(tmp_path_factory):
    """Where processes.py finds the server of the other processes of pytest-xdist, whose folders lie in one."""
    own = tmp_path_factory.getbasetemp()
    os.environ["FORK_SERVER_FOLDER"] = str(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture
def unrendered_figures(monkeypatch):
    """Drawn, but for the pixels and paths, which take most of the time, where no one looks at them."""
    from matplotlib.figure import Figure

    def save(figure, file, **options):
        empty = b"<svg ></svg>"
        file.write_bytes(empty) if isinstance(file, Path) else file.write(empty)

    monkeypatch.setattr(Figure, "savefig", save)


def pytest_collection_modifyitems(items):
    """What is in `gpu/` needs one; MIDROPOUT_GPU_TESTS_ON=cpu shows that the tests themselves run."""
    gpu = [item for item in items if item.path.parent == Path(__file__).parent / "gpu"]
    if not gpu:
        return
    import torch

    for item in gpu:
        item.add_marker(pytest.mark.gpu)
        if GPU_TESTS_ON == "cuda" and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.fixture(scope="session")
def device():
    import torch

    return torch.device(GPU_TESTS_ON)


@pytest.fixture(scope="session", autouse=ON_GPU)
def repeatable_on_a_gpu():
    """By default the same sum on a GPU can differ in its last bits from run to run."""
    import torch

    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(True, warn_only=True)


@pytest.fixture(scope="session")
def tiny_model_once():
    import torch

    from hf_midropout import MIDropoutAlbertForSequenceClassification

    torch.manual_seed(0)
    return MIDropoutAlbertForSequenceClassification(tiny_config()).eval()


@pytest.fixture
def tiny_model(tiny_model_once):
    return copy.deepcopy(tiny_model_once)


@pytest.fixture(scope="session")
def tokens():
    """[8, 10] token ids."""
    import torch

    return torch.randint(5, 60, (8, 10), generator=torch.Generator().manual_seed(1))


def make_rows(count: int, seed: int, noise: float = 0.3) -> datasets.Dataset:
    """Token ids of which the first tells the label, except where it is noise."""
    import datasets
    import torch

    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, NUM_LABELS, (count,), generator=generator)
    ids = torch.randint(20, 60, (count, 8), generator=generator)
    shown = torch.where(
        torch.rand(count, generator=generator) < noise,
        torch.randint(0, NUM_LABELS, (count,), generator=generator),
        labels,
    )
    ids[:, :4] = 5 + shown[:, None] * 4 + torch.randint(0, 4, (count, 4), generator=generator)
    return datasets.Dataset.from_dict(
        {
            "input_ids": ids.tolist(),
            "attention_mask": torch.ones_like(ids).tolist(),
            "labels": labels.tolist(),
        }
    )


def learn(model, rows: datasets.Dataset, steps: int = 25):
    """`model`, after enough steps over all `rows` at once to be better than chance; draws no random numbers."""
    import torch

    batch = {name: torch.tensor(rows[name][:]) for name in ("input_ids", "attention_mask", "labels")}
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    model.eval()
    for _ in range(steps):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.fixture(scope="session")
def learned_model_once(tiny_model_once, train_rows):
    return learn(copy.deepcopy(tiny_model_once), train_rows)


@pytest.fixture
def learned_model(learned_model_once):
    return copy.deepcopy(learned_model_once)


@pytest.fixture(scope="session")
def train_rows():
    return make_rows(128, seed=2)


@pytest.fixture(scope="session")
def valid_rows():
    return make_rows(64, seed=3)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    """Two csv files of short texts about sport and money, 80 to train and 30 to test."""
    import datasets

    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 80), ("test", 30)):
        rows = []
        for index in range(count):
            label = ("sport", "money")[index % 2]
            words = WORDS[label].split()
            rows.append(
                {"text": " ".join(words[(index + k) % 5] for k in range(4)) + f" item {index}", "label": label}
            )
        datasets.Dataset.from_list(rows).to_csv(folder / f"{split}.csv")
    return folder


@pytest.fixture
def make_trainer(tmp_path, tiny_model_once, train_rows, valid_rows):
    """A plain Trainer on the tiny model: 8 optimizer steps, quiet."""
    from transformers import Trainer, TrainingArguments

    def make(callbacks=(), train_dataset=train_rows, eval_dataset=valid_rows, model=None, **arguments) -> Trainer:
        values = {
            "output_dir": str(tmp_path / "out"),
            "max_steps": 8,
            "per_device_train_batch_size": 16,
            "per_device_eval_batch_size": 32,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_strategy": "no",
            "disable_tqdm": True,
            "use_cpu": not ON_GPU,
            "dataloader_pin_memory": False,
            "seed": 7,
        }
        return Trainer(
            model=model if model is not None else copy.deepcopy(tiny_model_once),
            args=TrainingArguments(**{**values, **arguments}),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            callbacks=list(callbacks),
        )

    return make


@pytest.fixture(scope="session")
def run_stock(tmp_path_factory):
    """run_stock(code, *arguments): the lines that `code` prints where transformers is and this package is not."""
    from processes import stock_transformers

    return stock_transformers(tmp_path_factory.mktemp("stock"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A compact checkpoint with a made-up report, not to be written into."""
    from checkpoints import save_checkpoint

    return save_checkpoint(tmp_path_factory.mktemp("out") / "compact")


@pytest.fixture
def folder(checkpoint, tmp_path):
    """A copy of it, to be written into."""
    return Path(shutil.copytree(checkpoint, tmp_path / "compact"))


@pytest.fixture(scope="session")
def study_encoder(tmp_path_factory):
    """A stock encoder, without a classifier, and its tokenizer."""
    import torch
    from transformers import AlbertConfig, AlbertModel

    from hf_midropout.models.builtin import train_tokenizer

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = train_tokenizer(
        ["ball goal team match coach bank stock price market trade item 0123456789"] * 9, vocab_size=60
    )
    config = tiny_config(vocab_size=len(tokenizer)).to_dict()
    torch.manual_seed(0)
    fields = ("embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    AlbertModel(AlbertConfig(vocab_size=len(tokenizer), **{name: config[name] for name in fields})).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def study_features():
    """What a frozen encoder might give for rows of three classes."""
    import torch

    from hf_midropout.pruning.head.inputs import HeadInputs
    from hf_midropout.study.features import Features

    def made_up(rows: int, seed: int) -> HeadInputs:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 3, (rows,), generator=generator)
        noise = torch.randn(rows, 10, generator=generator)
        return HeadInputs(noise + 1.5 * torch.nn.functional.one_hot(labels, 10), labels)

    return Features(made_up(120, 0), made_up(60, 1), made_up(80, 2))
