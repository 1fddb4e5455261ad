"""Real money: two consents that no single slip gives, one in the program, one on the machine."""

from __future__ import annotations

from collections.abc import Mapping

CONSENT_VARIABLE, CONSENT = "PAPERTAPE_REAL_MONEY", "yes"


def missing_consents(in_program: bool, environment: Mapping[str, str]) -> str:
    """What is missing, as text; empty when both are there."""
    missing = []
    if not in_program:
        missing.append("i_accept_real_money=True in the program")
    if environment.get(CONSENT_VARIABLE) != CONSENT:
        missing.append(f"{CONSENT_VARIABLE}={CONSENT} in the environment")
    return " and ".join(missing)
