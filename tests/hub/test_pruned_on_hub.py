"""What `hf-midropout prune` leaves, through a Hub: it arrives whole, and stock transformers loads it."""

from checkpoints import contents, save_pruned
from hub_server import HubServer
from processes import run_client


def test_pushed_and_pulled_with_nothing_of_ours(tmp_path, run_stock):
    folder = save_pruned(tmp_path / "small")
    there = contents(folder)
    with HubServer(tmp_path / "cas") as hub:
        environment = hub.environment(tmp_path / "home")
        done = run_client(tmp_path, environment, "push", folder, "me/small")
        assert done.returncode == 0, done.stderr
        files = hub.files("me/small")
        assert set(files) - {".gitattributes"} == set(there)
        assert {"midropout_report.json", "midropout_report.safetensors", "figures/neurons_kept.png"} <= set(files)
        assert all(files[name] == content for name, content in there.items() if name != "README.md")
        card = files["README.md"].decode()
        assert 'model="me/small"' in card and "Test accuracy 80.0% with 50% of the feed-forward neurons" in card
        code = (
            "from transformers import pipeline\n"
            "classify = pipeline('text-classification', model='me/small')\n"
            "name, width = type(classify.model).__name__, classify.model.config.intermediate_size\n"
            "print(name, width, classify('a socket')[0]['label'])"
        )
        name, width, label = run_stock(code, **environment)[-1].split()
        assert (name, width) == ("BertForSequenceClassification", "32") and label in "abc"
        predicted = run_client(tmp_path, environment, "predict", "me/small", "--text", "a socket")
        assert predicted.returncode == 0, predicted.stderr
        assert predicted.stdout.startswith(f"{label}\t") and predicted.stdout.endswith("\ta socket\n")
