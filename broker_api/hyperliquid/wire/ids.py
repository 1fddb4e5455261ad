"""Client order ids on the wire, and which ids of assets are what."""

from __future__ import annotations

from hashlib import blake2b

SPOT_ASSETS_FROM = 10_000
BUILDER_ASSETS_FROM = 100_000
"""Asset ids below the first are perpetuals of the venue itself, from the second on of others'."""


def cloid_of(scope: str, client_order_id: str) -> str:
    """The 128-bit id under which the venue knows a client order id; the same for the same texts.

    The venue lets a cloid be used again and answers with its newest order. `scope` therefore has
    to tell one session of an account from another, unless both mean the same orders.

    >>> cloid_of("0xabc/1", "1") == cloid_of("0xabc/1", "1") != cloid_of("0xabc/2", "1")
    True
    """
    # With the length of the scope in front no two pairs of texts are the same bytes.
    data = f"{len(scope)}:{scope}{client_order_id}".encode()
    return "0x" + blake2b(data, digest_size=16, person=b"papertape cloid").hexdigest()


def is_own_perpetual(asset: int) -> bool:
    """Whether an asset id is an index into `meta` of the venue's own perpetuals."""
    return 0 <= asset < SPOT_ASSETS_FROM
