"""Imports go one way: a folder imports from those before it in the list, never from those behind."""

import ast
from pathlib import Path

import pytest


PACKAGE = Path(__file__).parents[1] / "hf_midropout"
# From the ground up. `choices`, `model_types` and `version` are constants that need no import.
ORDER = [
    "version", "choices", "model_types", "utils", "information", "groups", "data", "metrics", "checkpoints",
    "regularizers", "models", "scoring", "pruning", "export", "reporting", "hub", "training", "study", "commands",
    "cli", "__main__",
]  # fmt: skip
# Of the folders in a folder; the modules that lie in it directly are the ground of all of them, or those of ABOVE.
ROOMS = {
    "information": ["counting", "streaming", "estimation", "estimators"],
    "pruning": ["record", "comparison", "head", "encoder", "layers", "speed", "vocabulary", "steps"],
    "commands": ["options", "output", "checkpoint", "train", "prune", "score", "evaluate", "predict", "reproduce"],
}
ABOVE = {"commands"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path, types_too: bool = True) -> set[tuple[str, ...]]:
    """The modules of the package that the one at `path` imports, wherever in its text, as names below the package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not types_too:  # what only a type checker reads
        tree.body = [each for each in tree.body if not (isinstance(each, ast.If) and "TYPE" in ast.unparse(each.test))]
    package = ("hf_midropout", *path.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ()))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hf_midropout":
            base = tuple((node.module or "").split("."))
        else:
            continue
        # What is imported from a folder may be a module, or another folder.
        of_folder = PACKAGE.joinpath(*base[1:]).is_dir()
        found |= {(*base, alias.name)[1:] for alias in node.names} if of_folder else {base[1:]}
    return found


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def test_imports_go_one_way():
    wrong = {
        str(path.relative_to(PACKAGE)): [".".join(name) for name in found]
        for path in MODULES
        if room(path) != "__init__"  # the package's front door opens on every room
        and (found := [n for n in imported(path) if n and ORDER.index(n[0]) > ORDER.index(room(path))])
    }
    assert not wrong


@pytest.mark.parametrize("folder", ROOMS)
def test_folders_of_a_folder_go_one_way(folder):
    order, place = ROOMS[folder], PACKAGE / folder
    assert {path.parent.name for path in place.glob("*/*.py")} == set(order)

    def floor(names: tuple[str, ...]) -> int:
        outside = len(order) if folder in ABOVE else -1
        return order.index(names[0]) if names[0] in order else outside

    wrong = {}
    for path in place.rglob("*.py"):
        own = floor(path.relative_to(place).parts)
        above = [name for name in imported(path) if name[0] == folder and floor(name[1:]) > own]
        if above and path != place / "__init__.py":  # a front door
            wrong[str(path.relative_to(place))] = above
    assert not wrong


def test_no_circle_of_modules():
    names = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in MODULES if path.stem != "__init__"}
    graph = {
        name: {other for other in imported(path, types_too=False) if other in names} for name, path in names.items()
    }
    done: set[tuple[str, ...]] = set()

    def visit(name, above):
        assert name not in above, " -> ".join(".".join(each) for each in (*above, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_few_modules_lie_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_no_command_imports_another():
    place = PACKAGE / "commands"
    shared = ["options", "output", "checkpoint"]
    wrong = {}
    for path in place.rglob("*.py"):
        own = path.relative_to(place).parts[0].removesuffix(".py")
        others = [name for name in imported(path) if name[0] == "commands" and name[1] not in (own, *shared)]
        if others:
            wrong[str(path.relative_to(place))] = others
    assert not wrong
