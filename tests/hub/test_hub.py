"""Publishing and pulling, with the unmodified client in processes of its own, against hub_server.py."""

import json
import subprocess

import huggingface_hub
import pytest
from checkpoints import contents
from hub_server import READ_TOKEN, WRITE_TOKEN, HubServer
from processes import run_client

from hf_midropout.model_types import auto_map


@pytest.fixture
def hub(tmp_path):
    with HubServer(tmp_path / "cas") as server:
        yield server


def run(hub, home, *arguments, code=None, timeout="10", **options) -> subprocess.CompletedProcess:
    """The command, or `code`, in a process of its own."""
    environment = {**hub.environment(home, **options), "HF_HUB_DOWNLOAD_TIMEOUT": timeout}
    done = run_client(home.parent, environment, *arguments, code=code)
    for token in (WRITE_TOKEN, READ_TOKEN):
        assert token not in done.stdout + done.stderr
    return done


# By LFS files of the other tests here arrive.
@pytest.mark.parametrize("xet", [pytest.param(False, id="lfs", marks=pytest.mark.slow), pytest.param(True, id="xet")])
def test_push_arrives_whole_and_verifies(hub, checkpoint, tmp_path, xet):
    before = contents(checkpoint)
    done = run(hub, tmp_path / "home", "push", checkpoint, "me/tiny", "--private", "--verify", xet=xet)
    assert done.returncode == 0, done.stderr
    assert f"all {len(before) + 1} files have the SHA-256 of what was sent" in " ".join(done.stdout.split())
    assert "0.0e+00" in done.stdout
    assert contents(checkpoint) == before
    assert hub.repositories["me/tiny"].private
    files = hub.files("me/tiny")
    assert set(files) - {".gitattributes"} == set(before) | {"README.md"}
    assert "configuration_midropout_albert.py" in files and "modeling_midropout_albert.py" in files
    assert json.loads(files["config.json"])["auto_map"] == auto_map("albert")
    assert 'model="me/tiny"' in files["README.md"].decode()
    assert len(hub.repositories["me/tiny"].commits) == 2  # the initial one, and one for all files
    # huggingface_hub 1.5 does not take the loopback server's Xet and falls back to LFS
    xet = xet and int(huggingface_hub.__version__.partition(".")[0]) >= 2
    assert bool(hub.xet) == xet and any(request.startswith("PUT /lfs") for request in hub.requests) != xet
    for path, content in files.items():
        assert WRITE_TOKEN.encode() not in content, path
    assert not [
        path for path in (tmp_path / "home").rglob("*") if path.is_file() and WRITE_TOKEN.encode() in path.read_bytes()
    ]


def test_anyone_loads_it_with_the_package_without_it_and_in_a_pipeline(hub, checkpoint, tmp_path, run_stock):
    """Invariant 5, through a Hub."""
    assert run(hub, tmp_path / "home", "push", checkpoint, "me/tiny").returncode == 0
    code = """
import json, sys
with_package = sys.argv[1] == "with"
if with_package:
    import hf_midropout
from transformers import AutoModelForSequenceClassification, pipeline
options = {} if with_package else {"trust_remote_code": True}
model = AutoModelForSequenceClassification.from_pretrained("me/tiny", **options)
classify = pipeline("text-classification", model="me/tiny", **options)
print(json.dumps([type(model).__module__, model.config.head_widths, classify("opens a socket")[0]["score"]]))
"""
    done = run(hub, tmp_path / "home_with", "with", code=code, token=None)
    assert done.returncode == 0, done.stderr
    without = run_stock(code, "without", **hub.environment(tmp_path / "home_without", token=None))
    answers = {"with": json.loads(done.stdout.splitlines()[-1]), "without": json.loads(without[-1])}
    assert answers["with"][0].startswith("hf_midropout.") and answers["without"][0].startswith("transformers_modules.")
    assert answers["with"][1:] == answers["without"][1:]
    assert answers["with"][1] == [6, 4, 3]


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "no token was found: run `hf auth login`, or set HF_TOKEN."),
        ("hf_" + "Unknown" * 4, "refused the token"),
        (READ_TOKEN, "refused the token"),
    ],
)
def test_a_wrong_or_absent_token_gives_one_clear_line(hub, checkpoint, tmp_path, token, message):
    done = run(hub, tmp_path / "home", "push", checkpoint, "me/tiny", token=token)
    assert done.returncode == 1 and "Pushed" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("hf-midropout push: error: Pushing to me/tiny failed: ") and message in line
    assert token is None or token not in line
    assert "me/tiny" not in hub.repositories


