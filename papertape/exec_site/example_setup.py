"""`example_utils` for programs without one: the test key's account on the local venue.

The example programs of the vendor's SDK begin with `example_utils.setup(base_url, skip_ws)`, which
is no part of the SDK's package. This stands in for it under `papertape serve hyperliquid --exec`
when the program has none, or has one without a config.json.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def setup(
    base_url: str | None = None, skip_ws: bool = False, perp_dexs: list[str] | None = None
) -> tuple[str, Any, Any]:
    """The address of the test key, an `Info` and an `Exchange` of the vendor's SDK for it.

    Raises RuntimeError when the account has no money, or outside of `papertape serve --exec`.
    """
    from eth_account import Account
    from hyperliquid.exchange import Exchange
    from hyperliquid.info import Info

    place = os.environ.get("PAPERTAPE_KEY_FILE")
    if place is None:
        raise RuntimeError("PAPERTAPE_KEY_FILE is not set; run this by papertape serve --exec")
    wallet = Account.from_key(Path(place).read_text(encoding="utf-8").strip())
    print("Running with account address:", wallet.address)  # noqa: T201 - programs show it
    info = Info(base_url, skip_ws, perp_dexs=perp_dexs)
    value = float(info.user_state(wallet.address)["marginSummary"]["accountValue"])
    if value == 0 and not info.spot_user_state(wallet.address)["balances"]:
        raise RuntimeError(f"{wallet.address} has no money on {base_url}")
    exchange = Exchange(wallet, base_url, account_address=wallet.address, perp_dexs=perp_dexs)
    return wallet.address, info, exchange


def setup_multi_sig_wallets() -> list[Any]:
    """Not here: the local venue knows no accounts of several keys."""
    raise NotImplementedError("the local venue has no multi-sig accounts")
