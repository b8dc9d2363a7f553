"""
Requests of `huggingface_hub` that end: its client waits without limit for most answers, and as long as a server says
before it tries again.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..utils.hub_errors import HubError
from ..utils.terminal import one_line


ANSWER_SECONDS = 60.0
"""For the Hub to begin an answer, and between two parts of one; `HF_HUB_DOWNLOAD_TIMEOUT` sets another limit."""

SLOWEST = 1_000
"""Bytes per second that an answer must bring, over its whole length and after the first `ANSWER_SECONDS`."""

LONGEST_WAIT = 60
"""Seconds that a server may ask to wait before the next try; who is told more is told so and tries later."""


@contextmanager
def bounded_requests() -> Iterator[None]:
    """
    Context manager: within it every request of `huggingface_hub` gets an answer in time, or raises a [`HubError`].
    The client's limits of its own, and a client that the user has set, stay.
    """
    from huggingface_hub import get_session
    from huggingface_hub.utils import _http

    # A client may be replaced after a lost connection: the one that is there and the ones to come are both patched.
    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None)
    clients: list[Any] = []

    def patched(client):
        clients.append(client)
        client.send = bounded(client)
        return client

    patched(get_session())
    if factory:
        _http._GLOBAL_CLIENT_FACTORY = lambda: patched(factory())
    try:
        yield
    finally:
        if factory:
            _http._GLOBAL_CLIENT_FACTORY = factory
        for client in clients:
            vars(client).pop("send", None)


def answer_seconds() -> float:
    """The limit in force."""
    text = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    return float(text) if re.fullmatch(r"\d{1,4}", text) and int(text) else ANSWER_SECONDS


def bounded(client):
    """`client.send` with limits; the timeouts that a request brings are lowered at most."""
    send = client.send
    library = sys.modules[type(client).__mro__[-2].__module__.partition(".")[0]]  # httpx, or the one that replaced it

    class Deadline(library.SyncByteStream):  # type: ignore[name-defined]
        """The body of an answer, given up when it comes too slowly to end."""

        def __init__(self, stream, host: str, seconds: float):
            self.stream, self.host, self.seconds = stream, host, seconds

        def __iter__(self):
            started, received = time.monotonic(), 0
            for chunk in self.stream:
                received += len(chunk)
                if time.monotonic() - started > self.seconds + received / SLOWEST:
                    raise HubError(f"{self.host} answers too slowly ({received:,} bytes so far). Try again later.")
                yield chunk

        def close(self):
            self.stream.close()

    def bounded_send(request, *, stream: bool = False, **options):
        seconds, host = answer_seconds(), f"{request.url.scheme}://{request.url.netloc.decode()}"
        asked = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {
            kind: min(asked.get(kind) or seconds, seconds) for kind in ("connect", "read", "write", "pool")
        }
        try:
            response = send(request, stream=True, **options)
            tidy_headers(response, host)
            response.stream = Deadline(response.stream, host, seconds)
            if not stream:
                response.read()
        except library.TimeoutException as error:
            raise HubError(
                f"{host} did not answer within {seconds:g} seconds. Try again later; HF_HUB_DOWNLOAD_TIMEOUT sets "
                "another limit."
            ) from error
        return response

    return bounded_send


def tidy_headers(response, host: str) -> None:
    """Refuses to wait long; keeps what would move a terminal's cursor out of the client's warnings."""
    wait = response.headers.get("Retry-After", "")
    reset = re.search(r"\bt=(\d{1,9})", response.headers.get("RateLimit", ""))
    seconds = max(int(wait) if re.fullmatch(r"\d{1,9}", wait) else 0, int(reset[1]) if reset else 0)
    if response.status_code in (429, 503) and seconds > LONGEST_WAIT:
        response.close()
        raise HubError(f"{host} has had too many requests ({response.status_code}): try again in {seconds:,} seconds.")
    for name in ("X-HF-Warning", "X-Error-Message"):
        if name in response.headers:
            response.headers[name] = one_line(response.headers[name])
