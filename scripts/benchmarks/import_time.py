"""
What `import hf_midropout` adds to `import transformers`, and the model class to the class that it extends.

Each statement runs in interpreters of its own, in turn; medians of the seconds that it took there.

    python scripts/benchmarks/import_time.py --help
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


STATEMENTS = {
    "hf_midropout": "import hf_midropout",
    "wrapt": "import wrapt",
    "transformers": "import transformers",
    "transformers and hf_midropout": "import transformers, hf_midropout",
    # What registering the classes at once, without post-import hooks, would have to import.
    "transformers and hf_midropout, registered at once": "import transformers, hf_midropout; "
    "from transformers import AutoConfig, AutoModel; from hf_midropout import MIDropoutAlbertModel",
    "AlbertForSequenceClassification": "from transformers import AlbertForSequenceClassification",
    "MIDropoutAlbertForSequenceClassification": "from hf_midropout import MIDropoutAlbertForSequenceClassification",
}
CODE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def seconds(statement: str) -> float:
    return float(subprocess.check_output([sys.executable, "-c", CODE.format(statement)], text=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=11, help="Runs of each statement.")
    parser.add_argument(
        "--result", type=Path, default=Path(__file__).parent / "results" / "import_time.json", help="File to write."
    )
    options = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(options.repetitions):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    medians = {name: median(values) for name, values in times.items()}
    result = {
        "what": "seconds to import, median of interleaved runs in fresh interpreters",
        "seconds": medians,
        "package_adds": medians["transformers and hf_midropout"] - medians["transformers"],
        "registering_at_once_adds": medians["transformers and hf_midropout, registered at once"]
        - medians["transformers and hf_midropout"],
        "model_class_adds": medians["MIDropoutAlbertForSequenceClassification"]
        - medians["AlbertForSequenceClassification"],
        "repetitions": options.repetitions,
        "environment": environment(),
    }
    write_json(options.result, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
