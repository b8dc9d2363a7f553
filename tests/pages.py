"""README.md and the pages of `docs/`: their code, what it says it prints, and the task that it runs on."""

import copy
import re
from functools import cache
from pathlib import Path

import hf_midropout
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.models.builtin import tiny_tokenizer_and_model


ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PRINTS = re.compile(r"^ *print\(.*\n((?:# .*\n)+)", re.M)
FEW_STEPS = "max_steps=4, use_cpu=True, disable_tqdm=True, save_strategy='no', report_to=[]"


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code in `language`."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@cache
def small_task():
    """As `builtin_task`, with few rows: 96 to train on and 48 to compare on."""
    data = load_text_classification(max_train_samples=600, max_eval_samples=48)
    tokenizer, model = tiny_tokenizer_and_model(data)
    rows = data.tokenize(tokenizer, 64)
    rows["train"] = rows["train"].select(range(96))
    return model, tokenizer, rows


def run(page: Path, substitutes: dict[str, str], monkeypatch, capsys) -> dict:
    """
    Runs the blocks of a page as one program, with parts of it changed by `substitutes`; what it says it prints, it
    must. The names it has made.
    """
    model, tokenizer, data = small_task()
    monkeypatch.setattr(hf_midropout, "builtin_task", lambda: (copy.deepcopy(model), tokenizer, data))
    code = "\n".join(blocks(page, "python"))
    said = [line[2:] for comments in PRINTS.findall(code) for line in comments.splitlines()]
    for old, new in substitutes.items():
        assert old in code, old
        code = code.replace(old, new)
    names: dict = {}
    exec(compile(code, page.name, "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    for line in said:
        assert line in printed
    return {**names, "printed": printed}
