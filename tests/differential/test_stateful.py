"""Hypothesis drives both exchanges; what it finds it shrinks to a story of a few lines.

The story is Python that runs: a tape in lines, orders as text, as `tests/sim/market.py` reads them.
After every step events, canonical states and promises are compared and checked there. The examples
are always the same; `--hypothesis-profile nightly` draws new ones, and many more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from broker_api.order import TriggerSource
from tests.sim.market import Market, an_instrument

pytestmark = pytest.mark.slow

KINDS = ("market", "limit", "limit", "stop", "stop limit", "touched", "touched limit", "trail")
NIGHTLY = "nightly"
IS_NIGHTLY = settings.get_current_profile_name() == NIGHTLY

prices = st.integers(94, 106)
lots = st.integers(1, 6)
sides = st.sampled_from(("buy", "sell"))


@st.composite
def quotes(draw: Any) -> str:
    """Bid and offer near 100, each side maybe empty, sometimes locked."""
    bid, spread = draw(st.integers(97, 102)), draw(st.sampled_from((1, 1, 2, 0)))
    texts = [f"{draw(lots)}x{bid}", f"{bid + spread}x{draw(lots)}"]
    empty = draw(st.sampled_from((None, None, None, None, 0, 1)))
    if empty is not None:
        texts[empty] = "-"
    return " ".join(texts)


@st.composite
def tapes(draw: Any) -> list[str]:
    """Some rows, many of one time; every halt ends at the next row or later."""
    rows, ts, halted = [f"0 {draw(quotes())}"], 0, False
    for _ in range(draw(st.integers(3, 14))):
        ts += draw(st.sampled_from((5, 5, 0, 1)))
        what = draw(st.sampled_from(("quote", "print", "print", "quote", "mark", "halt")))
        if what == "quote":
            rows.append(f"{ts} {draw(quotes())}")
        elif what == "print":
            side = draw(st.sampled_from(("buy", "sell", "print")))
            book = draw(st.one_of(st.just(""), quotes()))
            rows.append(f"{ts} {side} {draw(lots)}@{draw(st.integers(96, 104))} {book}".strip())
        elif what == "mark":
            word = draw(st.sampled_from(("mark", "funding 300ppm")))
            rows.append(f"{ts} {word} {draw(st.integers(96, 104))}")
        else:
            halted = not halted
            rows.append(f"{ts} {'halt' if halted else 'resume'}")
    return rows


@st.composite
def orders(draw: Any) -> str:
    """An order as text."""
    kind = draw(st.sampled_from(KINDS))
    words = [draw(sides), str(draw(lots))]
    if kind == "market":
        words += ["market", *draw(st.sampled_from(((), ("ioc",), ("fok",), ("protect=1",))))]
    for word in kind.split():
        if word != "market":
            words += [word, str(draw(st.integers(1, 4) if word == "trail" else prices))]
    if kind != "market":
        extra = ((), (), ("post-only",), ("fok",), ("ioc",), ("gtd=20",), ("reduce-only",))
        words += draw(st.sampled_from(extra))
    return " ".join(words)


accounts = st.integers(0, 2)
exits = st.one_of(
    st.none(),
    st.integers(1, 4).map("+{}".format),
    st.integers(94, 106).map(str),
)
stop_exits = st.one_of(
    exits, st.integers(1, 3).map("+{} limit 1".format), st.integers(1, 3).map("trail {}".format)
)


class TwoExchanges(RuleBasedStateMachine):
    """One market, two exchanges: every step is compared inside. `ids` are (account, order id)."""

    ACCOUNTS = 1
    ids: Bundle[tuple[int, int]] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.market: Any = None

    @initialize(
        rows=tapes(),
        trigger=st.sampled_from(tuple(TriggerSource)),
        margin=st.booleans(),
        after=st.booleans(),
        queue=st.sampled_from(("proportional", "displayed", "front", "back")),
        beyond_top=st.sampled_from(("ladder", "wait", "infinite")),
        self_trade=st.sampled_from(("cancel_newest", "cancel_oldest", "cancel_both")),
        stop_wrong_side=st.sampled_from(("reject", "trigger")),
    )
    def open(
        self, rows: list[str], trigger: TriggerSource, margin: bool, after: bool, **settings: Any
    ) -> None:
        rates = {"initial_margin": Decimal(10), "maintenance_margin": Decimal(8)} if margin else {}
        instrument = an_instrument(
            trigger_source=trigger, taker_fee_ppm=450, maker_fee_ppm=-50, **rates
        )
        self.market = Market(
            *rows,
            instruments=[instrument],
            cash=150.0,
            margin=margin,
            bbo_after_trade=after,
            accounts=self.ACCOUNTS,
            **settings,
        )

    def _new(self, count: int, account: int) -> Any:
        """The newest ids of an account, each with whose it is."""
        last = self.market.next_ids[account]
        return multiple(*((account, order_id) for order_id in range(last - count, last)))

    @rule(target=ids, text=orders(), account=accounts)
    def place(self, text: str, account: int) -> Any:
        account %= self.ACCOUNTS
        self.market.place(text, account=account)
        return self._new(1, account)

    @rule(
        target=ids,
        text=orders(),
        stop=stop_exits,
        profit=exits,
        arm=st.sampled_from(("partial", "full")),
        account=accounts,
    )
    def bracket(
        self, text: str, stop: str | None, profit: str | None, arm: str, account: int
    ) -> Any:
        account %= self.ACCOUNTS
        self.market.bracket(text, stop=stop, target=profit, arm=arm, account=account)
        return self._new(1 + (stop is not None) + (profit is not None), account)

    @rule(
        target=ids,
        first=orders(),
        second=orders(),
        on_partial=st.sampled_from(("shrink", "cancel")),
        account=accounts,
    )
    def oco(self, first: str, second: str, on_partial: str, account: int) -> Any:
        account %= self.ACCOUNTS
        self.market.oco(first, second, on_partial=on_partial, account=account)
        return self._new(2, account)

    @rule(
        order=ids,
        size=st.one_of(st.none(), st.integers(1, 9)),
        limit=st.one_of(st.none(), prices),
        stop=st.one_of(st.none(), st.none(), prices),
    )
    def replace(
        self, order: tuple[int, int], size: int | None, limit: int | None, stop: int | None
    ) -> None:
        self.market.replace(order[1], size=size, limit=limit, stop=stop, account=order[0])

    @rule(order=ids)
    def cancel(self, order: tuple[int, int]) -> None:
        self.market.cancel(order[1], account=order[0])

    @rule(ns=st.sampled_from((1, 5, 5, 10)))
    def wait(self, ns: int) -> None:
        self.market.run_to(self.market.exchange.now_ns + ns)

    @rule()
    def wait_for_the_end(self) -> None:
        self.market.run_to(200)


class ThreeAccounts(TwoExchanges):
    """The same with three accounts on the book."""

    ACCOUNTS = 3


def _case_of(machine: type[TwoExchanges]) -> Any:
    machine.TestCase.settings = settings(
        max_examples=20_000 if IS_NIGHTLY else 150,
        stateful_step_count=40 if IS_NIGHTLY else 20,
        derandomize=not IS_NIGHTLY,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    return pytest.mark.timeout(3600)(machine.TestCase)


test_both_exchanges_do_the_same = _case_of(TwoExchanges)
test_both_exchanges_do_the_same_with_three_accounts = _case_of(ThreeAccounts)
