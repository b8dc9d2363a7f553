"""
Draws the page of `hf-midropout report` with headless Chromium: one small PNG for the docs, or, to look at it, all of
what people see: on a desktop and on a phone, light and dark, and printed.

    python scripts/report_screenshot.py midropout_output/compact/midropout_report.html docs/images/report_page.png
    python scripts/report_screenshot.py midropout_output/compact/midropout_report.html shots --all
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image, ImageChops


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--allow-file-access-from-files",
)  # fmt: skip
SCHEMES = {"light": 1, "dark": 0}
WIDTHS = {"desktop": 1280, "phone": 390}
NARROWEST = 500
"""Pixels of a window; a narrower page is shown in a frame."""
TALLEST = 9_000


def browse(browser: str, page: Path, *options: str) -> None:
    """Opens `page` in a profile of its own."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [browser, *OPTIONS, f"--user-data-dir={profile}", *options, page.absolute().as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def shoot(browser: str, page: Path, output: Path, width: int, height: int, scheme: str = "light") -> None:
    """Draws `page` at a width, in a colour scheme, into `output`; in a frame where windows cannot be that narrow."""
    with tempfile.TemporaryDirectory() as folder:
        opened = page
        if width < NARROWEST:
            opened = Path(folder) / "frame.html"
            style = f"border:0;width:{width}px;height:{height}px"
            frame = f'<iframe src="{page.absolute().as_uri()}" style="{style}"></iframe>'
            opened.write_text(f'<meta name="color-scheme" content="light dark"><body style="margin:0">{frame}</body>')
        browse(
            browser, opened, f"--window-size={max(width, NARROWEST)},{height}", f"--screenshot={output}",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        )  # fmt: skip
    if width < NARROWEST:
        Image.open(output).crop((0, 0, width, height)).save(output)


def cropped(picture: Image.Image) -> Image.Image:
    """Without the empty ground below the page."""
    ground = Image.new(picture.mode, picture.size, picture.getpixel((2, picture.height - 2)))
    box = ImageChops.difference(picture, ground).getbbox()
    return picture.crop((0, 0, picture.width, min(picture.height, box[3] + 20))) if box else picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Screenshots of a report page.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("page", type=Path, help="The HTML file.")
    parser.add_argument("output", type=Path, help="The PNG file, or with --all a folder.")
    parser.add_argument("--all", action="store_true", help="Desktop and phone, light and dark, and a PDF as printed.")
    parser.add_argument("--width", type=int, default=1100, help="Of the window, in pixels.")
    parser.add_argument("--height", type=int, default=1832, help="Of the window, in pixels.")
    parser.add_argument("--scale", type=float, default=0.6, help="Of the picture to the window.")
    options = parser.parse_args()
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        parser.error(f"needs one of {', '.join(BROWSERS)}")
    if options.all:
        options.output.mkdir(parents=True, exist_ok=True)
        for device, width in WIDTHS.items():
            for scheme in SCHEMES:
                shot = options.output / f"{device}_{scheme}.png"
                shoot(browser, options.page, shot, width, TALLEST, scheme)
                cropped(Image.open(shot).convert("RGB")).save(shot)
                print(shot)
        printed = options.output / "print.pdf"
        browse(browser, options.page, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
        print(printed)
        return
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "page.png"
        shoot(browser, options.page, shot, options.width, options.height)
        picture = Image.open(shot).convert("RGB")
        size = (round(picture.width * options.scale), round(picture.height * options.scale))
        # 160 colours serve a page of few, and make the file smaller; with 64 the blues are gone.
        small = picture.resize(size, Image.Resampling.LANCZOS).quantize(160)
        options.output.parent.mkdir(parents=True, exist_ok=True)
        small.save(options.output, optimize=True)
    print(f"{options.output}: {size[0]} x {size[1]}, {options.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
