"""The numbered cases: what every broker owes a strategy, in the order of their numbers.

A case that needs what a venue lacks is played there too: its verb has to be refused, typed, before
anything is sent, with what to use instead.
"""

from __future__ import annotations

from importlib import import_module

from tests.conformance.register import CASES as CASES

for _part in ("order_cases", "position_cases"):  # in this order: they count on
    import_module(f"tests.conformance.{_part}")
