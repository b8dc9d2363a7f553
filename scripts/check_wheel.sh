#!/usr/bin/env bash
# Installs a wheel into an empty environment, outside of the repository, and runs the demo with it on few rows.
#
#     scripts/check_wheel.sh build/dist/hf_midropout-0.1.0-py3-none-any.whl
set -euo pipefail

PYTHON=${PYTHON:-python3.11}
repository=$(cd "$(dirname "$0")/.." && pwd)
wheel=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$PYTHON" -m venv "$folder/venv"
# torch first and pinned, as in the Makefile: a CPU build serves here.
"$folder/venv/bin/pip" install --quiet -c "$repository/constraints.txt" torch
"$folder/venv/bin/pip" install --quiet -c "$repository/constraints.txt" "$wheel"
"$folder/venv/bin/pip" check

cd "$folder"
unset PYTHONPATH
export HF_HUB_OFFLINE=1
"$folder/venv/bin/hf-midropout" --version
"$folder/venv/bin/hf-midropout" train --num_train_epochs 1 --max_train_samples 400 --max_eval_samples 200 --output_dir out
"$folder/venv/bin/hf-midropout" report out
"$folder/venv/bin/python" - <<'PY'
import hf_midropout
from transformers import pipeline

assert "site-packages" in hf_midropout.__file__, hf_midropout.__file__
print(pipeline("text-classification", model="out/compact")("opens a socket and listens for connections"))
PY
test -s out/compact/midropout_report.html
echo "The wheel runs: $(basename "$wheel")"
