"""The browser that tests click in, where there is one."""

import shutil

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
WHY = "no Chromium (Debian: apt-get install it)"
