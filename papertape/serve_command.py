"""`papertape serve`: a local venue that programs for the real one connect to.

Exit codes: 0 it was stopped, 2 something was refused before it began, 1 it broke; with --exec the
program's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from broker_api.errors import TradingError
from broker_api.secret import Secret
from data.schema import TapeError
from papertape.home import papertape_home, write_private

if TYPE_CHECKING:
    from sim.venues.server import VenueServer

REFUSED, BROKEN, INTERRUPTED = 2, 1, 130
DEFAULT_PORT = 3001
"""The port of the SDK's own constant for a local server."""
PROJECTX_PORT = 3002

app = typer.Typer(
    help="Local venues: a real venue's protocol over the simulated exchange.", no_args_is_help=True
)


@app.callback()
def _serve() -> None:
    """Local venues: a real venue's protocol over the simulated exchange."""


@dataclass(frozen=True)
class Session:
    """A venue that serves: what it says of itself, given its address, and who trades on it.

    `printed` are secrets for --print-env, `given` those that a program finds in its environment.
    """

    make: Callable[[], VenueServer]
    ready: Callable[[str], str]
    places: Callable[[str], dict[str, str]]
    printed: Mapping[str, Secret]
    given: Mapping[str, Secret]
    program: str | None
    prints_env: bool


_Tapes = Annotated[
    list[str] | None,
    typer.Option("--tape", metavar="SYMBOL=FILE", help="a market that plays a Parquet tape"),
]
_Markets = Annotated[
    list[str] | None,
    typer.Option(
        "--market",
        metavar="SYMBOL=WHAT",
        help="sample, synthetic[:seed=1,hours=2,price=3000], still:PRICE, or a file",
    ),
]
_Speed = Annotated[str, typer.Option(help="1 as recorded, 60 sixty times as fast, or stepped")]
_Port = Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one")]
_Host = Annotated[str, typer.Option(help="a loopback address")]
_Open = Annotated[bool, typer.Option("--open-to-others", help="allow a host that others can reach")]
_Accounts = Annotated[int, typer.Option(min=1, max=16, help="addresses that may trade at once")]
_Cash = Annotated[float, typer.Option(min=0.01, help="dollars of the test key's account")]
_Funds = Annotated[
    list[str] | None,
    typer.Option("--fund", metavar="ADDRESS=AMOUNT", help="dollars for another address"),
]
_Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="a setting: simulation.queue=front"),
]
_Catalog = Annotated[
    list[Path] | None, typer.Option("--catalog", help="a file of your own instruments")
]
_Limits = Annotated[
    bool, typer.Option("--rate-limits", help="limit requests by IP address as the live venue")
]
_Program = Annotated[
    str | None,
    typer.Option("--exec", metavar="COMMAND", help="run this against the venue, then stop"),
]
_Env = Annotated[
    bool,
    typer.Option("--print-env", help="print what a configuration needs, the test key included"),
]


_Cash50 = Annotated[float, typer.Option(min=0.01, help="dollars of each account")]
_AccountCount = Annotated[int, typer.Option(min=1, max=16, help="accounts of the user")]
_UserLimits = Annotated[
    bool, typer.Option("--rate-limits", help="limit a user's requests as the live gateway")
]
_Unsigned = Annotated[
    bool, typer.Option("--unsigned-brackets", help="take ticks of brackets without their sign")
]
_AsNow = Annotated[
    bool, typer.Option("--as-now", help="show times as if the market had begun just now")
]


@app.command()
def hyperliquid(
    tape: _Tapes = None,
    market: _Markets = None,
    speed: _Speed = "1",
    port: _Port = DEFAULT_PORT,
    control_port: _Port = 0,
    host: _Host = "127.0.0.1",
    open_to_others: _Open = False,
    accounts: _Accounts = 16,
    cash: _Cash = 10_000.0,
    fund: _Funds = None,
    assignments: _Assignments = None,
    catalog: _Catalog = None,
    rate_limits: _Limits = False,
    program: _Program = None,
    print_env: _Env = False,
) -> None:
    """Serve Hyperliquid's API for perpetuals on this machine."""

    def session() -> Session:
        from papertape.venue_key import venue_key
        from papertape.venue_settings import hyperliquid_settings
        from sim.venues.hyperliquid.serve import make_server
        from sim.venues.server import ServerSettings

        key, address, key_file = venue_key()
        settings = hyperliquid_settings(
            [*(tape or []), *(market or [])],
            catalog or [],
            assignments or [],
            [f"{address}={cash}", *(fund or [])],
            ServerSettings(control_token(), host, port, control_port, open_to_others),
            speed=speed,
            accounts=accounts,
            limits_by_ip=rate_limits,
        )
        return Session(
            make=lambda: make_server(settings, time.time_ns),
            ready=lambda url: f"hyperliquid at {url}, WebSocket {_ws(url)}",
            places=lambda url: {
                "PAPERTAPE_VENUE_WS": _ws(url),
                "PAPERTAPE_ACCOUNT": address,
                "PAPERTAPE_KEY_FILE": str(key_file),
            },
            printed={"HYPERLIQUID_SECRET_KEY": key},
            given={},
            program=program,
            prints_env=print_env,
        )

    _run(session)


