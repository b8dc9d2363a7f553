"""Real text that every machine has: the documentation strings of Python's own standard library, by subject area."""

from __future__ import annotations

import ast
import functools
import gc
import hashlib
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import datasets


# Subject areas, close to the chapters of the Library Reference. A name stands for a module or for a whole package.
# Names that a Python version lacks are skipped, so modules of all supported versions stand here side by side.
AREAS = {
    "concurrency": "asyncio concurrent contextvars multiprocessing queue sched selectors signal subprocess threading "
    "_threading_local",
    "data types": "_collections_abc _pydatetime _pydecimal _strptime array bisect calendar collections colorsys copy "
    "csv dataclasses datetime decimal difflib enum fractions gettext graphlib heapq html json locale numbers operator "
    "plistlib pprint random re reprlib secrets statistics string struct textwrap tomllib types uuid weakref xml "
    "zoneinfo",
    "development tools": "__future__ abc annotationlib ast bdb cProfile code codeop compileall dis doctest importlib "
    "inspect modulefinder pdb pickletools pkgutil profile profiling pstats py_compile pyclbr pydoc rlcompleter runpy "
    "symtable tabnanny timeit tokenize trace traceback tracemalloc typing unittest venv warnings zipapp zipimport",
    "files and system": "_compression _pyio argparse bz2 compression configparser ctypes curses dbm filecmp fileinput "
    "fnmatch genericpath getopt getpass glob gzip io linecache logging lzma ntpath optparse os pathlib pickle pipes "
    "platform posixpath pty shelve shlex shutil site sqlite3 stat sysconfig tarfile tempfile zipfile",
    "networking": "asynchat asyncore cgi cgitb email ftplib http imaplib ipaddress mailbox mailcap mimetypes netrc "
    "nntplib poplib smtpd smtplib socket socketserver ssl telnetlib urllib webbrowser wsgiref xmlrpc",
}
SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}
MIN_CHARACTERS, MAX_CHARACTERS = 40, 600
# A complete installation gives about 6,000 paragraphs; far fewer means that the sources were left out of it.
MIN_ROWS = 1000

_SKIPPED_FOLDERS = {"__pycache__", "idlelib", "site-packages", "dist-packages", "test", "tests"}
_SIGNATURE = re.compile(r"[\w.]+\([^()]*\)( *(->|=).*)?")
_SYMBOL = re.compile(r"[^A-Za-z ,.']")
_WORD = re.compile(r"[A-Za-z][a-z'-]+")


