"""The exchange a second time, from the written rules: objects and sorted lists, every row visited.

It is the kernel's examiner: `tests/differential` sends the same random commands to both and
compares every event. Simple before fast; no numba, no NumPy in the rules. Floats occur in the
share of cancels only (`queue.share_ahead`).
"""

from sim.reference.exchange import ReferenceExchange

__all__ = ["ReferenceExchange"]
