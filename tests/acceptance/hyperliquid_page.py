"""Where the document about Hyperliquid orders is, and its code blocks."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "shared" / "spec" / "hyperliquid_orders.md"


def blocks() -> list[str]:
    """The Python blocks of the page, as they are."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
