"""The README's picture of the studio: make serve, then python docs/studio_picture.py

Needs Chromium (make browser). Takes it while a pointer moves on the pad; the page shows what its frames take,
so let nothing else run.
"""

from __future__ import annotations

import io
import math
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

FILE = Path(__file__).parent / "pictures" / "studio.webp"
SIZE = ViewportSize(width=1280, height=800)
STATE = "model=fashion&mix=sneaker:0.6,ankle-boot:0.4&seed=7"
MOVES, PAUSE_MS = 300, 16  # of the pointer, as often as a display draws


def main(url: str) -> int:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser_path is None:
        print("there is no Chromium: make browser installs it", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{url}/#{STATE}")
        pad = page.locator("#pad").bounding_box()
        assert pad is not None
        x, y = pad["x"] + pad["width"] / 2, pad["y"] + pad["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        for move in range(MOVES):
            angle, reach = 6 * math.pi * move / MOVES, 0.22 * pad["width"]
            page.mouse.move(x + reach * math.cos(angle), y + reach * math.sin(angle) * 0.8)
            page.wait_for_timeout(PAUSE_MS)
        Image.open(io.BytesIO(page.screenshot())).save(FILE, quality=88, method=6)
        browser.close()
    print(f"-> {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:3000"))
