#!/usr/bin/env bash
# Runs a small part of the tests under another version of Python, in an environment of its own.
#
#     scripts/check_python.sh 3.13 [PYTEST OPTION ...]
#
# Does nothing where the machine has no such Python. Downloads torch with its CUDA libraries where the index has no CPU
# build for it, which takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$1
shift
found=
# pyenv's shims are there for versions that are not switched on, too.
for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
    if "$candidate" --version >/dev/null 2>&1; then found=$candidate; break; fi
done
if [ -z "$found" ]; then
    echo "There is no Python $version here: not checked."
    exit 0
fi

venv=.venv-ci-$version
"$found" -m venv "$venv"
"$venv/bin/pip" install --quiet -c constraints.txt torch
"$venv/bin/pip" install --quiet -c constraints.txt -e . pytest hypothesis scipy
"$venv/bin/python" -W error::SyntaxWarning -m compileall -q -f hf_midropout
"$venv/bin/hf-midropout" --version
export HF_HUB_OFFLINE=1
"$venv/bin/python" -m pytest -q tests/information/estimators/test_information.py tests/groups/test_groups.py \
    tests/pruning/test_selection.py tests/models/test_configuration_midropout_albert.py \
    tests/data/test_builtin_data.py tests/utils "$@"
