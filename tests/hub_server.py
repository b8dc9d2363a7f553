"""
A Hub on the loopback, in memory: the protocol of the unmodified huggingface_hub client, with faults on demand.

Repositories with branches and commits, regular and LFS files, Xet uploads into a local folder, private repositories,
tokens. Run it in the test's process with [`HubServer`], and the client in another one with `server.environment(...)`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


WRITE_TOKEN = "hf_" + "Writer" * 5
READ_TOKEN = "hf_" + "Reader" * 5
LFS_SUFFIXES = (".safetensors", ".bin", ".png")


@dataclass
class Fault:
    """
    What to do to the next `times` requests whose `METHOD path` matches: a status, "drop", "truncate" or "swap";
    "silent" (accepts, never answers), "drip" (a byte now and then, without end), "html" or "wrong" (a page, or JSON
    that is not the Hub's, with status 200), "later" (429, to be tried again in a day), "escape" (a message that would
    take over a terminal), "public" (says that a repository is not private).
    """

    request: str
    do: str | int
    times: int = 1


@dataclass
class Repository:
    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)  # path → (hash of content, LFS)
    messages: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, tuple[str, bool]], message: str) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {message} {sorted(files.items())}".encode()).hexdigest()
        self.commits[sha], self.messages[sha], self.branches[branch] = files, message, sha
        return sha


class HubServer(ThreadingHTTPServer):
    """`with HubServer(folder) as hub:` serves until the end; `folder` takes what is uploaded by Xet."""

    daemon_threads = True

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.folder = folder
        self.repositories: dict[str, Repository] = {}
        self.contents: dict[str, bytes] = {}
        self.xet: dict[str, tuple[str, int]] = {}  # SHA-256 → (hash of Xet, size): the bytes are in `folder` alone
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.lock = threading.RLock()
        self.ended = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A dropped connection is what was asked for: no traceback."""

    def environment(self, home: Path, token: str | None = WRITE_TOKEN, xet: bool = False) -> dict[str, str]:
        """Variables of a client process; `home` is its cache."""
        values = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "NO_PROXY": "127.0.0.1",
        }
        return values | ({"HF_TOKEN": token} if token else {})

    def store(self, content: bytes, lfs: bool) -> str:
        digest = hashlib.sha256(content) if lfs else hashlib.sha1(f"blob {len(content)}\0".encode() + content)
        self.contents[digest.hexdigest()] = content
        return digest.hexdigest()

    def from_xet(self, oid: str, size: int) -> bool:
        """Whether the file of this SHA-256 has come by Xet: looks it up in the shards that the client left."""
        for shard in self.folder.glob("xet/xorbs/shards/*.mdb"):
            for sha256, xet_hash in files_of_shard(shard.read_bytes()):
                if sha256 == oid:
                    self.xet[oid] = (xet_hash, size)
                    return True
        return False

    def put(self, repo_id: str, files: dict[str, bytes], private: bool = False, branch: str = "main") -> str:
        """Puts a commit there without a client; the hash of the commit."""
        with self.lock:
            repo = self.repositories.setdefault(repo_id, Repository(private))
            entries = {
                path: (self.store(content, path.endswith(LFS_SUFFIXES)), path.endswith(LFS_SUFFIXES))
                for path, content in files.items()
            }
            return repo.commit(branch, entries, "put")

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """What a revision holds."""
        repo = self.repositories[repo_id]
        return {
            path: self.contents.get(oid, b"")
            for path, (oid, _) in repo.commits[repo.branches.get(revision, revision)].items()
        }


def files_of_shard(shard: bytes) -> list[tuple[str, str]]:
    """(SHA-256, hash of Xet) of each file: records of 48 bytes, hashes as little-endian words of 64 bits."""

    def hexadecimal(start: int) -> str:
        return "".join(f"{word:016x}" for word in struct.unpack("<4Q", shard[start : start + 32]))

    files, place = [], 48
    while shard[place : place + 32] != b"\xff" * 32:
        xet_hash = hexadecimal(place)
        flags, entries = struct.unpack("<II", shard[place + 32 : place + 40])
        place += 48 * (1 + entries * (2 if flags & 0x80000000 else 1))  # with or without hashes to verify ranges
        if flags & 0x40000000:
            files.append((hexadecimal(place), xet_hash))
            place += 48
    return files


class Reply(Exception):
    """Ends a request: status, JSON or bytes, headers."""

    def __init__(self, status: int, content: Any = None, **headers: str):
        self.status, self.content = status, content
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


