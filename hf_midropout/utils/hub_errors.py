"""One clear line for whatever goes wrong between here and the Hub, without the token."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .error_chain import chain
from .terminal import one_line


class HubError(OSError):
    """The Hub refused, failed, or could not be reached; the message is one line that says what to do."""


@contextmanager
def hub_errors(action: str, token: str | None = None, not_found: str = "") -> Iterator[None]:
    """
    Context manager: turns errors of the Hub's client into a [`HubError`]. Nothing but calls of the client belongs in
    it: a `TypeError` there comes of an answer that is not what the Hub would give.

    Args:
        action (`str`): What was being done, such as `"Pushing to me/name"`; begins the message.
        token (`str`, *optional*): The token in use, to keep it out of messages.
        not_found (`str`, *optional*): To be added where the Hub has no such repository, or shows none.
    """
    from huggingface_hub import constants

    try:
        yield
    except Exception as error:
        if isinstance(error, HubError) and str(error).startswith(action):
            raise
        reason = explain(error, constants.ENDPOINT, not_found)
        if reason is None:
            raise
        # `from None`: the client's own message may run over many lines and quote the request.
        raise HubError(redact(f"{action} failed: {reason}", token)) from None


def redact(text: str, token: str | None = None) -> str:
    """`text` without `token`, nor anything else that looks like one of the Hub's."""
    if token:
        text = text.replace(token, "[token]")
    return re.sub(r"\bhf_[A-Za-z0-9]{6,}\b", "[token]", text)


def not_the_hub(what: str) -> HubError:
    """The error for an answer that the Hub would not give."""
    from huggingface_hub import constants

    return HubError(f"{constants.ENDPOINT} answered, but not as the Hub does ({one_line(what)}): check HF_ENDPOINT.")


def checked_hash(value: Any) -> str:
    """`value`, if it is the hash of a commit; [`HubError`] for anything else that a server gave in its place."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value):
        return value
    raise not_the_hub("no hash of a commit")


def explain(error: BaseException, endpoint: str, not_found: str = "") -> str | None:
    """Why, in a sentence; `None` if `error` did not come from talking to the Hub."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )

    links = list(chain(error))
    for link in links:
        if isinstance(link, HubError):
            return one_line(link, 600)
    if any(isinstance(link, LocalTokenNotFoundError) for link in links):
        return "no token was found: run `hf auth login`, or set HF_TOKEN."
    for link in links:
        response = getattr(link, "response", None)
        if isinstance(link, HfHubHTTPError) and response is not None:
            return _explain_status(response, endpoint, not_found)
    if any(isinstance(link, OfflineModeIsEnabled) for link in links):
        return f"HF_HUB_OFFLINE is set.{not_found}"
    if isinstance(links[0], HFValidationError):
        return f"{one_line(links[0])}{not_found}"
    lost = ("httpx", "httpcore", "hf_xet")
    for link in links:
        if isinstance(link, (ConnectionError, TimeoutError)) or type(link).__module__.startswith(lost):
            return f"the connection to {endpoint} was lost ({_first_line(link)}). Try again."
        if "hf_xet" in str(link).lower() or "xet" in type(link).__name__.lower():
            return f"the transfer to {endpoint} broke off ({_first_line(link)}). Try again."
    for link in links:
        if isinstance(link, OSError) and "Consistency check failed" in str(link):
            return "a file arrived cut off. Try again."
    if isinstance(links[0], LocalEntryNotFoundError):
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{endpoint} could not be reached"
        return f"{why}, and the Hub's cache here has no whole copy.{not_found}"
    if isinstance(links[0], (json.JSONDecodeError, UnicodeDecodeError)):
        return f"{endpoint} answered with something that is no JSON: check HF_ENDPOINT, and a proxy on the way."
    if isinstance(links[0], (KeyError, TypeError, AttributeError, IndexError, ValueError, AssertionError)):
        return one_line(not_the_hub(f"{type(links[0]).__name__}: {links[0]}"), 600)
    return None


def _explain_status(response, endpoint: str, not_found: str) -> str:
    status = response.status_code
    said = one_line(response.headers.get("X-Error-Message", ""))
    said = f" ({said})" if said else ""
    if status in (401, 403):
        return (
            f"{endpoint} refused the token, or there was none ({status}){said}: run `hf auth login`, or set HF_TOKEN "
            f"to one that may do this.{not_found}"
        )
    if status == 404:
        return (
            f"{endpoint} has no such repository, revision or file, or the token may not see it (404){said}.{not_found}"
        )
    if status in (409, 412):
        return f"the repository changed meanwhile ({status}){said}. Try again."
    if status == 429:
        wait = one_line(response.headers.get("Retry-After", ""), 20)
        return f"{endpoint} has had too many requests (429): try again in {wait + ' seconds' if wait else 'a while'}."
    if status >= 500:
        return f"{endpoint} has an error of its own ({status}). Try again later."
    return f"{endpoint} refused the request ({status}){said}."


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {one_line(lines[0], 160)}" if lines else type(error).__name__
