"""Where to trade, as whom, and how carefully: the settings of the adapter.

Practice accounts are the default. An account with real money needs two consents that no single slip
gives: the setting `i_accept_real_money` in the program, and an environment variable on the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator

from broker_api.config import Settings, web_address
from broker_api.errors import ConfigurationError
from broker_api.live.consent import missing_consents
from broker_api.secret import Secret

KEY_VARIABLES = ("PAPERTAPE_PROJECTX_KEY", "PROJECT_X_API_KEY")
"""Environment variables of the API key, ours and the vendor's, when no other place is named."""
USER_VARIABLE, ACCOUNT_VARIABLE = "PROJECT_X_USERNAME", "PROJECT_X_ACCOUNT_NAME"
URL_VARIABLE = "PROJECTX_API_URL"
USER_HUB_VARIABLE, MARKET_HUB_VARIABLE = "PROJECTX_USER_HUB_URL", "PROJECTX_MARKET_HUB_URL"
"""The environment variables of the addresses, the vendor's; `papertape serve projectx` sets them.
"""


class Place(NamedTuple):
    """A gateway: the address of its REST interface, which ends in `/api`, and of both hubs."""

    api_url: str
    user_hub_url: str
    market_hub_url: str


PLACES = {
    "topstepx": Place(
        "https://api.topstepx.com/api",
        "https://rtc.topstepx.com/hubs/user",
        "https://rtc.topstepx.com/hubs/market",
    ),
    "demo": Place(
        "https://gateway-api-demo.s2f.projectx.com/api",
        "https://gateway-rtc-demo.s2f.projectx.com/hubs/user",
        "https://gateway-rtc-demo.s2f.projectx.com/hubs/market",
    ),
}
"""Source: "Connection URLs" of the gateway's documentation."""


class ProjectXConfig(Settings):
    """The adapter's settings.

    `base_url` is a gateway's REST address; `hub_url` is what stands before `/user` and `/market` of
    its hubs, else they are below the same host. `user` is the name at the dashboard, `key` says
    where its API key lies ("env:NAME", "file:PATH"). `account` is an account's name, else the first
    practice account that can trade. An order of which nothing is heard for `arrival_seconds` after
    it was sent, and which no search finds, has never arrived. `scope` names the orders of a
    strategy that is started again under the same client order ids. `watchdog` ends orders when the
    program has died, or has been silent for `watchdog_seconds`.
    """

    network: Literal["topstepx", "demo", "local"] = "topstepx"
    base_url: str | None = None
    hub_url: str | None = None
    i_accept_real_money: bool = False
    user: str | None = None
    key: Secret | None = None
    account: str | None = None
    scope: str | None = Field(default=None, min_length=1, max_length=32)
    live_data: bool = False
    answer_seconds: float = Field(default=10.0, gt=0, le=60)
    arrival_seconds: float = Field(default=15.0, ge=0.5, le=600)
    wait_max_seconds: float = Field(default=5.0, ge=0, le=60)
    settle_seconds: float = Field(default=1.0, gt=0, le=60)
    reconcile_seconds: float = Field(default=20.0, ge=1, le=600)
    quiet_seconds: float = Field(default=90.0, ge=1, le=3_600)
    requests_per_minute: int = Field(default=200, ge=20, le=10_000)
    cancel_reserve: int = Field(default=40, ge=0, le=1_000)
    bar_history: int = Field(default=500, ge=0, le=5_000)
    watchdog: Literal["off", "keep_stops", "all"] = "off"
    watchdog_seconds: float = Field(default=30.0, ge=5, le=3_600)

    @field_validator("base_url", "hub_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return web_address(value, "http://127.0.0.1:3002/api")

    def place(self, environment: Mapping[str, str]) -> Place:
        """Where this trades: as named, else as the environment says, else the network."""
        if self.base_url is not None:
            return self._place_at(self.base_url)
        if URL_VARIABLE in environment:
            found = self._place_at(environment[URL_VARIABLE])
            return Place(
                found.api_url,
                environment.get(USER_HUB_VARIABLE, found.user_hub_url),
                environment.get(MARKET_HUB_VARIABLE, found.market_hub_url),
            )
        if self.network == "local":
            raise ConfigurationError(
                'network "local" needs base_url="http://.../api", or the environment variable '
                f"{URL_VARIABLE}; `papertape serve projectx --print-env` prints it"
            )
        return PLACES[self.network]

    def _place_at(self, url: str) -> Place:
        api = url.rstrip("/")
        if not api.endswith("/api"):
            api += "/api"
        hubs = (self.hub_url or api.removesuffix("/api") + "/hubs").rstrip("/")
        return Place(api, f"{hubs}/user", f"{hubs}/market")

    def user_name(self, environment: Mapping[str, str]) -> str:
        """Who logs in. Raises ConfigurationError."""
        name = self.user or environment.get(USER_VARIABLE, "")
        if not name:
            raise ConfigurationError(
                f"ProjectX needs the user's name: user=..., or the environment variable "
                f"{USER_VARIABLE}; it is the name at the dashboard"
            )
        return name

    def account_name(self, environment: Mapping[str, str]) -> str | None:
        """The account that is wanted, None for any practice account."""
        return self.account or environment.get(ACCOUNT_VARIABLE) or None

    def secret(self, environment: Mapping[str, str]) -> Secret:
        """The API key. Raises SecretError that says where it was looked for."""
        if self.key is not None:
            return self.key
        ours, theirs = KEY_VARIABLES
        name = theirs if theirs in environment and ours not in environment else ours
        return Secret.from_environment(name, environment)

    def check_real_money(self, account: str, environment: Mapping[str, str]) -> None:
        """Raise ConfigurationError for a real account without both consents."""
        missing = missing_consents(self.i_accept_real_money, environment)
        if missing:
            raise ConfigurationError(
                f"account {account!r} is no practice account: it trades real money and needs two "
                f"consents; missing: {missing}"
            )


def config_of(options: Mapping[str, Any]) -> ProjectXConfig:
    """The settings in the arguments of `TradingSuite.create`. Raises ConfigurationError."""
    config: ProjectXConfig = ProjectXConfig.parse(options)
    return config
