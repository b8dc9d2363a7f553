"""One clear line for whatever goes wrong between here and the Hub, without the token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


class HubError(OSError):
    """The Hub refused, failed, or could not be reached; the message is one line that says what to do."""


@contextmanager
def hub_errors(action: str, token: str | None = None) -> Iterator[None]:
    """
    Context manager: turns errors of the Hub's client into a [`HubError`].

    Args:
        action (`str`): What was being done, such as `"Pushing to me/name"`; begins the message.
        token (`str`, *optional*): The token in use, to keep it out of messages.
    """
    from huggingface_hub import constants

    try:
        yield
    except HubError:
        raise
    except Exception as error:
        reason = explain(error, constants.ENDPOINT)
        if reason is None:
            raise
        # `from None`: the client's own message may run over many lines and quote the request.
        raise HubError(redact(f"{action} failed: {reason}", token)) from None


def redact(text: str, token: str | None = None) -> str:
    """`text` without `token`, nor anything else that looks like one of the Hub's."""
    if token:
        text = text.replace(token, "[token]")
    return re.sub(r"\bhf_[A-Za-z0-9]{6,}\b", "[token]", text)


def explain(error: BaseException, endpoint: str) -> str | None:
    """Why, in a sentence; `None` if `error` did not come from talking to the Hub."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    if any(isinstance(link, LocalTokenNotFoundError) for link in chain):
        return "no token was found: run `hf auth login`, or set HF_TOKEN."
    if any(isinstance(link, OfflineModeIsEnabled) for link in chain):
        return "HF_HUB_OFFLINE is set."
    for link in chain:
        response = getattr(link, "response", None)
        if isinstance(link, HfHubHTTPError) and response is not None:
            return _explain_status(response, endpoint)
    lost = ("httpx", "httpcore", "hf_xet")
    for link in chain:
        if isinstance(link, (ConnectionError, TimeoutError)) or type(link).__module__.startswith(lost):
            return f"the connection to {endpoint} was lost ({_first_line(link)}). Try again."
        if "hf_xet" in str(link).lower() or "xet" in type(link).__name__.lower():
            return f"the transfer to {endpoint} broke off ({_first_line(link)}). Try again."
    for link in chain:
        if isinstance(link, OSError) and "Consistency check failed" in str(link):
            return "a file arrived cut off. Try again."
    return None


def _explain_status(response, endpoint: str) -> str:
    status = response.status_code
    said = response.headers.get("X-Error-Message", "")[:200]
    said = f" ({' '.join(said.split())})" if said else ""
    if status in (401, 403):
        return (
            f"{endpoint} refused the token, or there was none ({status}){said}: run `hf auth login`, or set HF_TOKEN "
            "to one that may do this."
        )
    if status == 404:
        return f"{endpoint} has no such repository, revision or file, or the token may not see it (404){said}."
    if status in (409, 412):
        return f"the repository changed meanwhile ({status}){said}. Try again."
    if status == 429:
        wait = response.headers.get("Retry-After")
        return f"{endpoint} has had too many requests (429): try again in {wait + ' seconds' if wait else 'a while'}."
    if status >= 500:
        return f"{endpoint} is in trouble ({status}). Try again later."
    return f"{endpoint} refused the request ({status}){said}."


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
