"""`papertape serve hyperliquid`: programs against it, the test key, what is refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from papertape.home import papertape_home, write_private
from papertape.venue_key import FILE, is_venue_key, new_venue_key, venue_key
from tests.cli.conftest import ROOT, Ended

Command = Callable[..., Ended]
MARKET = ("--market", "ETH=still:3000", "--port", "0", "--speed", "stepped")

PROGRAM = """
import sys
import example_utils
from hyperliquid.utils import constants

address, info, exchange = example_utils.setup(constants.TESTNET_API_URL, skip_ws=True)
answer = exchange.order("ETH", True, 0.2, 1100, {"limit": {"tif": "Gtc"}})
print("placed", answer["response"]["data"]["statuses"][0])
print("open", [order["limitPx"] for order in info.open_orders(address)])
print("own key", exchange.account_address == exchange.wallet.address == address)
sys.exit(7)
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A folder of its own for what papertape keeps."""
    return {"PAPERTAPE_HOME": str(tmp_path / "home")}


@pytest.mark.slow
def test_a_program_runs_against_the_venue_and_its_exit_code_is_the_commands(
    process: Command, script: Callable[..., Path], home: dict[str, str]
) -> None:
    program = script(PROGRAM)
    ended = process("serve", "hyperliquid", *MARKET, "--exec", f"python {program.name}", **home)
    assert ended.code == 7, ended.err
    assert "placed {'resting': {'oid': 1}}" in ended.out
    assert "open ['1100.0']" in ended.out
    assert "own key True" in ended.out
    assert re.search(r"^ready: hyperliquid at http://127\.0\.0\.1:\d+,", ended.out, re.MULTILINE)
    assert [path.name for path in Path(home["PAPERTAPE_HOME"]).iterdir()] == [FILE]


@pytest.mark.slow
def test_a_programs_own_set_up_is_used_where_its_configuration_lies_beside_it(
    process: Command, script: Callable[..., Path], home: dict[str, str], tmp_path: Path
) -> None:
    script("def setup(*args, **options):\n    raise SystemExit(9)\n", "example_utils.py")
    program = script(PROGRAM)
    arguments = ("serve", "hyperliquid", *MARKET, "--exec", f"python {program.name}")
    assert process(*arguments, **home).code == 7  # no configuration: papertape's own
    script("{}", "config.json")
    assert process(*arguments, **home).code == 9


@pytest.mark.slow
def test_an_environments_own_start_is_not_lost(
    process: Command, script: Callable[..., Path], home: dict[str, str], tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "sitecustomize.py").write_text("import sys\nsys.was_here = True\n", encoding="utf-8")
    program = script("import sys\nsys.exit(4 if sys.was_here else 5)\n")
    paths = os.pathsep.join([str(ROOT), str(beside)])
    arguments = ("serve", "hyperliquid", *MARKET, "--exec", f"python {program.name}")
    assert process(*arguments, PYTHONPATH=paths, **home).code == 4


@pytest.mark.slow
def test_the_ready_line_comes_and_a_signal_ends_the_venue(
    home: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "papertape.cli", "serve", "hyperliquid", *MARKET]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **home}
    with subprocess.Popen(
        [*command, "--print-env"], stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as running:
        assert running.stdout is not None
        said: dict[str, str] = {}
        for line in running.stdout:
            if line.startswith("ready"):
                break
            name, _, value = line.strip().partition("=")
            said[name] = value
        answer = requests.post(
            said["PAPERTAPE_VENUE_URL"] + "/info",
            json={"type": "clearinghouseState", "user": said["PAPERTAPE_ACCOUNT"]},
            timeout=60,
        )
        assert answer.json()["withdrawable"] == "10000.0"
        token_file = Path(said["PAPERTAPE_CONTROL_TOKEN_FILE"])
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        headers = {"Authorization": f"Bearer {token_file.read_text().strip()}"}
        state = requests.get(said["PAPERTAPE_CONTROL_URL"] + "/state", headers=headers, timeout=60)
        assert state.json()["markets"][0]["plays"] == "still, opened at 3000"
        assert is_key(said["HYPERLIQUID_SECRET_KEY"])
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    assert not token_file.exists()


def is_key(text: str) -> bool:
    from broker_api.secret import Secret

    return is_venue_key(Secret(text))


@pytest.mark.slow
def test_a_signal_ends_the_program_too(
    home: dict[str, str], tmp_path: Path, script: Callable[..., Path]
) -> None:
    program = script("import time\nprint('waiting', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "papertape.cli", "serve", "hyperliquid", *MARKET]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **home}
    with subprocess.Popen(
        [*command, "--exec", f"python {program}"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    ) as running:
        assert running.stdout is not None
        while "waiting" not in running.stdout.readline():
            pass
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--market", "ETH"), "name its instrument"),
        (("--market", "ETH=nothing.parquet"), "no such file"),
        (("--market", "DOGE=still:1"), "DOGE"),
        (("--market", "MNQ=still:21000"), "cannot be a perpetual"),
        (("--market", "ETH=still:3000", "--market", "ETH=still:3001"), "there already"),
        (("--market", "ETH=still:3000", "--host", "0.0.0.0"), "not a loopback address"),
        (("--market", "ETH=still:3000", "--speed", "fast"), "stepped"),
        (("--market", "ETH=still:3000", "--set", "queue=front"), "simulation.KEY=VALUE"),
        (("--market", "ETH=still:3000", "--set", "simulation.queu=front"), "queue"),
        (("--market", "ETH=still:3000", "--fund", "0x12"), "ADDRESS=AMOUNT"),
        (("--market", "ETH=still:3000", "--fund", "0x12=5"), "is no address"),
        (("--market", "ETH=still:3000", "--accounts", "1", "--fund", f"0x{5:040x}=5"), "accounts"),
        (("--market", "ETH=still:3000", "--exec", ""), "names no program"),
        (("--market", "ETH=still:3000", "--exec", "python 'x"), "--exec"),
        (("--market", "ETH=still:3000", "--exec", "no-such-program-here"), "no-such-program"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_sentence(
    command: Command, monkeypatch, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    ended = command("serve", "hyperliquid", "--port", "0", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_port_that_is_taken_is_refused(command: Command, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = command("serve", "hyperliquid", "--market", "ETH=still:3000", "--port", port)
    assert ended.code == 2
    assert "in use" in ended.err


def test_what_is_not_installed_is_named(command: Command, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PAPERTAPE_HOME", str(tmp_path / "home"))
    for name in [name for name in sys.modules if name.startswith("sim.venues.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    ended = command("serve", "hyperliquid", "--market", "ETH=still:3000")
    assert ended.code == 2
    assert 'aiohttp: pip install "papertape[serve]"' in ended.err


# --- the test key ---------------------------------------------------------------------------------


def test_the_test_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key, address, path = venue_key(tmp_path / "new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_venue_key(key)
    assert venue_key(tmp_path / "new")[:2] == (key, address)
    assert venue_key(tmp_path / "other")[1] != address
    assert re.fullmatch("0x[0-9a-f]{40}", address)


def test_a_key_of_somebodys_own_is_refused_without_showing_it(tmp_path: Path) -> None:
    digits = "0x" + "4c" * 32
    write_private(tmp_path / FILE, digits)
    with pytest.raises(Exception, match="papertape did not make") as refusal:
        venue_key(tmp_path)
    assert "4c4c" not in str(refusal.value)


def test_a_changed_test_key_is_no_test_key() -> None:
    from broker_api.secret import Secret

    text = new_venue_key().reveal()
    changed = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert is_venue_key(Secret(text))
    assert not is_venue_key(Secret(changed))
    assert not is_venue_key(Secret("0x" + "12" * 16))
    assert not is_venue_key(Secret("no key at all"))


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    _, _, path = venue_key(tmp_path)
    path.chmod(0o644)
    with pytest.raises(Exception, match="0644"):
        venue_key(tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PAPERTAPE_HOME": "/a"}, "/a"),
        ({"XDG_CONFIG_HOME": "/b"}, "/b/papertape"),
        ({"HOME": "/c"}, "/c/.config/papertape"),
    ],
)
def test_papertapes_folder_is_the_users(
    monkeypatch, variables: dict[str, str], expected: str
) -> None:
    for name in ("PAPERTAPE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert papertape_home() == Path(expected)