def test_a_private_repository_needs_a_token_to_pull(hub, checkpoint, tmp_path):
    hub.put("me/secret", contents(checkpoint), private=True)
    done = run(hub, tmp_path / "home", "score", "me/secret", token=None)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Pulling me/secret failed" in line and "401" in line and "HF_TOKEN" in line


def test_a_report_that_holds_the_token_is_not_published(hub, checkpoint, tmp_path):
    folder = tmp_path / "copy"
    for name, content in contents(checkpoint).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(
            content.replace(b'"training_options": []', f'"training_options": ["{WRITE_TOKEN}"]'.encode())
        )
    done = run(hub, tmp_path / "home", "push", folder, "me/tiny")
    assert done.returncode == 1 and "midropout_report.json holds the access token" in done.stderr
    assert hub.repositories == {}


def test_a_branch_a_message_and_a_readme_that_is_there(hub, checkpoint, tmp_path):
    readme = "---\nlicense: mit\ntags: [mine]\n---\n\n# My own words\n\nKept.\n"
    hub.put("me/tiny", {"README.md": readme.encode(), "model-00001-of-00002.safetensors": b"old"})
    done = run(hub, tmp_path / "home", "push", tmp_path / "nothing", "me/tiny")
    assert done.returncode == 1 and "must be a folder with a checkpoint" in done.stderr
    options = ["--revision", "small", "--commit_message", "Half the neurons"]
    assert run(hub, tmp_path / "home", "push", checkpoint.parent, "me/tiny", *options).returncode == 0
    repo = hub.repositories["me/tiny"]
    assert hub.files("me/tiny", "main")["README.md"].decode() == readme
    assert repo.messages[repo.branches["small"]] == "Half the neurons"
    files = hub.files("me/tiny", "small")
    card = files["README.md"].decode()
    assert "license: mit" in card and "- mine" in card and "- hf_midropout" in card
    assert card.index("Kept.") < card.index("## Results")
    assert "model-00001-of-00002.safetensors" not in files


FAULTS = r"""
import hashlib, json, sys, time
from pathlib import Path
time.sleep = lambda seconds: None  # the client's waits between its tries
import urllib.request
from hf_midropout.hub.publishing import pull, push
from hf_midropout.utils.hub_errors import HubError

hub, folder, cache, cases = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])

def ask(what, content):
    request = urllib.request.Request(f"{hub}/_test/{what}", json.dumps(content).encode(), method="POST")
    return json.loads(urllib.request.urlopen(request).read())

def attempt(kind, number):
    if kind == "push":
        return push(folder, f"me/push{number}").commit
    return str(pull("me/pull", cache_dir=cache / str(number)))

for number, (kind, request, do, times) in enumerate(cases):
    ask("fault", [request, do, times])
    try:
        outcome = attempt(kind, number)
        failed = None
    except HubError as error:
        failed = str(error)
    there = ask("fault", None).get(f"me/push{number}", [])
    snapshots = [path for path in (cache / str(number)).glob("*/snapshots/*/*") if path.is_file()]
    half = [path.name for path in snapshots if path.read_bytes() != (folder / path.name).read_bytes()]
    second = attempt(kind, number)
    print(json.dumps({"failed": failed, "there": there, "half": half, "second": second}))
"""

