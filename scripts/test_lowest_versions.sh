#!/usr/bin/env bash
# Runs the tests against the lowest versions that pyproject.toml declares, in an environment of their own.
# The outcome goes into CHANGELOG.md. Downloads torch 2.7 with its CUDA libraries where the index has no CPU build.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3.10}
VENV=${VENV:-.venv-lowest}

"$PYTHON" -m venv "$VENV"
lowest=$(mktemp)
# "torch>=2.7" -> "torch~=2.7.0" for every dependency of the package itself
"$PYTHON" - >"$lowest" <<'PY'
import re

content = open("pyproject.toml", encoding="utf-8").read()
dependencies = re.search(r"^dependencies = \[(.*?)^\]", content, re.S | re.M)[1]
for name, version in re.findall(r'"([\w-]+)>=([\d.]+)"', dependencies):
    print(f"{name}~={version}.0" if version.count(".") == 1 else f"{name}~={version}")
PY
cat "$lowest"
"$VENV/bin/pip" install -r "$lowest"
"$VENV/bin/pip" install -c "$lowest" -e ".[test]"
"$VENV/bin/pip" list | grep -iE "^(torch|transformers|accelerate|datasets|evaluate|huggingface|safetensors|matplotlib|wrapt) "
"$VENV/bin/python" -m pytest "$@"
