"""Where the page and the recorded markets are; what needs the page is not collected without it."""

from __future__ import annotations

from order_manager_page import PAGE

collect_ignore = [] if PAGE.is_file() else ["test_order_manager_page.py"]