PUSH_FAULTS = [
    ("PUT /lfs/", "drop", 100, "connection"),
    ("PUT /lfs/", 500, 100, "has an error of its own (500)"),
    ("preupload", 429, 100, "too many requests (429)"),
    ("preupload", 503, 100, "has an error of its own (503)"),
    ("/commit/", "drop", 1, "connection"),
    ("/commit/", 500, 1, "has an error of its own (500)"),
    ("objects/batch", 429, 100, "too many requests (429)"),
    ("repos/create", 503, 100, "has an error of its own (503)"),
    ("repos/create", "silent", 100, "did not answer within 1 seconds"),
    ("/commit/", "silent", 100, "did not answer within 1 seconds"),
    ("preupload", "drip", 100, "answers too slowly"),
    ("preupload", "later", 100, "try again in 86,400 seconds"),
    ("repos/create", "html", 100, "something that is no JSON"),
    ("GET /api/models/", "html", 100, "something that is no JSON"),
    ("repos/create", "wrong", 100, "answered, but not as the Hub does"),
    ("GET /api/models/", "wrong", 100, "answered, but not as the Hub does"),
    ("repos/create", "escape", 100, "refused the request (400) (no \\x9b31maaa"),
]
PULL_FAULTS = [
    ("GET .*/resolve/.*safetensors", "truncate", 100, "Try again."),
    ("GET .*/resolve/.*safetensors", "swap", 1, "arrived changed"),
    ("GET .*/resolve/.*config.json", "swap", 2, "arrived changed"),
    ("GET .*/resolve/.*safetensors", "drop", 100, "Try again."),
    ("/tree/", 500, 100, "has an error of its own (500)"),
    ("GET .*/resolve/", 429, 100, "too many requests (429)"),
    ("GET /api/models/me/pull$", 503, 100, "has an error of its own (503)"),
    ("GET /api/models/me/pull$", "silent", 100, "did not answer within 1 seconds"),
    ("/tree/", "drip", 100, "answers too slowly"),
    ("/tree/", "html", 100, "something that is no JSON"),
    ("/tree/", "wrong", 100, "answered, but not as the Hub does"),
    ("GET /api/models/me/pull$", "wrong", 100, "answered, but not as the Hub does"),
]


def one_of_each(faults, others=()):
    """The first request that each kind of fault befalls, without the kinds of `others`."""
    kinds = {do: fault for fault in reversed(faults) for do in [fault[1]]}
    return [fault for do, fault in kinds.items() if do not in {other[1] for other in others}]


@pytest.mark.parametrize(
    ("push_faults", "pull_faults"),
    [
        pytest.param(one_of_each(PUSH_FAULTS), one_of_each(PULL_FAULTS, PUSH_FAULTS), id="one of each"),
        pytest.param(PUSH_FAULTS, PULL_FAULTS, id="all", marks=pytest.mark.slow),
    ],
)
def test_faults_are_told_leave_no_half_and_pass(hub, checkpoint, tmp_path, push_faults, pull_faults):
    hub.put("me/pull", contents(checkpoint))
    before = contents(checkpoint)
    cases = [("push", *fault[:3]) for fault in push_faults] + [("pull", *fault[:3]) for fault in pull_faults]
    arguments = [hub.url, checkpoint, tmp_path / "cache", json.dumps(cases)]
    done = run(hub, tmp_path / "home", *arguments, code=FAULTS, timeout="1")
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(cases)
    for (request, do, _, message), outcome in zip(push_faults + pull_faults, outcomes, strict=True):
        assert outcome["failed"] and message in outcome["failed"], (request, do, outcome["failed"])
        assert outcome["failed"].isprintable() and len(outcome["failed"]) < 700, outcome["failed"]
        assert WRITE_TOKEN not in outcome["failed"]
        # nothing of the failed commit is there, so nothing claims to be a checkpoint
        assert set(outcome["there"]) <= {".gitattributes"}, (request, do)
        assert outcome["half"] == [], (request, do)
        assert outcome["second"]
    assert contents(checkpoint) == before
    for number in range(len(push_faults)):
        assert hub.files(f"me/push{number}")["model.safetensors"] == before["model.safetensors"]


def test_a_commit_by_someone_else_meanwhile_is_told(hub, checkpoint, tmp_path):
    code = """
import sys
from hf_midropout.hub import publishing as hub
real = hub._card
def slow(*arguments):  # someone else commits while the card is written
    import huggingface_hub
    huggingface_hub.upload_file(path_or_fileobj=b"hello", path_in_repo="notes.txt", repo_id="me/tiny")
    return real(*arguments)
hub._card = slow
try:
    hub.push(sys.argv[1], "me/tiny")
except hub.HubError as error:
    print(error)
"""
    done = run(hub, tmp_path / "home", checkpoint, code=code)
    assert "the repository changed meanwhile (412)" in done.stdout, done.stderr
    assert "model.safetensors" not in hub.files("me/tiny")


def test_private_is_not_ignored_for_a_repository_that_is_public(hub, checkpoint, tmp_path):
    hub.put("me/tiny", {"README.md": b"# Mine"})
    done = run(hub, tmp_path / "home", "push", checkpoint, "me/tiny", "--private")
    assert done.returncode == 1 and "me/tiny exists and is public" in done.stderr
    assert set(hub.files("me/tiny")) == {"README.md"} and len(hub.repositories["me/tiny"].commits) == 1


