"""The browser of this computer, where it has one with a window: one in the terminal would take it over."""

from __future__ import annotations

import os
import sys
import webbrowser


def open_page(address: str) -> bool:
    """Open an address; whether that could be done."""
    has_window = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    try:
        return has_window and webbrowser.open(address)
    except webbrowser.Error:
        return False
