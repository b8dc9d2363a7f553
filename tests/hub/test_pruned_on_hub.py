"""What `hf-midropout prune` leaves, through a Hub: it arrives whole, and stock transformers loads it."""

import subprocess
import sys

from checkpoints import client_environment, contents, save_pruned
from hub_server import HubServer


def test_pushed_and_pulled_with_nothing_of_ours(tmp_path):
    folder = save_pruned(tmp_path / "small")
    there = contents(folder)
    environment = {"cwd": tmp_path, "capture_output": True, "text": True}
    with HubServer(tmp_path / "cas") as hub:
        environment["env"] = client_environment(hub, tmp_path / "home")
        push = [sys.executable, "-m", "hf_midropout", "push", str(folder), "me/small"]
        done = subprocess.run(push, **environment)
        assert done.returncode == 0, done.stderr
        files = hub.files("me/small")
        assert set(files) - {".gitattributes"} == set(there)
        assert {"midropout_report.json", "midropout_report.safetensors", "figures/neurons_kept.png"} <= set(files)
        assert all(files[name] == content for name, content in there.items() if name != "README.md")
        card = files["README.md"].decode()
        assert 'model="me/small"' in card and "Test accuracy 80.0% with 50% of the feed-forward neurons" in card
        code = (
            "import sys; sys.modules['hf_midropout'] = None\n"
            "from transformers import pipeline\n"
            "classify = pipeline('text-classification', model='me/small')\n"
            "name, width = type(classify.model).__name__, classify.model.config.intermediate_size\n"
            "print(name, width, classify('a socket')[0]['label'])"
        )
        done = subprocess.run([sys.executable, "-c", code], **environment)
        name, width, label = done.stdout.split()[-3:]
        assert (name, width) == ("BertForSequenceClassification", "32") and label in "abc", done.stderr
