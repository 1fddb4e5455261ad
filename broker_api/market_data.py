"""Market data of one instrument: what is known now, bars with history, and live subscriptions.

Prices and sizes are in the instrument's own units. Nothing here is ever newer than session time.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

from broker_api.errors import ConfigurationError, TradingError
from broker_api.instrument import Instrument
from broker_api.notice import EventType, Handler, Subscription
from broker_api.quote import Bar, Quote, Trade
from broker_api.session import Session

STREAM_LENGTH_MAX = 100_000
"""Items that an iterator may fall behind before it ends with an error."""

_SECOND_NS = 1_000_000_000
_UNITS_NS = {
    "s": _SECOND_NS,
    "m": 60 * _SECOND_NS,
    "h": 3_600 * _SECOND_NS,
    "d": 86_400 * _SECOND_NS,
}
_KNOWN = ("1sec", "5sec", "15sec", "30sec", "1min", "5min", "15min", "30min", "1hr", "4hr", "1day")
_UNIT_FORMS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
}
_UNIT_OF = {form: unit for unit, forms in _UNIT_FORMS.items() for form in forms}
TICK_FIELDS = ("ts_ns", "bid", "ask", "bid_size", "ask_size", "price", "size", "side")
"""What a handler of ticks may ask for, see `MarketData.on_tick`."""
_FORM = re.compile(r"\s*(\d{1,6})\s*([A-Za-z]+)\s*")


def timeframe_ns(timeframe: str | int | timedelta) -> int:
    """The length of a bar: "1s", "5sec", "1min", "4hr", "1day", seconds, or a timedelta.

    Raises ConfigurationError with the nearest known name, and outside 1 second to 1 day.
    """
    if isinstance(timeframe, timedelta):
        length = timeframe // timedelta(microseconds=1) * 1000
    elif isinstance(timeframe, int) and not isinstance(timeframe, bool):
        length = timeframe * _SECOND_NS
    else:
        text = str(timeframe)
        match = _FORM.fullmatch(text)
        unit = None if match is None else _UNIT_OF.get(match[2].lower())
        if match is None or unit is None or match[2] == "M":  # M is a month elsewhere
            near = difflib.get_close_matches(text.strip().lower(), _KNOWN, n=1, cutoff=0.5)
            hint = f'; did you mean "{near[0]}"?' if near else f"; known are {', '.join(_KNOWN)}"
            raise ConfigurationError(f"timeframe {timeframe!r} is unknown{hint}")
        length = int(match[1]) * _UNITS_NS[unit]
    if not _SECOND_NS <= length <= _UNITS_NS["d"]:
        raise ConfigurationError(f"timeframe {timeframe!r} is not between 1 second and 1 day")
    return length


class MarketData:
    """Quotes, trades and bars of one instrument.

    `last_quote`, `last_trade`, `current_price`, `bars` look at what is known now; `on_quote`,
    `on_trade`, `on_bar` call a handler; `quotes`, `trades`, `stream_bars` are async iterators.
    """

    def __init__(self, session: Session, index: int) -> None:
        self._session = session
        self._index = index

    @property
    def instrument_info(self) -> Instrument:
        """What is traded."""
        return self._session.instruments[self._index]

    @property
    def last_quote(self) -> Quote | None:
        """The quote in force, None before the first."""
        return self._session.broker.last_quote(self._index)

    @property
    def last_trade(self) -> Trade | None:
        """The newest print, None before the first."""
        return self._session.broker.last_trade(self._index)

    @property
    def current_price(self) -> float | None:
        """The price of the newest print, else the mid of the quote, None while neither is known."""
        trade = self.last_trade
        if trade is not None:
            return trade.price
        quote = self.last_quote
        return None if quote is None else quote.mid

    async def get_current_price(self) -> float | None:
        """The same as `current_price`."""
        return self.current_price

    def bars(self, timeframe: str | int | timedelta, count: int = 100) -> list[Bar]:
        """The newest `count` complete bars, oldest first; fewer where the tape holds fewer."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigurationError(f"count {count!r} is not a whole number of at least 1")
        return self._session.broker.bars(self._index, timeframe_ns(timeframe), count)

    # --- handlers ------------------------------------------------------------------------------

    async def on_quote(self, handler: Handler) -> Subscription:
        """Call `handler(Quote)` whenever the best bid or offer changes."""
        return self._session.subscribe_rows(EventType.QUOTE, handler, self._index)

    async def on_trade(self, handler: Handler) -> Subscription:
        """Call `handler(Trade)` at every print."""
        return self._session.subscribe_rows(EventType.TRADE, handler, self._index)

    async def on_tick(self, handler: Callable[..., object]) -> Subscription:
        """Call `handler` at every row, with the values that its parameters name; the fastest way.

        Parameters may be any of `ts_ns`, `bid`, `ask`, `bid_size`, `ask_size` (the book after the
        row; a price is nan where the side is empty), `price`, `size`, `side` of a print (nan, 0 and
        0 where the row is none; side +1 is a buyer's). Raises ConfigurationError for another name.
        """
        fields = tick_fields(handler)
        return self._session.subscribe_rows(EventType.TICK, handler, self._index, fields)

    async def on_bar(self, timeframe: str | int | timedelta, handler: Handler) -> Subscription:
        """Call `handler(Bar)` whenever a bar is complete."""
        return self._session.subscribe_bars(handler, self._index, timeframe_ns(timeframe))

    # --- iterators -----------------------------------------------------------------------------

    def quotes(self) -> AsyncIterator[Quote]:
        """Every quote from the first `async for` step on."""
        return self._stream(EventType.QUOTE, 0)

    def trades(self) -> AsyncIterator[Trade]:
        """Every print from the first `async for` step on."""
        return self._stream(EventType.TRADE, 0)

    def stream_bars(self, timeframe: str | int | timedelta) -> AsyncIterator[Bar]:
        """Every bar that completes from the first `async for` step on."""
        return self._stream(EventType.BAR, timeframe_ns(timeframe))

    async def _stream(self, event_type: EventType, interval_ns: int) -> AsyncIterator[Any]:
        self._session.check()
        stream = _Stream()
        broker = self._session.broker
        if event_type is EventType.BAR:
            unsubscribe = broker.subscribe_bars(self._index, interval_ns, stream)
        else:
            unsubscribe = broker.subscribe_rows(self._index, event_type.value, stream)
        self._session.on_close(stream.end)
        try:
            while True:
                item = await stream.take()
                if item is None:
                    return
                yield item
        finally:
            unsubscribe()
            self._session.off_close(stream.end)


