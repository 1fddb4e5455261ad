"""Which keys and tokens this machine's environment holds, by venue, and whether they look like it.

Nothing here shows one: what is told is where it lies and what is wrong with its shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from broker_api.errors import SecretError
from broker_api.hyperliquid.config import KEY_FILE_VARIABLE, KEY_VARIABLE
from broker_api.projectx.config import KEY_VARIABLES, USER_VARIABLE
from broker_api.redaction import Redactor
from broker_api.secret import Secret

_PRIVATE_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_SPACE = re.compile(r"\s")


class Credential(NamedTuple):
    """A secret that a variable of the environment holds or points to.

    `fault` says what is wrong with it, empty if nothing is; `secret` is None where it cannot be
    read.
    """

    venue: str
    variable: str
    secret: Secret | None
    fault: str


def credentials(environment: Mapping[str, str]) -> Iterator[Credential]:
    """All that the adapters would find. Those that are not set are left out."""
    if KEY_VARIABLE in environment:
        yield _read("hyperliquid", KEY_VARIABLE, environment)
    if environment.get(KEY_FILE_VARIABLE):
        yield _read("hyperliquid", KEY_FILE_VARIABLE, environment)
    for variable in KEY_VARIABLES:
        if variable in environment:
            yield _read("projectx", variable, environment)


def _read(venue: str, variable: str, environment: Mapping[str, str]) -> Credential:
    try:
        if variable == KEY_FILE_VARIABLE:
            secret = Secret.from_file(environment[variable])
        else:
            secret = Secret.from_environment(variable, environment)
    except SecretError as refusal:
        return Credential(venue, variable, None, str(refusal))
    fault = _hyperliquid_fault(secret) if venue == "hyperliquid" else _projectx_fault(secret)
    if venue == "projectx" and not fault and not environment.get(USER_VARIABLE):
        fault = f"{USER_VARIABLE} is not set: a login needs the user's name as well"
    return Credential(venue, variable, secret, fault)


def _hyperliquid_fault(secret: Secret) -> str:
    if _PRIVATE_KEY.fullmatch(secret.reveal()):
        return ""
    return f"{len(secret.reveal())} characters that are no private key: 64 hex digits, 0x before"


def _projectx_fault(secret: Secret) -> str:
    return "there is white space inside" if _SPACE.search(secret.reveal()) else ""


def redactor_of(environment: Mapping[str, str]) -> Redactor:
    """Masks every secret of the environment, also those that do not look right."""
    found = (each.secret for each in credentials(environment))
    return Redactor(secret for secret in found if secret is not None)
