"""
Draws the page of `hf-midropout report` with headless Chromium into a small PNG, for the docs.

    python scripts/report_screenshot.py midropout_output/compact/midropout_report.html docs/images/report_page.png
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Screenshot of a report page.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("page", type=Path, help="The HTML file.")
    parser.add_argument("output", type=Path, help="The PNG file.")
    parser.add_argument("--width", type=int, default=1100, help="Of the window, in pixels.")
    parser.add_argument("--height", type=int, default=1885, help="Of the window, in pixels.")
    parser.add_argument("--scale", type=float, default=0.6, help="Of the picture to the window.")
    options = parser.parse_args()
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        parser.error(f"needs one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        window = f"--window-size={options.width},{options.height}"
        subprocess.run(
            [browser, *OPTIONS, f"--user-data-dir={folder}/profile", window, f"--screenshot={shot}",
             options.page.absolute().as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        picture = Image.open(shot).convert("RGB")
        size = (round(picture.width * options.scale), round(picture.height * options.scale))
        # 64 colours serve a page of few, and make the file a third as large.
        small = picture.resize(size, Image.Resampling.LANCZOS).quantize(64)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        small.save(options.output, optimize=True)
    print(f"{options.output}: {size[0]} x {size[1]}, {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