@app.command()
def projectx(
    tape: _Tapes = None,
    market: _Markets = None,
    speed: _Speed = "1",
    port: _Port = PROJECTX_PORT,
    control_port: _Port = 0,
    host: _Host = "127.0.0.1",
    open_to_others: _Open = False,
    accounts: _AccountCount = 1,
    cash: _Cash50 = 50_000.0,
    assignments: _Assignments = None,
    catalog: _Catalog = None,
    rate_limits: _UserLimits = False,
    unsigned_brackets: _Unsigned = False,
    as_now: _AsNow = False,
    program: _Program = None,
    print_env: _Env = False,
) -> None:
    """Serve the ProjectX Gateway's API for futures on this machine."""

    def session() -> Session:
        from papertape.venue_key import PROJECTX_FILE, kept_key
        from papertape.venue_settings import PROJECTX_USER, projectx_settings
        from sim.venues.projectx.serve import make_server
        from sim.venues.server import ServerSettings

        key, key_file = kept_key(PROJECTX_FILE)
        settings = projectx_settings(
            [*(tape or []), *(market or [])],
            catalog or [],
            assignments or [],
            ServerSettings(control_token(), host, port, control_port, open_to_others),
            key,
            cash=Decimal(str(cash)),
            accounts=accounts,
            speed=speed,
            has_limits=rate_limits,
            signed_brackets=not unsigned_brackets,
            begins_ns=time.time_ns() if as_now else None,
        )
        return Session(
            make=lambda: make_server(settings, time.time_ns),
            ready=lambda url: f"projectx at {url}/api, hubs {url}/hubs/user and /hubs/market",
            places=lambda url: {
                "PROJECTX_API_URL": f"{url}/api",
                "PROJECTX_USER_HUB_URL": f"{url}/hubs/user",
                "PROJECTX_MARKET_HUB_URL": f"{url}/hubs/market",
                "PROJECT_X_USERNAME": PROJECTX_USER,
                "PAPERTAPE_KEY_FILE": str(key_file),
            },
            printed={"PROJECT_X_API_KEY": key},
            given={"PROJECT_X_API_KEY": key},
            program=program,
            prints_env=print_env,
        )

    _run(session)


def _run(make: Callable[[], Session]) -> None:
    """Serve a session to its end, then exit."""
    try:
        code = asyncio.run(serve(make()))
    except ModuleNotFoundError as missing:
        typer.echo(
            f"papertape: local venues need the package {missing.name}: "
            'pip install "papertape[serve]"',
            err=True,
        )
        raise typer.Exit(REFUSED) from None
    except (TradingError, TapeError, OSError) as refusal:
        typer.echo(f"papertape: {refusal}", err=True)
        raise typer.Exit(REFUSED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(code)


def control_token() -> Secret:
    """The token of the control port: PAPERTAPE_CONTROL_TOKEN, else a new one."""
    name = "PAPERTAPE_CONTROL_TOKEN"
    if name in os.environ:
        return Secret.from_environment(name)
    return Secret(secrets.token_urlsafe(24))


async def serve(session: Session) -> int:
    """Serve until stopped, or until the program has ended; the exit code."""
    server = session.make()
    await server.start()
    token_file = papertape_home() / f"control-{server.control_url.rpartition(':')[2]}.token"
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
            loop.add_signal_handler(number, server.stop_soon)
    try:
        write_private(token_file, server.settings.token.reveal() + "\n")
        _tell(session, server, token_file)
        if session.program is None:
            await server.until_stopped()
            return 0
        return await run_program(session, server)
    finally:
        token_file.unlink(missing_ok=True)
        await server.stop()


def _tell(session: Session, server: VenueServer, token_file: Path) -> None:
    """The line that says that the venue is ready, and what a configuration needs."""
    if session.prints_env:
        for name, value in environment(session, server, token_file).items():
            typer.echo(f"{name}={shlex.quote(value)}")
        for name, secret in session.printed.items():
            typer.echo(f"{name}={secret.reveal()}")
    typer.echo(
        f"ready: {session.ready(server.url)}, control at {server.control_url} with the token in "
        f"{token_file}"
    )
    sys.stdout.flush()


def _ws(url: str) -> str:
    return "ws" + url.removeprefix("http") + "/ws"


def environment(session: Session, server: VenueServer, token_file: Path) -> dict[str, str]:
    """What a program needs to find the venue: no secret, but the files that hold them."""
    return {
        "PAPERTAPE_VENUE_URL": server.url,
        "PAPERTAPE_CONTROL_URL": server.control_url,
        "PAPERTAPE_CONTROL_TOKEN_FILE": str(token_file),
        **session.places(server.url),
    }


# --- programs -------------------------------------------------------------------------------------


async def run_program(session: Session, server: VenueServer) -> int:
    """Run a command against the venue; its exit code. When the venue stops first it is ended."""
    command = program_of(session.program or "")
    token_file = papertape_home() / f"control-{server.control_url.rpartition(':')[2]}.token"
    site = str(Path(__file__).parent / "exec_site")
    path = os.pathsep.join([site, *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {name: secret.reveal() for name, secret in session.given.items()}
    found = {**os.environ, **environment(session, server, token_file), **given}
    found["PYTHONPATH"] = path
    child = await asyncio.create_subprocess_exec(*command, env=found)
    ended = asyncio.create_task(child.wait())
    stopped = asyncio.create_task(server.until_stopped())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await ended
    stopped.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopped
    code = ended.result()
    return code if code >= 0 else 128 - code


def program_of(text: str) -> list[str]:
    """A command's words. `python` is the one that runs papertape: it has the SDK beside it."""
    from broker_api.errors import ConfigurationError

    try:
        words = shlex.split(text)
    except ValueError as fault:
        raise ConfigurationError(f"--exec {text!r}: {fault}") from None
    if not words:
        raise ConfigurationError("--exec names no program")
    return [sys.executable, *words[1:]] if words[0] in ("python", "python3") else words