def tick_fields(handler: Callable[..., object]) -> tuple[str, ...]:
    """The parameters of a handler of ticks. Raises ConfigurationError with the nearest name."""
    names = tuple(inspect.signature(handler).parameters)
    for name in names:
        if name not in TICK_FIELDS:
            near = difflib.get_close_matches(name, TICK_FIELDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(
                f"a tick has no {name!r}{hint}; known are {', '.join(TICK_FIELDS)}"
            )
    if not names:
        raise ConfigurationError(
            f"the handler of ticks takes nothing; name what it needs of {', '.join(TICK_FIELDS)}"
        )
    return names


class _Stream:
    """A bounded queue between the feed and one iterator; it ends with the session."""

    def __init__(self) -> None:
        self._items: deque[object] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._lost = 0

    fields: tuple[str, ...] = ()
    spawn = None

    def direct(self) -> Callable[..., object]:
        """Rows may be put in at any time."""
        return self.__call__

    def failed(self, failure: Exception) -> bool:
        """Putting does not fail."""
        raise failure

    def adopt(self, result: object) -> None:
        """Putting returns nothing."""

    def __call__(self, *items: Any) -> None:
        (item,) = items
        if len(self._items) < STREAM_LENGTH_MAX:
            self._items.append(item)
        else:
            self._lost += 1
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> object | None:
        """The next item, None at the session's end."""
        while not self._items:
            if self._lost:
                raise TradingError(f"the iterator fell behind and lost {self._lost} items")
            if self._ended:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._items.popleft()
