"""Contract ids: `CON.F.US.ENQ.U25` is product ENQ (the exchange's root NQ), September 2025."""

from __future__ import annotations

from typing import NamedTuple

MONTH_LETTERS = "FGHJKMNQUVXZ"

PRODUCT_CODES = {
    "ES": "EP",
    "NQ": "ENQ",
    "CL": "CLE",
    "MCL": "MCLE",
    "GC": "GCE",
    "SI": "SIE",
    "NG": "NGE",
    "HG": "CPE",
}
"""Exchange roots whose product code differs. A client takes codes from the gateway's answers; this
table is what a local gateway answers with.
"""
_MONTHS = {"GC": "GJMQVZ", "MGC": "GJMQVZ", "CL": MONTH_LETTERS, "MCL": MONTH_LETTERS}
_QUARTERS = "HMUZ"


class Contract(NamedTuple):
    """A product and the month it is delivered in. `month` counts from 1."""

    code: str
    month: int
    year: int

    @property
    def id(self) -> str:
        """The contract's id."""
        return f"CON.F.US.{self.code}.{MONTH_LETTERS[self.month - 1]}{self.year % 100:02d}"

    @property
    def symbol_id(self) -> str:
        """The product's id."""
        return f"F.US.{self.code}"

    def name(self, root: str) -> str:
        """The exchange's name of it: root, month letter, last digit of the year."""
        return f"{root}{MONTH_LETTERS[self.month - 1]}{self.year % 10}"


def front_contract(root: str, year: int, month: int, day: int) -> Contract:
    """The contract of a root that is traded most on a day.

    Equity indices, metals and energy here leave a contract eight days before its month's third
    Friday, or in the month before: this takes the first listed month that is later than the day's
    month, or the day's own up to its 7th for quarterly products.
    """
    letters = _MONTHS.get(root, _QUARTERS)
    own_until = 7 if letters == _QUARTERS else 0
    at = year * 12 + month - 1 + (0 if day <= own_until else 1)
    while MONTH_LETTERS[at % 12] not in letters:
        at += 1
    return Contract(PRODUCT_CODES.get(root, root), at % 12 + 1, at // 12)
