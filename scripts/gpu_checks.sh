#!/usr/bin/env bash
# All that has to be seen on a machine with a GPU, in one command and nine minutes: installs the package, runs the parts
# of scripts/gpu_checks.py, and leaves one JSON file.
#
#   scripts/gpu_checks.sh                        # a bare machine with a GPU and the package index
#   scripts/gpu_checks.sh --wheels DIR           # no index: what python3 has, and the wheels in DIR
#   scripts/gpu_checks.sh --parts tests encoder  # some parts; --help of the Python file names them
#   scripts/gpu_checks.sh --quick                # a small version of all of them, on a CPU too
#
# PYTHON is the interpreter (python3); VENV, where an environment is made (.venv-gpu).
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv-gpu}
wheels="" options=()
while [ $# -gt 0 ]; do
    case "$1" in
        --wheels) wheels=$2; shift 2 ;;
        *) options+=("$1"); shift ;;
    esac
done

if [ -n "$wheels" ]; then
    site=$(mktemp -d)
    "$PYTHON" -m pip install --quiet --no-index --no-deps --target "$site" "$wheels"/*.whl
    export PYTHONPATH="$site:$PWD${PYTHONPATH:+:$PYTHONPATH}"
elif ! "$PYTHON" -c "import hf_midropout, torch, pytest, hypothesis" 2>/dev/null; then
    "$PYTHON" -m venv "$VENV"
    "$VENV/bin/pip" install --quiet torch
    "$VENV/bin/pip" install --quiet -e ".[test,export]"
    PYTHON=$VENV/bin/python
fi
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
exec "$PYTHON" scripts/gpu_checks.py "${options[@]}"
