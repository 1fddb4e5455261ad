"""The adapter's pure parts: settings, accounts, contracts, orders as they are posted, prices."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from broker_api.broker import Snapshot
from broker_api.catalog import load_catalog
from broker_api.errors import ConfigurationError, SecretError
from broker_api.event import EventRow, Reason, decode
from broker_api.ledger import Ledger
from broker_api.live.drafts import Refused
from broker_api.live.money import Money
from broker_api.live.tracks import Track
from broker_api.messages import decode as decode_wire
from broker_api.order import OrderRequest, OrderStatus, OrderType, ReplaceRequest, Side, TimeInForce
from broker_api.projectx.books import UNIT_NS, Books
from broker_api.projectx.config import PLACES, Place, ProjectXConfig, config_of
from broker_api.projectx.contracts import Contract, chosen, contract_of, root_of, searched
from broker_api.projectx.drafts import Touch, wire_order
from broker_api.projectx.market import Market
from broker_api.projectx.opening import account_of, snapshot_of
from broker_api.projectx.tags import Tags
from broker_api.projectx.tokens import life_of
from broker_api.projectx.watchdog import to_cancel
from broker_api.projectx.wire.fields import parse_body, time_ns
from broker_api.projectx.wire.records import (
    Account,
    ContractRecord,
    Order,
    Position,
    Trade,
    decode_pushed,
)
from broker_api.secret import Secret

KNOWN = tuple(load_catalog().values())
MNQ_RECORD = {
    "id": "CON.F.US.MNQ.Z26",
    "name": "MNQZ6",
    "description": "Micro E-mini NASDAQ-100: December 2026",
    "tickSize": 0.25,
    "tickValue": 0.5,
    "activeContract": True,
    "symbolId": "F.US.MNQ",
}
TOUCH = Touch(Decimal("20999.75"), Decimal("21000.25"), Decimal(21_000))


def record(kind: Any, table: dict[str, Any]) -> Any:
    """A record as it comes over the wire."""
    return decode_wire(kind, parse_body(json.dumps(table)))


def contract(**changes: Any) -> ContractRecord:
    return record(ContractRecord, {**MNQ_RECORD, **changes})


MNQ: Contract = contract_of(contract(), KNOWN)


def account(name: str, **changes: Any) -> Account:
    table = {"id": 1, "name": name, "balance": 50_000.0, "canTrade": True, "isVisible": True}
    return record(Account, {**table, "simulated": True, **changes})


def request(order_id: int = 1, **changes: Any) -> OrderRequest:
    terms: dict[str, Any] = {
        "order_id": order_id,
        "client_order_id": str(order_id),
        "instrument": "MNQ",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "size_lots": 3,
        "limit_ticks": 83_600,
    }
    return OrderRequest(**{**terms, **changes})


# --- where, as whom, on which account ------------------------------------------------------------


def test_the_place_is_as_named_else_as_the_environment_says_else_the_network() -> None:
    there = {
        "PROJECTX_API_URL": "http://127.0.0.1:9/api",
        "PROJECTX_USER_HUB_URL": "http://127.0.0.1:8/hubs/user",
    }
    named = ProjectXConfig(base_url="http://127.0.0.1:3002").place(there)
    assert named == Place(
        "http://127.0.0.1:3002/api",
        "http://127.0.0.1:3002/hubs/user",
        "http://127.0.0.1:3002/hubs/market",
    )
    found = ProjectXConfig().place(there)
    assert found == Place(
        "http://127.0.0.1:9/api", "http://127.0.0.1:8/hubs/user", "http://127.0.0.1:9/hubs/market"
    )
    assert ProjectXConfig().place({}) == PLACES["topstepx"]
    assert ProjectXConfig(network="demo").place({}) == PLACES["demo"]
    firm = ProjectXConfig(
        base_url="https://api.firm.example/api", hub_url="https://rtc.firm.example/hubs/"
    )
    assert firm.place({}).user_hub_url == "https://rtc.firm.example/hubs/user"
    with pytest.raises(ConfigurationError, match="--print-env"):
        ProjectXConfig(network="local").place({})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"base_url": "gateway"}, "is no address"),
        ({"acount": "X"}, "acount"),
        ({"network": "live"}, "network"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        config_of(settings)


def test_the_key_is_named_and_never_shown() -> None:
    environment = {"PROJECT_X_API_KEY": "the vendor's name", "PROJECT_X_USERNAME": "me"}
    config = ProjectXConfig()
    assert config.secret(environment).reveal() == "the vendor's name"
    ours = {**environment, "PAPERTAPE_PROJECTX_KEY": "our own name"}
    assert config.secret(ours).reveal() == "our own name"
    assert config.user_name(environment) == "me"
    with pytest.raises(SecretError, match="PAPERTAPE_PROJECTX_KEY"):
        config.secret({})
    with pytest.raises(ConfigurationError, match="PROJECT_X_USERNAME"):
        config.user_name({})
    assert "our own" not in repr(ProjectXConfig(key=Secret("our own name")))


def test_practice_accounts_are_the_default() -> None:
    real = account("FUNDED-1", simulated=False)
    practice = account("PRACTICE-1")
    closed = account("PRACTICE-0", canTrade=False)
    assert account_of([real, closed, practice], ProjectXConfig(), {}).name == "PRACTICE-1"
    with pytest.raises(ConfigurationError, match="has to be named"):
        account_of([real], ProjectXConfig(), {})
    with pytest.raises(ConfigurationError, match="PRACTICE-1"):
        account_of([practice], ProjectXConfig(account="PRACTICE-2"), {})
    with pytest.raises(ConfigurationError, match="cannot trade"):
        account_of([closed], ProjectXConfig(account="PRACTICE-0"), {})
    named = {"PROJECT_X_ACCOUNT_NAME": "practice-1"}
    assert account_of([real, practice], ProjectXConfig(), named).name == "PRACTICE-1"


@pytest.mark.parametrize(
    ("consents", "missing"),
    [
        (({}, {}), "i_accept_real_money=True in the program and PAPERTAPE_REAL_MONEY=yes"),
        (({"i_accept_real_money": True}, {}), "missing: PAPERTAPE_REAL_MONEY=yes"),
        (({}, {"PAPERTAPE_REAL_MONEY": "yes"}), "missing: i_accept_real_money=True"),
        (({"i_accept_real_money": True}, {"PAPERTAPE_REAL_MONEY": "1"}), "PAPERTAPE_REAL_MONEY"),
    ],
)
def test_real_money_needs_both_consents(
    consents: tuple[dict[str, Any], dict[str, str]], missing: str
) -> None:
    settings, environment = consents
    config = ProjectXConfig(account="FUNDED-1", **settings)
    with pytest.raises(ConfigurationError, match=missing):
        account_of([account("FUNDED-1", simulated=False)], config, environment)


def test_real_money_with_both_consents() -> None:
    config = ProjectXConfig(account="FUNDED-1", i_accept_real_money=True)
    found = account_of(
        [account("FUNDED-1", simulated=False)], config, {"PAPERTAPE_REAL_MONEY": "yes"}
    )
    assert found.name == "FUNDED-1"


def test_the_snapshot_is_the_balance_and_what_is_held() -> None:
    table = {"id": 7, "accountId": 1, "contractId": MNQ.id, "type": 2, "size": 3}
    table |= {"creationTimestamp": "2026-11-21T10:22:00+00:00", "averagePrice": 21_000.166667}
    snapshot = snapshot_of(account("A", balance=50_123.45), [record(Position, table)], [MNQ])
    assert snapshot.cash_nanos == 50_123_450_000_000
    (state,) = snapshot.positions
    assert (state.position_lots, state.position_cost) == (-3, -252_002)


# --- contracts -----------------------------------------------------------------------------------


def test_of_a_fuzzy_search_the_product_is_chosen() -> None:
    others = [
        contract(id="CON.F.US.EP.Z26", name="ESZ6"),
        contract(id="CON.F.US.MES.Z26", name="MESZ6"),
        contract(id="CON.F.US.EP.H27", name="ESH7", activeContract=False),
    ]
    assert chosen("ES", others).id == "CON.F.US.EP.Z26"
    assert chosen("ESH7", others).id == "CON.F.US.EP.H27"
    assert chosen("CON.F.US.MES.Z26", others).name == "MESZ6"
    with pytest.raises(ConfigurationError, match="has no contract 'MNQ'"):
        chosen("MNQ", others)
    assert (root_of("M2KZ6"), searched("CME:MNQ", KNOWN)) == ("M2K", "MNQ")


def test_a_contract_has_the_gateways_tick_and_the_catalogues_fees() -> None:
    assert (MNQ.spec.symbol, MNQ.spec.tick_size) == ("MNQ", Decimal("0.25"))
    assert MNQ.spec.fee_per_unit == Decimal("0.37")
    other = contract_of(contract(name="QGZ6", tickSize=0.005, tickValue=12.5), KNOWN)
    assert (other.spec.symbol, other.spec.id) == ("QG", "PX:QG")
    assert other.spec.tick_value_nanos == 12_500_000_000


# --- orders as they are posted -------------------------------------------------------------------


def test_orders_are_posted_with_their_tag_and_exact_prices() -> None:
    posted = wire_order(request(), MNQ, 1001, "pt.a.1", 2, TOUCH)
    assert (posted.type, posted.side, posted.size) == (1, 0, 2)
    assert (posted.limit_price, posted.custom_tag) == (Decimal(20_900), "pt.a.1")
    trailing = request(
        side=Side.SELL, order_type=OrderType.TRAILING_STOP, limit_ticks=None, trail_ticks=40
    )
    assert wire_order(trailing, MNQ, 1001, "t", 1, TOUCH).trail_price == Decimal(20_990)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"post_only": True}, Reason.UNSUPPORTED),
        ({"time_in_force": TimeInForce.IOC}, Reason.UNSUPPORTED),
        ({"time_in_force": TimeInForce.DAY}, Reason.UNSUPPORTED),
        ({"order_type": OrderType.MARKET_IF_TOUCHED, "stop_ticks": 1}, Reason.UNSUPPORTED),
        ({"protection_ticks": 4}, Reason.UNSUPPORTED),
        ({"order_type": OrderType.TRAILING_STOP, "trail_ticks": 2_000}, Reason.UNSUPPORTED),
        ({"order_type": OrderType.TRAILING_STOP, "trail_ppm": 200_000}, Reason.STOP_WRONG_SIDE),
    ],
)
def test_what_the_gateway_does_not_have_is_not_sent(
    changes: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(Refused) as caught:
        wire_order(request(**changes), MNQ, 1001, "t", 3, TOUCH)
    assert caught.value.reason is reason


def test_tags_are_unique_from_session_to_session() -> None:
    first, second = Tags("a1", None), Tags("a2", "mine")
    assert (first.of(request()), second.of(request())) == ("pt.a1.1", "pt.a2.1")
    named = request(client_order_id="entry")
    assert (first.of(named), second.of(named)) == ("pt.a1.entry", "pt.mine.entry")
    assert len(first.of(request(client_order_id="x" * 300))) < 64


# --- books ---------------------------------------------------------------------------------------


class Told:
    """Books whose events also go through a real ledger, which asserts that they fit."""

    def __init__(self) -> None:
        snapshot = Snapshot("A", "USD", 50_000 * 10**9, ())
        self.ledger = Ledger([MNQ.spec], snapshot)
        self.names: list[str] = []
        money = Money([MNQ.spec], snapshot, self._take, unit_ns=UNIT_NS)
        self.books = Books(money, [MNQ])

    def _take(self, row: EventRow) -> None:
        self.ledger.apply_event(row)
        name = type(decode(row)).__name__
        if name not in ("PositionChanged", "AccountChanged"):
            self.names.append(name)

    def send(self, order: OrderRequest) -> Track:
        self.ledger.apply_command(0, order)
        track = Track(order, 0, f"pt.a.{order.order_id}", sent=0, sent_at=0.0)
        self.books.add(track)
        return track


def order(status: int, *, at: str = "10:00:00.1", **changes: Any) -> Order:
    table = {
        "id": 9056,
        "accountId": 1001,
        "contractId": MNQ.id,
        "creationTimestamp": "2026-11-21T10:00:00+00:00",
        "updateTimestamp": f"2026-11-21T{at}+00:00",
        "status": status,
        "type": 1,
        "side": 0,
        "size": 3,
        "limitPrice": 20_900.0,
        "stopPrice": None,
        "fillVolume": 0,
        "filledPrice": None,
        "customTag": "pt.a.1",
    }
    return record(Order, {**table, **changes})


def trade(number: int, size: int, **changes: Any) -> Trade:
    table = {
        "id": number,
        "accountId": 1001,
        "contractId": MNQ.id,
        "creationTimestamp": "2026-11-21T10:00:01+00:00",
        "price": 20_900.0,
        "profitAndLoss": None,
        "fees": 0.1,
        "side": 0,
        "size": size,
        "voided": False,
        "orderId": 9056,
    }
    return record(Trade, {**table, **changes})


def test_answer_events_and_trades_in_every_order_are_the_same_events() -> None:
    from itertools import permutations

    ways: dict[str, Callable[[Told, Track], Any]] = {
        "answer": lambda told, track: told.books.accept(track, 9056, 1),
        "open": lambda told, track: told.books.order(order(1)),
        "filled": lambda told, track: told.books.order(
            order(2, at="10:00:02", fillVolume=3, filledPrice=20_900.0)
        ),
        "first": lambda told, track: told.books.trade(trade(1, 1)),
        "again": lambda told, track: told.books.trade(trade(1, 1)),
        "second": lambda told, track: told.books.trade(trade(2, 2)),
    }
    results = set()
    for sequence in permutations(ways):
        told = Told()
        track = told.send(request())
        for name in sequence:
            ways[name](told, track)
        assert track.status is OrderStatus.FILLED
        assert told.ledger.positions[0].lots == 3
        results.add(tuple(told.names))
    assert results == {("OrderAccepted", "OrderFilled", "OrderFilled")}


def test_a_fill_that_meets_a_change_of_size_waits_for_its_end() -> None:
    for is_changed in (True, False):
        told = Told()
        track = told.send(request())
        told.books.accept(track, 9056, 1)
        told.books.begin_change(track, track.terms_after(ReplaceRequest(1, size_lots=5)))
        told.books.trade(trade(1, 3))
        assert told.names == ["OrderAccepted"]
        if is_changed:
            told.books.replaced(track, 9056, 1)
        else:
            told.books.order(order(2, at="10:00:02", fillVolume=3))
        told.books.flush(track)
        assert track.has_ended is not is_changed
        assert told.ledger.positions[0].lots == 3


def test_a_refused_order_under_the_same_tag_is_not_ours() -> None:
    told = Told()
    track = told.send(request())
    track.awaits_answer = False
    told.books.doubt(track, 1)
    refused = order(5, id=9057)
    assert told.books.order(refused) is track  # somebody has to look
    assert track.status is OrderStatus.UNCERTAIN
    told.books.order(order(1))
    told.books.order(refused)
    assert told.names == ["OrderUncertain", "OrderAccepted"]


def test_what_is_older_changes_nothing_and_a_cancel_from_elsewhere_is_the_venues() -> None:
    told = Told()
    track = told.send(request())
    told.books.order(order(1, at="10:00:05"))
    told.books.order(order(1, at="10:00:01", limitPrice=20_800.0))
    assert track.limit_ticks == 83_600
    told.books.order(order(3, at="10:00:06"))
    assert told.names == ["OrderAccepted", "OrderCancelled"]
    assert track.ended is not None
    assert track.ended.reason is Reason.BY_VENUE


def test_fees_and_commissions_are_both_paid() -> None:
    told = Told()
    told.send(request())
    told.books.order(order(1))
    told.books.trade(trade(1, 3, fees=0.5, commissions=1.25))
    assert told.ledger.fees_nanos == 1_750_000_000


def test_a_voided_trade_is_none() -> None:
    told = Told()
    told.send(request())
    told.books.order(order(1))
    assert not told.books.trade(trade(1, 3, voided=True))


# --- market, tokens, the watchdog's choice -------------------------------------------------------


def test_sparse_quotes_are_merged_and_lists_are_taken_with_their_nulls() -> None:
    market = Market([MNQ], lambda: 0)

    def push(name: str, data: Any) -> None:
        pushed = decode_pushed(name, (MNQ.id, json.loads(json.dumps(data), parse_float=Decimal)))
        assert pushed is not None
        market.take(pushed)

    push("GatewayQuote", {"symbol": "F.US.MNQ", "bestBid": 20_999.75, "bestAsk": 21_000.25})
    push("GatewayQuote", {"symbol": "F.US.MNQ", "bestAsk": 21_000.5})
    quote = market.last_quote(0)
    assert quote is not None
    assert (quote.bid, quote.ask) == (20_999.75, 21_000.5)
    row = {"symbolId": "F.US.MNQ", "price": 21_000.5, "type": 1, "volume": 2}
    times = ["2026-11-21T10:22:00+00:00", "2026-11-21T10:22:01+00:00"]
    push("GatewayTrade", [None, {**row, "timestamp": times[0]}, {**row, "timestamp": times[1]}])
    last = market.last_trade(0)
    assert last is not None
    assert (last.ts_ns, last.side, last.size) == (time_ns(times[1]), Side.SELL, 2.0)
    assert market.mark_ticks(0) == 84_002


def test_a_tokens_life_is_read_from_it() -> None:
    def token(payload: dict[str, Any]) -> Secret:
        middle = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
        return Secret(f"head.{middle}.signature")

    now = 1_790_000_000_000
    hour = 3_600_000
    assert life_of(token({"exp": now // 1000 + 3600}), now) == (now, now + hour)
    day = 24 * hour
    # The gateway's clock is an hour ahead: it lives a day all the same.
    ahead = {"iat": now // 1000 + 3600, "exp": now // 1000 + 3600 + 86_400}
    assert life_of(token(ahead), now) == (now, now + day)
    assert life_of(Secret("opaque-token"), now) == (now, now + day)


def test_the_watchdog_ends_the_sessions_orders_and_may_keep_what_protects() -> None:
    table = {"id": 7, "accountId": 1, "contractId": MNQ.id, "type": 1, "size": 2}
    table |= {"creationTimestamp": "2026-11-21T10:22:00+00:00", "averagePrice": 21_000.0}
    held = [record(Position, table)]
    stop = order(1, id=1, type=4, side=1, size=2, limitPrice=None, stopPrice=20_900.0)
    larger = order(1, id=2, type=4, side=1, size=3, limitPrice=None, stopPrice=20_900.0)
    entry, foreign = order(1, id=3), order(1, id=4, customTag="somebody")
    orders = [stop, larger, entry, foreign]
    assert [each.id for each in to_cancel(orders, held, ["a"], "all")] == [1, 2, 3]
    assert [each.id for each in to_cancel(orders, held, ["a"], "keep_stops")] == [2, 3]
    assert [each.id for each in to_cancel(orders, [], ["a"], "keep_stops")] == [1, 2, 3]
    assert to_cancel(orders, held, ["b"], "all") == []
