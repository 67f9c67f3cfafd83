"""Reports as a browser draws them, where one is installed: nothing is refused by their own policy, none is empty."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from studio.report.html import writer
from studio.report.pages import project, resource

from . import scene

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


def shot(page: Path, picture: Path, *options: str) -> str:
    """Draw a page; what the browser's console says of it."""
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={picture.with_suffix('.profile')}", f"--screenshot={picture}", *options, page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_a_page_is_drawn_in_light_and_dark_and_its_policy_refuses_nothing_of_it(tmp_path: Path) -> None:
    from PIL import Image

    page = tmp_path / "page.html"
    page.write_text(writer.write(resource.document(scene.view(), scene.COMPARE, scene.evidence())), "utf-8")
    wide, small = tmp_path / "light.png", tmp_path / "dark.png"
    assert shot(page, wide, "--window-size=1200,900") == ""
    assert shot(page, small, "--window-size=500,900", "--blink-settings=preferredColorScheme=0") == ""
    light, dark = (Image.open(each).convert("RGB") for each in (wide, small))
    assert light.getpixel((0, 0)) == (0xF6, 0xF7, 0xF9) and dark.getpixel((0, 0)) == (0x12, 0x16, 0x1C)
    assert all(len(each.getcolors(1 << 24) or ()) > 50 for each in (light, dark))


def test_a_script_in_a_name_is_not_run(tmp_path: Path) -> None:
    hostile = "<script>document.body.remove()</script><img src=x onerror=document.body.remove()>"
    page = tmp_path / "page.html"
    page.write_text(writer.write(project.document(scene.view(hostile))), "utf-8")
    assert shot(page, tmp_path / "page.png", "--window-size=800,600") == ""