def _source_files(stdlib: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yields the dotted name and the path of every source file of a module or package."""
    if (stdlib / f"{name}.py").is_file():
        yield name, stdlib / f"{name}.py"
    for path in sorted((stdlib / name).rglob("*.py")):
        parts = path.relative_to(stdlib).with_suffix("").parts
        if not _SKIPPED_FOLDERS.intersection(parts):
            yield ".".join(parts), path


def _docstrings(body: list[ast.stmt], definition: str = "") -> Iterator[tuple[str, str]]:
    """Yields the docstrings below `body`, each with the name of the top-level definition that it belongs to."""
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            owner = definition or node.name
            yield owner, ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef):
                yield from _docstrings(node.body, owner)
        elif isinstance(node, (ast.If, ast.Try)):
            # Platform checks and fallbacks for C modules hide definitions one level deeper.
            yield from _docstrings(node.body + node.orelse, definition)
            for handler in getattr(node, "handlers", []):
                yield from _docstrings(handler.body, definition)


def _paragraphs(docstring: str) -> Iterator[str]:
    """Yields the prose paragraphs of a docstring: no interpreter sessions, code, tables or bare signatures."""
    for paragraph in re.split(r"\n\s*\n", docstring):
        lines = [line.strip() for line in paragraph.splitlines()]
        if any(line.startswith((">>>", "$ ")) for line in lines):
            continue
        text = " ".join(" ".join(line for line in lines if not _SIGNATURE.fullmatch(line)).split())
        if len(text) > MAX_CHARACTERS:
            text = text[: MAX_CHARACTERS + 1].rpartition(" ")[0]
        is_prose = len(_WORD.findall(text)) >= 5 and len(_SYMBOL.findall(text)) <= 0.15 * len(text)
        if len(text) >= MIN_CHARACTERS and is_prose:
            yield text


def _hide_module_name(text: str, module: str) -> str:
    """Replaces the module's own name, which would give the label away, by the word "module"."""
    names = {part.lstrip("_") for part in module.split(".")} - {"", "init", "main"}
    # `_pyio` and its like are the Python versions of C modules and call themselves by the public name.
    names |= {name.removeprefix("py") for name in names if f"_{name}" == module}
    return re.sub(rf"\b({'|'.join(sorted(map(re.escape, names)))})\b", "module", text, flags=re.IGNORECASE)


def _uniform(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts only: unlike `hash()`, it is the same in every process."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _parse(path: Path) -> ast.Module:
    """Parses a source file with the garbage collector off, which would take most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old escape sequences in the sources are not the user's concern
            return ast.parse(path.read_bytes())
    finally:
        if enabled:
            gc.enable()


@functools.cache
def _collect_rows(stdlib: Path) -> list[tuple[str, str, str]]:
    """Collects `(text, area, module:definition)` for every distinct paragraph that occurs in one area only."""
    rows: dict[str, tuple[str, str, str]] = {}
    areas: dict[str, set[str]] = {}
    for area, names in AREAS.items():
        for module, path in (item for name in names.split() for item in _source_files(stdlib, name)):
            tree = _parse(path)
            for definition, docstring in [("", ast.get_docstring(tree) or ""), *_docstrings(tree.body)]:
                for text in _paragraphs(_hide_module_name(docstring, module)):
                    areas.setdefault(text.lower(), set()).add(area)
                    rows.setdefault(text.lower(), (text, area, f"{module}:{definition}"))
    return [row for key, row in rows.items() if len(areas[key]) == 1]


def load_python_docs(seed: int = 42) -> datasets.DatasetDict:
    """
    Loads the built-in text classification set: paragraphs of the standard library's docstrings, labelled by subject.

    The sources are parsed, never imported. All paragraphs of a top-level class or function are in the same split, no
    text occurs twice, and a module's own name is replaced by the word "module". The rows differ a little from one
    Python version to the next; on one version they and their order depend on the seed alone.

    Args:
        seed (`int`, *optional*, defaults to 42):
            Decides which definitions go to which split, and the order of the rows.

    Returns:
        `datasets.DatasetDict`: The splits `train`, `validation` and `test` (about 80%, 10% and 10% of the rows) with
        the columns `text` (`string`) and `label` (`ClassLabel` over the areas).

    Raises:
        `RuntimeError`: If the standard library's sources are not installed, as in an embedded Python.
    """
    stdlib = Path(sysconfig.get_path("stdlib"))
    rows = _collect_rows(stdlib)
    if len(rows) < MIN_ROWS or len({area for _, area, _ in rows}) < len(AREAS):
        raise RuntimeError(
            f"The built-in dataset is made from the sources of Python's standard library, but {str(stdlib)!r} gave "
            f"{len(rows):,} paragraphs (at least {MIN_ROWS:,} are expected). Use a complete Python installation, or "
            "name another dataset: a Hub id or a local folder."
        )

    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(AREAS))},
    )
    rows = sorted(rows, key=lambda row: _uniform(seed, "order", row[0]))
    splits, start = {}, 0.0
    for name, fraction in SPLITS.items():
        chosen = [row for row in rows if start <= _uniform(seed, "split", row[2]) < start + fraction]
        columns = {"text": [text for text, _, _ in chosen], "label": [area for _, area, _ in chosen]}
        splits[name] = datasets.Dataset.from_dict(columns, features=features, split=datasets.NamedSplit(name))
        start += fraction
    return datasets.DatasetDict(splits)