SECRETS = """
import json, shutil, sys
from pathlib import Path
from hf_midropout.hub.publishing import push
good, work = Path(sys.argv[1]), Path(sys.argv[2])
own, other = sys.argv[3:]
def attempt(number, spoil, repo_id="me/tiny", **options):
    folder = Path(shutil.copytree(good, work / str(number)))
    spoil(folder)
    try:
        print(json.dumps([push(folder, repo_id, **options).commit, None]))
    except ValueError as error:
        print(json.dumps([None, str(error)]))
def append(name, text):
    return lambda folder: (folder / name).write_text(
        ((folder / name).read_text() if (folder / name).exists() else "") + text
    )
attempt(0, append("README.md", f"My token is {own}."))
attempt(1, append("README.md", f"Their token is {other}."))
attempt(2, lambda folder: (folder / "midropout_report.json").write_text(
    (folder / "midropout_report.json").read_text().replace('"seed": 42', f'"seed": "{other}"')))
attempt(3, append("vocab.txt", "-----BEGIN OPENSSH PRIVATE KEY-----"))
attempt(4, lambda folder: (folder / "vocab.txt").symlink_to(work / "key"))
attempt(5, append("merges.txt", f"{other}"), commit_message="fine")
attempt(6, lambda folder: None, commit_message=f"with {other}")
attempt(7, lambda folder: None, "me/leaky")
"""


def test_what_is_sent_is_searched_for_tokens_last(hub, checkpoint, tmp_path):
    other = "hf_" + "AbCdE12345" * 3 + "fGhI"
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "key").write_text("-----BEGIN PRIVATE KEY-----")
    hub.put("me/leaky", {"README.md": f"# Mine\n\n{other}\n".encode()})
    done = run(hub, tmp_path / "home", checkpoint, tmp_path / "work", WRITE_TOKEN, other, code=SECRETS)
    assert done.returncode == 0, done.stderr
    assert other not in done.stdout and WRITE_TOKEN not in done.stdout
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    reasons = [
        "README.md holds the access token",
        "README.md holds what looks like a Hugging Face token",
        "midropout_report.json holds what looks like a Hugging Face token",
        "vocab.txt holds what looks like a private key",
        "vocab.txt is a link that leads out of the folder",
        "merges.txt holds what looks like a Hugging Face token",
        "commit_message holds what looks like a Hugging Face token",
        "README.md holds what looks like a Hugging Face token",
    ]
    for reason, (commit, error) in zip(reasons, outcomes, strict=True):
        assert commit is None and reason in error
    assert set(hub.files("me/leaky")) == {"README.md"}
    assert not hub.repositories.get("me/tiny") or set(hub.files("me/tiny")) == {".gitattributes"}


VERIFY = """
import json, sys
from pathlib import Path
from hf_midropout.hub.publishing import Published
from hf_midropout.hub.contents import digests, published_contents
from hf_midropout.hub.verification import verify_published
folder = Path(sys.argv[1])
sent = digests(published_contents(folder))
for commit in sys.argv[2:]:
    try:
        print(verify_published(folder, Published("me/tiny", commit, "URL", sorted(sent), sent)))
    except OSError as error:
        print(error)
"""


def test_verify_finds_whatever_a_hub_changed(hub, checkpoint, tmp_path):
    sent = contents(checkpoint)
    config = json.loads(sent["config.json"])
    labels = config["id2label"]
    swapped = json.dumps(config | {"id2label": labels | {"0": labels["1"], "1": labels["0"]}}).encode()
    without = {name: content for name, content in sent.items() if name != "midropout_report.json"}
    figure = next(name for name in sent if name.endswith(".png"))
    commits = [
        hub.put("me/tiny", files)
        for files in (sent, {**sent, "config.json": swapped}, without, {**sent, figure: b"\x89PNG another"})
    ]
    done = run(hub, tmp_path / "home", checkpoint, *commits, code=VERIFY)
    assert done.returncode == 0, done.stderr
    good, labels_swapped, dropped, drawn = done.stdout.splitlines()
    assert good == "0.0"
    assert "config.json is not what was sent" in labels_swapped
    assert "lacks midropout_report.json, which was sent" in dropped
    assert f"{figure} is not what was sent" in drawn