STRANGE: dict[str, tuple[int, Any, dict[str, str]]] = {
    "html": (200, b"<html><body>Welcome to the hotel's network</body></html>", {"Content_Type": "text/html"}),
    "wrong": (200, {"sha": 5, "siblings": [{"rfilename": None}], "url": ["x"], "commitOid": {}, "files": 1}, {}),
    "later": (429, {"error": "later"}, {"Retry_After": "86400"}),
    "escape": (400, {"error": "no"}, {"X_Error_Message": "no \x9b31m" + "a" * 5000}),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_):
        pass

    def answer(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        with self.server.lock:
            self.server.requests.append(f"{self.command} {path}")
            fault = next(
                (
                    each
                    for each in self.server.faults
                    if each.times and re.search(each.request, f"{self.command} {path}")
                ),
                None,
            )
            if fault:
                fault.times -= 1
        self.fault = fault
        length = int(self.headers.get("Content-Length") or 0)
        if fault and fault.do == "drop":
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(length)
        if fault and fault.do in ("silent", "drip"):
            self.hold(fault.do)
            return
        try:
            if fault and fault.do in STRANGE:
                status, content, headers = STRANGE[fault.do]
                raise Reply(status, content, **headers)
            if fault and isinstance(fault.do, int):
                raise Reply(fault.do, {"error": "fault"}, Retry_After="0")
            for method, pattern, function in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method == ("GET" if self.command == "HEAD" else self.command):
                    with self.server.lock:
                        function(self, body, parse_qs(url.query), *match.groups())
            raise Reply(404, {"error": "no such route"})
        except Reply as reply:
            self.send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def hold(self, do: str) -> None:
        """Keeps the client waiting until the server ends, or the client leaves."""
        self.close_connection = True
        if do == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
        while not self.server.ended.wait(0.2):
            if do == "drip":
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return

    def send(self, reply: Reply) -> None:
        content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            if self.fault and self.fault.do == "truncate":
                self.close_connection = True
                content = content[: len(content) // 2]
            self.wfile.write(content)

    # who may do what

    def token(self) -> str | None:
        value = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if value not in (None, WRITE_TOKEN, READ_TOKEN):
            raise Reply(
                401, {"error": "Invalid username or password."}, X_Error_Message="Invalid username or password."
            )
        return value

    def writer(self) -> None:
        token = self.token()
        if token is None:
            raise Reply(401, {"error": "Unauthorized"}, X_Error_Message="Unauthorized")
        if token != WRITE_TOKEN:
            raise Reply(403, {"error": "Forbidden"}, X_Error_Message="You need write access to do this.")

    def repository(self, repo_id: str) -> Repository:
        token = self.token()
        repo = self.server.repositories.get(repo_id)
        if repo is None or (repo.private and token is None):
            raise Reply(
                404 if token else 401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound",
                X_Error_Message="Repository not found",
            )  # fmt: skip
        return repo

    def commit_of(self, repo_id: str, revision: str) -> tuple[str, dict[str, tuple[str, bool]]]:
        repo = self.repository(repo_id)
        sha = repo.branches.get(revision, revision)
        if sha not in repo.commits:
            raise Reply(404, {"error": "Revision not found"}, X_Error_Code="RevisionNotFound")
        return sha, repo.commits[sha]

    def control(self, body, query):
        """For tests in other processes: the next fault (or none), answered with what is in each repository."""
        values = json.loads(body)
        self.server.faults = [Fault(*values)] if values else []
        raise Reply(200, {name: list(self.server.files(name)) for name in self.server.repositories})

    # the API

    def whoami(self, body, query):
        if self.token() is None:
            raise Reply(401, {"error": "Unauthorized"})
        raise Reply(200, {"name": "me", "type": "user", "auth": {"accessToken": {"role": "write"}}})

    def create_repo(self, body, query):
        self.writer()
        values = json.loads(body)
        repo_id = f"{values.get('organization') or 'me'}/{values['name']}"
        exists = repo_id in self.server.repositories
        if not exists:
            private = values.get("visibility") == "private" or bool(values.get("private"))
            repo = self.server.repositories[repo_id] = Repository(private)
            first = self.server.store(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n", False)
            repo.commit("main", {".gitattributes": (first, False)}, "initial commit")
        raise Reply(409 if exists else 200, {"url": f"{self.server.url}/{repo_id}", "name": repo_id})

    def validate_yaml(self, body, query):
        raise Reply(200, {"errors": [], "warnings": []})

    def branch(self, body, query, repo_id, branch):
        self.writer()
        repo = self.repository(repo_id)
        if branch in repo.branches:
            raise Reply(409, {"error": "Reference already exists"})
        repo.branches[branch] = repo.branches["main"]
        raise Reply(200, {})

    def preupload(self, body, query, repo_id, revision):
        self.writer()
        self.commit_of(repo_id, revision)
        values = json.loads(body)
        ignored = values.get("gitIgnore", "").split()
        raise Reply(
            200,
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                        "shouldIgnore": file["path"] in ignored,
                    }
                    for file in values["files"]
                ]
            },
        )

    def lfs_batch(self, body, query, repo_id):
        self.writer()
        known = {oid for files in self.repository(repo_id).commits.values() for oid, _ in files.values()}
        objects = []
        for item in json.loads(body)["objects"]:
            actions = {
                "upload": {"href": f"{self.server.url}/lfs/{item['oid']}", "header": {}},
                "verify": {"href": f"{self.server.url}/lfs/verify", "header": {}},
            }
            objects.append({**item, "authenticated": True} | ({} if item["oid"] in known else {"actions": actions}))
        raise Reply(200, {"transfer": "basic", "objects": objects})

    def lfs_put(self, body, query, oid):
        if hashlib.sha256(body).hexdigest() != oid:
            raise Reply(400, {"error": "another hash"})
        self.server.contents[oid] = body
        raise Reply(200, {})

    def lfs_verify(self, body, query):
        item = json.loads(body)
        there = len(self.server.contents.get(item["oid"], b"")) == item["size"]
        raise Reply(200 if there else 404, {})

    def commit(self, body, query, repo_id, revision):
        self.writer()
        sha, files = self.commit_of(repo_id, revision)
        files, message = dict(files), ""
        for line in body.splitlines():
            key, value = (entry := json.loads(line))["key"], entry["value"]
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, sha):
                    raise Reply(
                        412, {"error": "A commit has happened since."}, X_Error_Message="A commit has happened since."
                    )
            elif key == "file":
                files[value["path"]] = (self.server.store(base64.b64decode(value["content"]), False), False)
            elif key == "lfsFile":
                if value["oid"] not in self.server.contents and not self.server.from_xet(value["oid"], value["size"]):
                    raise Reply(
                        400, {"error": "LFS object missing"}, X_Error_Message=f"{value['path']} was not uploaded"
                    )
                files[value["path"]] = (value["oid"], True)
            elif key == "deletedFile":
                files.pop(value["path"], None)
        oid = self.repository(repo_id).commit(revision, files, message)
        raise Reply(200, {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/{repo_id}/commit/{oid}"})

    def info(self, body, query, repo_id, revision="main"):
        sha, files = self.commit_of(repo_id, revision)
        repo = self.server.repositories[repo_id]
        siblings = [{"rfilename": path} for path in files]
        raise Reply(
            200,
            {"_id": repo_id, "id": repo_id, "modelId": repo_id, "private": repo.private, "sha": sha, "tags": [],
             "downloads": 0, "likes": 0, "siblings": siblings},
        )  # fmt: skip

    def tree(self, body, query, repo_id, revision):
        _, files = self.commit_of(repo_id, revision)
        entries = []
        for path, (oid, lfs) in files.items():
            size = self.server.xet[oid][1] if oid in self.server.xet else len(self.server.contents[oid])
            entry = {"type": "file", "path": path, "size": size, "oid": oid if not lfs else oid[:40]}
            entry |= {"lfs": {"oid": oid, "size": size, "pointerSize": 130}} if lfs else {}
            entries.append(entry | ({"xetHash": self.server.xet[oid][0]} if oid in self.server.xet else {}))
        raise Reply(200, entries)

    def resolve(self, body, query, repo_id, revision, path):
        sha, files = self.commit_of(repo_id, revision)
        if path not in files:
            raise Reply(404, {"error": "Entry not found"}, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)
        content = self.server.contents[files[path][0]]
        if self.fault and self.fault.do == "swap":  # another commit's file, of the same size
            sha, content = "0" * 40, bytes(byte ^ 1 for byte in content)
        etag = f'"{files[path][0]}"'
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        raise Reply(
            206 if start else 200, content[int(start[1]) :] if start else content,
            X_Repo_Commit=sha, ETag=etag, X_Linked_Etag=etag, X_Linked_Size=str(len(content)), Accept_Ranges="bytes",
        )  # fmt: skip

    def xet_token(self, body, query, repo_id, access, revision):
        if access == "write":
            self.writer()
        self.commit_of(repo_id, revision)
        url = f"local://{self.server.folder}"
        raise Reply(
            200, {"casUrl": url, "exp": 2**40, "accessToken": "xet"},
            X_Xet_Cas_Url=url, X_Xet_Access_Token="xet", X_Xet_Token_Expiration=str(2**40),
        )  # fmt: skip


ID = r"([\w.-]+/[\w.-]+)"
ROUTES = [
    ("POST", "/_test/fault", Handler.control),
    ("GET", "/api/whoami-v2", Handler.whoami),
    ("POST", "/api/repos/create", Handler.create_repo),
    ("POST", "/api/validate-yaml", Handler.validate_yaml),
    ("POST", f"/api/models/{ID}/branch/(.+)", Handler.branch),
    ("POST", f"/api/models/{ID}/preupload/(.+)", Handler.preupload),
    ("POST", f"/{ID}.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", "/lfs/([0-9a-f]{64})", Handler.lfs_put),
    ("POST", "/lfs/verify", Handler.lfs_verify),
    ("POST", f"/api/models/{ID}/commit/(.+)", Handler.commit),
    ("GET", f"/api/models/{ID}", Handler.info),
    ("GET", f"/api/models/{ID}/revision/(.+)", Handler.info),
    ("GET", f"/api/models/{ID}/tree/([^/]+)", Handler.tree),
    ("GET", f"/api/models/{ID}/xet-(write|read)-token/(.+)", Handler.xet_token),
    ("GET", f"/{ID}/resolve/([^/]+)/(.+)", Handler.resolve),
]
