"""The port that controls a local venue: time, prices, faults, money, snapshots.

JSON in, JSON out; every request carries the token (`Authorization: Bearer ...`). What is refused
answers 400 with the reason, and has changed nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from aiohttp import web

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError, TradingError
from broker_api.instrument import NANOS
from broker_api.secret import Secret
from sim.venues.clock import speed_of
from sim.venues.faults import Chaos, Fault, Faults
from sim.venues.runner import MS_NS, Runner
from sim.venues.sockets import Sockets

Table = Mapping[str, Any]
_UNITS_NS = {"ns": 1, "ms": MS_NS, "seconds": NANOS}


class ControlApi:
    """Answers of the control port. `publish` tells subscribers what a request has caused."""

    def __init__(
        self,
        runner: Runner,
        faults: Faults,
        sockets: Sockets,
        publish: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._faults = faults
        self._sockets = sockets
        self._publish = publish
        self._stop = stop

    def app(self, token: Secret, body_bytes_max: int) -> web.Application:
        """The web application that asks for this token."""

        @web.middleware
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            if scheme != "Bearer" or not token.matches(given):
                return _json({"error": "the control token is missing or wrong"}, 401)
            try:
                return await handler(request)
            except TradingError as refusal:
                return _json({"error": str(refusal)}, 400)
            except web.HTTPException as refusal:
                return _json({"error": f"{request.path}: {refusal.reason}"}, refusal.status)

        app = web.Application(middlewares=[guard], client_max_size=body_bytes_max)
        app.add_routes([web.get("/journal", self._journal), web.get("/snapshot", self._snapshot)])
        for method, path, act in self._acts():
            app.router.add_route(method, path, self._handler(act))
        return app

    def _acts(self) -> list[tuple[str, str, Callable[[Table], Table]]]:
        return [
            ("GET", "/state", self._state),
            ("POST", "/advance", self._advance),
            ("POST", "/pause", lambda body: self._set_speed({"speed": "stepped"})),
            ("POST", "/speed", self._set_speed),
            ("POST", "/price", self._set_price),
            ("POST", "/halt", lambda body: self._set_halt(body, halted=True)),
            ("POST", "/resume", lambda body: self._set_halt(body, halted=False)),
            ("POST", "/faucet", self._give),
            ("GET", "/faults", lambda body: self._faults.table()),
            ("POST", "/faults", self._add_faults),
            ("DELETE", "/faults", self._clear_faults),
            ("POST", "/disconnect", lambda body: {"closed": self._sockets.disconnect()}),
            ("POST", "/restore", self._restore),
            ("POST", "/reset", self._reset),
            ("POST", "/stop", self._end),
        ]

    def _handler(self, act: Callable[[Table], Table]) -> Callable[[web.Request], Awaitable[Any]]:
        async def answer(request: web.Request) -> web.Response:
            done = act(_body(await request.text()))
            self._publish()
            return _json(done)

        return answer

    # --- time ------------------------------------------------------------------------------------

    def _advance(self, body: Table) -> Table:
        runner = self._runner
        if body.get("until") in ("fill", "end"):
            _only(body, ("until", "ns", "ms", "seconds"))
            span = _span_ns(body)
            ends_ns = max(runner.venue.ends_ns)
            until_ns = ends_ns if span is None else runner.venue.now_ns + span
            if body["until"] == "fill":
                return self._time() | {"fill": runner.advance_to_fill(until_ns)} | self._time()
            runner.advance_to(max(until_ns, runner.venue.now_ns))
            return self._time()
        if "to" in body:
            _only(body, ("to",))
            runner.advance_to(_instant_ns(body["to"]))
            return self._time()
        _only(body, tuple(_UNITS_NS))
        span = _span_ns(body)
        if span is None:
            raise ConfigurationError(
                'advance needs "ns", "ms" or "seconds", "to", or "until": "fill" or "end"'
            )
        runner.catch_up()
        runner.advance_to(runner.venue.now_ns + span)
        return self._time()

    def _set_speed(self, body: Table) -> Table:
        _only(body, ("speed",))
        self._runner.set_speed(speed_of(str(body.get("speed"))))
        return self._time()

    def _time(self) -> dict[str, Any]:
        now_ns, speed = self._runner.venue.now_ns, self._runner.clock.speed
        return {
            "market_ns": now_ns,
            "market_time": _iso(now_ns),
            "speed": "stepped" if not speed else float(speed),
        }

    # --- the market ------------------------------------------------------------------------------

    def _set_price(self, body: Table) -> Table:
        _only(body, ("symbol", "price", "size", "spread_ticks"))
        venue = self._runner.venue
        index = venue.index_of(str(body.get("symbol")))
        instrument = venue.instruments[index]
        ticks = instrument.order_price_to_ticks(_number(body, "price"))
        sizes = _last_sizes(self._runner, index)
        if "size" in body:
            sizes = (instrument.size_to_lots(_number(body, "size")),) * 2
        spread = body.get("spread_ticks", 2)
        if not isinstance(spread, int) or not 1 <= spread <= 1_000_000 or min(sizes) < 0:
            raise ConfigurationError(f"spread_ticks {spread!r} is not a whole number from 1")
        payload = {"symbol": instrument.symbol, "ticks": ticks, "spread_ticks": spread}
        self._runner.perform("price", payload | {"sizes": list(sizes)})
        self._runner.clock.stand_at(self._runner.venue.now_ns)
        return self._time()

    def _set_halt(self, body: Table, *, halted: bool) -> Table:
        _only(body, ("symbol",))
        symbol = str(body.get("symbol"))
        self._runner.venue.index_of(symbol)
        self._runner.perform("halt", {"symbol": symbol, "halted": halted})
        self._runner.clock.stand_at(self._runner.venue.now_ns)
        return self._time()

    def _give(self, body: Table) -> Table:
        _only(body, ("user", "amount"))
        payload = {"user": str(body.get("user")), "amount": str(_number(body, "amount"))}
        answer: Table = self._runner.perform("faucet", payload)
        return answer

    def _state(self, body: Table) -> Table:
        runner = self._runner
        runner.catch_up()
        venue = runner.venue
        return self._time() | {
            "venue": runner.engine.name,
            "markets": [self._market(index) for index in range(len(venue.instruments))],
            "accounts": [self._account(number) for number in range(len(venue.owners))],
            "accounts_free": len(venue.ledgers) - len(venue.owners),
            "inputs": len(runner.inputs),
            "events": len(venue.events),
            "sockets": len(self._sockets),
            "state": venue.exchange.state_hash,
        }

    def _market(self, index: int) -> Table:
        venue = self._runner.venue
        instrument, touch = venue.instruments[index], venue.touch(index)
        return {
            "symbol": instrument.symbol,
            "plays": venue.origins[index],
            "ended": venue.has_ended(index),
            "bid": _price(instrument, touch.bid_ticks),
            "ask": _price(instrument, touch.ask_ticks),
            "mark": str(Decimal(venue.mark_nanos(index)) / NANOS),
        }

    def _account(self, number: int) -> Table:
        venue = self._runner.venue
        ledger = venue.ledgers[number]
        return {
            "owner": venue.owners[number],
            "cash": str(Decimal(ledger.cash_nanos) / NANOS),
            "fees": str(Decimal(ledger.fees_nanos) / NANOS),
            "working_orders": len(ledger.working),
            "positions": {
                position.spec.symbol: position.spec.format_size(position.lots)
                for position in ledger.positions
                if position.lots
            },
        }

    # --- faults ----------------------------------------------------------------------------------

    def _add_faults(self, body: Table) -> Table:
        _only(body, ("rules", "chaos"))
        rules, chaos = body.get("rules", []), body.get("chaos")
        if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
            raise ConfigurationError("rules is a list of objects, each with a kind")
        found = None if chaos is None else Chaos.parse(chaos)
        self._faults.add([Fault.parse(rule) for rule in rules], found)
        return self._faults.table()

    def _clear_faults(self, body: Table) -> Table:
        self._faults.clear()
        return self._faults.table()

    # --- snapshots -------------------------------------------------------------------------------

    async def _snapshot(self, request: web.Request) -> web.Response:
        return _json(self._runner.snapshot())

    async def _journal(self, request: web.Request) -> web.Response:
        self._runner.catch_up()
        lines = "".join(line + "\n" for line in self._runner.journal())
        return web.Response(text=lines, content_type="application/jsonl")

    def _restore(self, body: Table) -> Table:
        self._runner.restore(body)
        self._sockets.disconnect()
        return self._time()

    def _reset(self, body: Table) -> Table:
        self._runner.reset()
        self._faults.clear()
        self._sockets.disconnect()
        return self._time()

    def _end(self, body: Table) -> Table:
        self._stop()
        return {"stopping": True}


# --- JSON -----------------------------------------------------------------------------------------


def _json(table: Table, status: int = 200) -> web.Response:
    return web.json_response(table, status=status)


def _body(text: str) -> Table:
    if not text.strip():
        return {}
    try:
        table = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise ConfigurationError("the body is no JSON") from None
    if not isinstance(table, dict):
        raise ConfigurationError("the body is no JSON object")
    return table


def _only(body: Table, names: tuple[str, ...]) -> None:
    for key in body:
        if key not in names:
            hint = near_miss(key, names) or f"; it takes {', '.join(names)}"
            raise ConfigurationError(f"this request takes no {key!r}{hint}")


def _number(body: Table, key: str) -> Decimal:
    value = body.get(key)
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise ConfigurationError(f"{key} {value!r} is not a number")
    return number


def _span_ns(body: Table) -> int | None:
    """The stretch of time that a body names, None for none. Raises ConfigurationError."""
    given = [key for key in _UNITS_NS if key in body]
    if not given:
        return None
    if len(given) > 1:
        raise ConfigurationError(f"advance takes one of {', '.join(_UNITS_NS)}, not several")
    span = int(Fraction(_number(body, given[0])) * _UNITS_NS[given[0]])
    if not 0 <= span < 1 << 62:
        raise ConfigurationError(f"{given[0]} {body[given[0]]} is not a stretch of time forward")
    return span


def _instant_ns(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        moment = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise ConfigurationError(
            f"to {value!r} is neither nanoseconds nor an ISO time with its zone"
        ) from None
    if moment.tzinfo is None:
        raise ConfigurationError(f"to {value!r} names no time zone; write Z or +00:00 behind it")
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * NANOS + since.microseconds * 1000


def _iso(ts_ns: int) -> str:
    seconds, rest = divmod(ts_ns, NANOS)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{rest:09d}Z"


def _price(instrument: Any, ticks: int | None) -> str | None:
    return None if ticks is None else instrument.format_price(ticks)


def _last_sizes(runner: Runner, index: int) -> tuple[int, int]:
    """The sizes at the touch now; of an empty side that of the other."""
    touch = runner.venue.touch(index)
    most = max(touch.bid_lots, touch.ask_lots, 1)
    return touch.bid_lots or most, touch.ask_lots or most
