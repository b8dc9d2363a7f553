"""Objects that several threads may update."""

from __future__ import annotations

import threading
from typing import Any


class Locked:
    """Has a lock of its own, which stays behind when it is copied or pickled."""

    def __init__(self):
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()
