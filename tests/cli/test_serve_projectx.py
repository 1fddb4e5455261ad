"""`papertape serve projectx`: a program trades against it with what it finds in its environment."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from broker_api.secret import Secret
from papertape.venue_key import PROJECTX_FILE
from papertape.venue_settings import PROJECTX_USER, projectx_settings
from sim.venues.server import ServerSettings
from tests.cli.conftest import Ended

PROGRAM = """
import os
import requests

url, login = os.environ["PROJECTX_API_URL"], {}

def ask(path, **body):
    return requests.post(f"{url}/{path}", json=body, headers=login, timeout=60).json()

user, key = os.environ["PROJECT_X_USERNAME"], os.environ["PROJECT_X_API_KEY"]
login["Authorization"] = "Bearer " + ask("Auth/loginKey", userName=user, apiKey=key)["token"]
print("accounts", [each["name"] for each in ask("Account/search")["accounts"]])
contract = ask("Contract/search", searchText="MNQ")["contracts"][0]["id"]
order = {"contractId": contract, "type": 2, "side": 0, "size": 1}
print("placed", ask("Order/place", accountId=1002, **order)["success"])
print("held", ask("Position/searchOpen", accountId=1002)["positions"][0]["size"])
"""
MARKET = ("--market", "MNQ=still:21000", "--port", "0", "--speed", "stepped")


@pytest.mark.slow
def test_a_program_trades_on_the_gateway(
    process: Callable[..., Ended], script: Callable[..., Path], tmp_path: Path
) -> None:
    program = script(PROGRAM)
    home = tmp_path / "home"
    ended = process(
        *("serve", "projectx", *MARKET, "--accounts", "2", "--exec", f"python {program.name}"),
        PAPERTAPE_HOME=str(home),
    )
    assert ended.code == 0, ended.err
    assert "accounts ['SIM-1', 'SIM-2']" in ended.out
    assert "placed True" in ended.out
    assert "held 1" in ended.out
    assert "ready: projectx at http://127.0.0.1:" in ended.out
    key = (home / PROJECTX_FILE).read_text("utf-8").strip()
    assert key not in ended.out + ended.err


@pytest.mark.parametrize("begins_ns", [None, 1_800_000_030_000_000_000])
def test_times_are_the_markets_or_begin_at_this_minute(begins_ns: int | None) -> None:
    settings = projectx_settings(
        ["MNQ=still:21000"],
        [],
        [],
        ServerSettings(Secret("a token of tests")),
        Secret("a key of tests"),
        cash=Decimal(1000),
        accounts=1,
        speed="stepped",
        has_limits=False,
        signed_brackets=True,
        begins_ns=begins_ns,
    )
    start_ns, shift_ns = settings.sources[0].tape.start_ns, settings.options.shift_ns
    expected = start_ns if begins_ns is None else 1_800_000_000_000_000_000
    assert start_ns + shift_ns == expected
    assert [account.user for account in settings.accounts] == [PROJECTX_USER]


def test_only_futures_are_served(
    command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    ended = command("serve", "projectx", "--market", "ETH=still:3000", "--port", "0")
    assert ended.code == 2
    assert "futures" in ended.err
