"""What needs a page that is not there is not collected."""

from __future__ import annotations

import hyperliquid_page
import order_manager_page

collect_ignore = [
    name
    for page, name in (
        (order_manager_page.PAGE, "test_order_manager_page.py"),
        (order_manager_page.PAGE, "test_order_manager_page_live.py"),
        (hyperliquid_page.PAGE, "test_hyperliquid_page.py"),
    )
    if not page.is_file()
]
