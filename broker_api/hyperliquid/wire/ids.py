"""Client order ids on the wire."""

from __future__ import annotations

from hashlib import blake2b


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
