"""Headless Chromium for tests: what it says on the console, and what it draws."""

import re
import shutil
import subprocess
from pathlib import Path


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip


def open_page(page: Path, screenshot: Path, width: int = 1200, height: int = 1600) -> list[str]:
    """Draws `page` into `screenshot`; the lines on the browser's console."""
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, f"--user-data-dir={screenshot.parent / 'profile'}", f"--window-size={width},{height}",
         f"--screenshot={screenshot}", page.absolute().as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert screenshot.is_file(), done.stderr
    return re.findall(r"CONSOLE[^\"]*(\".*)", done.stderr)
