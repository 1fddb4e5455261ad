"""Where to trade, as whom, and how carefully: the settings of the adapter.

The test network is the default, or a local venue in its place. Real money needs two consents that
no single slip gives: the setting `i_accept_real_money` in the program, and an environment variable
on the machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from broker_api.config import Settings, web_address
from broker_api.errors import ConfigurationError
from broker_api.live.consent import missing_consents
from broker_api.secret import Secret

KEY_VARIABLE = "PAPERTAPE_HYPERLIQUID_KEY"
"""The environment variable of the private key when no other place is named."""
URL_VARIABLE, KEY_FILE_VARIABLE = "PAPERTAPE_VENUE_URL", "PAPERTAPE_KEY_FILE"
"""The environment variables of a local venue: where it is, and the file of its test key.

`papertape serve hyperliquid --exec` sets them, so that a program for the test network runs there.
"""

MAINNET_URL = "https://api.hyperliquid.xyz"
TESTNET_URL = "https://api.hyperliquid-testnet.xyz"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


class HyperliquidConfig(Settings):
    """The adapter's settings.

    `key` says where the private key lies ("env:NAME", "file:PATH"); without it, the environment
    variable PAPERTAPE_HYPERLIQUID_KEY. The key of an API wallet is enough, and wiser. `account` is
    whose account it acts for (found out by default), `vault` a sub-account or vault of it.
    `slippage` bounds what market orders may pay, as a share of the mid. An order that the venue has
    not taken `valid_seconds` after it was sent is void, so that none lands late; the venue's clock
    may be `grace_seconds` behind ours. `dead_man_seconds`
    makes the venue cancel all when nobody has said for so long that the session lives.
    `scope` names the orders of a strategy that is started again under the same client order ids.
    """

    network: Literal["testnet", "mainnet", "local"] = "testnet"
    base_url: str | None = None
    i_accept_real_money: bool = False
    key: Secret | None = None
    account: str | None = None
    vault: str | None = None
    scope: str | None = Field(default=None, min_length=1, max_length=64)
    slippage: Decimal = Field(default=Decimal("0.05"), gt=0, lt=1)
    answer_seconds: float = Field(default=10.0, gt=0, le=60)
    valid_seconds: float = Field(default=15.0, ge=1, le=600)
    grace_seconds: float = Field(default=5.0, ge=0, le=60)
    wait_max_seconds: float = Field(default=5.0, ge=0, le=60)
    settle_seconds: float = Field(default=1.0, gt=0, le=60)
    reconcile_seconds: float = Field(default=20.0, ge=1, le=600)
    dead_man_seconds: float | None = Field(default=None, ge=15, le=86_400)
    cancel_reserve: int = Field(default=200, ge=0, le=1_000)
    candle_history: int = Field(default=500, ge=0, le=5_000)
    state_folder: Path | None = None

    @field_validator("account", "vault")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError("is no address of 0x and 40 hex digits")
        return None if value is None else value.lower()

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return web_address(value, "http://127.0.0.1:3001")

    def place(self, environment: Mapping[str, str]) -> Place:
        """Where this trades. Raises ConfigurationError for real money without both consents."""
        url = self.base_url
        if url is None and self.network != "mainnet":
            url = environment.get(URL_VARIABLE)
        if url is not None:
            self._check_not_mainnet(url)
            return Place(url.rstrip("/"), is_mainnet=False)
        if self.network == "local":
            raise ConfigurationError(
                'network "local" needs base_url="http://...", or the environment variable '
                f"{URL_VARIABLE}; `papertape serve hyperliquid --print-env` prints it"
            )
        if self.network == "testnet":
            return Place(TESTNET_URL, is_mainnet=False)
        self._check_consent(environment)
        return Place(MAINNET_URL, is_mainnet=True)

    def _check_not_mainnet(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if self.network == "mainnet" or host == urlsplit(MAINNET_URL).hostname:
            raise ConfigurationError(
                f"base_url {url!r} does not go with the main network: base_url is for local "
                'venues, network="mainnet" alone is for real money'
            )

    def _check_consent(self, environment: Mapping[str, str]) -> None:
        missing = missing_consents(self.i_accept_real_money, environment)
        if missing:
            raise ConfigurationError(
                'network "mainnet" trades real money and needs two consents; missing: '
                f'{missing}. network="testnet" needs none'
            )

    def secret(self, environment: Mapping[str, str]) -> Secret:
        """The private key. Raises SecretError that says where it was looked for."""
        if self.key is not None:
            return self.key
        if self.network != "mainnet" and URL_VARIABLE in environment:
            file = environment.get(KEY_FILE_VARIABLE)
            if file:
                return Secret.from_file(file)
        return Secret.from_environment(KEY_VARIABLE, environment)

    def nonce_folder(self, environment: Mapping[str, str]) -> Path:
        """Where nonces are kept from session to session."""
        if self.state_folder is not None:
            return self.state_folder
        home, state = environment.get("PAPERTAPE_HOME"), environment.get("XDG_STATE_HOME")
        if home:
            return Path(home).expanduser() / "nonces"
        base = Path(state) if state else Path.home() / ".local" / "state"
        return base / "papertape" / "nonces"


class Place(NamedTuple):
    """A venue, and whether its money is real."""

    base_url: str
    is_mainnet: bool


def config_of(options: Mapping[str, Any]) -> HyperliquidConfig:
    """The settings in the arguments of `TradingSuite.create`. Raises ConfigurationError."""
    config: HyperliquidConfig = HyperliquidConfig.parse(options)
    return config
