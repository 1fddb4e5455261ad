"""The figures of a run on one screen and in `summary.json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from broker_api.instrument import NANOS, from_nanos
from broker_api.order import OrderStatus
from reports.assumptions import assumptions
from reports.metrics import Metrics, measure
from reports.run import RunRecord
from reports.text import average_price, duration, moment, money, percent


@dataclass(frozen=True)
class Summary:
    """A run's figures. Money is in `currency`; times are UTC text and epoch nanoseconds.

    `win_rate` is None without a trade, `profit_factor` None while no trade lost. `net` is realised
    profit after fees and funding; `open_profit` is what is still open, at the mid. Every leg of a
    bracket or an OCO is an order.
    """

    title: str
    strategy: str | None
    instruments: tuple[str, ...]
    currency: str
    start: str
    end: str
    started_ns: int
    ended_ns: int
    orders: int
    orders_filled: int
    orders_cancelled: int
    orders_expired: int
    orders_rejected: int
    orders_working: int
    fills: int
    maker_fills: int
    ambiguous_fills: int
    trades: int
    wins: int
    losses: int
    win_rate: float | None
    profit_factor: float | None
    gross: float
    fees: float
    funding: float
    net: float
    open_profit: float
    open_positions: dict[str, str]
    start_equity: float
    end_equity: float
    max_drawdown: float
    max_drawdown_share: float
    ticks: int
    events: int
    digest: str
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON holds them."""
        table = asdict(self)
        for name in ("instruments", "notes", "assumptions"):
            table[name] = list(table[name])
        return table


def summarise(run: RunRecord, metrics: Metrics | None = None) -> Summary:
    """The summary of a run; `metrics` when they were measured already."""
    metrics = measure(run) if metrics is None else metrics
    return Summary(
        title=run.title,
        strategy=run.config.get("strategy"),
        instruments=tuple(spec.symbol for spec in run.instruments),
        currency=run.currency,
        start=moment(run.start_ns),
        end=moment(run.end_ns),
        started_ns=run.start_ns,
        ended_ns=run.end_ns,
        open_positions=open_positions(run, metrics),
        start_equity=from_nanos(int(metrics.equity.nanos[0])),
        ticks=run.ticks,
        digest=run.digest,
        notes=(*(str(note) for note in run.config.get("notes") or ()), *metrics.notes),
        assumptions=assumptions(run.config),
        **figures(run, metrics),
    )


def figures(run: RunRecord, metrics: Metrics) -> dict[str, Any]:
    """The figures of the summary that say how well a run did, by their names in it."""
    counts = metrics.statuses
    return {
        "orders": metrics.orders,
        "orders_filled": counts.get(OrderStatus.FILLED, 0),
        "orders_cancelled": counts.get(OrderStatus.CANCELLED, 0),
        "orders_expired": counts.get(OrderStatus.EXPIRED, 0),
        "orders_rejected": counts.get(OrderStatus.REJECTED, 0),
        "orders_working": sum(n for status, n in counts.items() if not status.is_terminal),
        "fills": metrics.fill_count,
        "maker_fills": metrics.maker_fills,
        "ambiguous_fills": metrics.ambiguous_fills,
        "trades": metrics.trade_count,
        "wins": metrics.wins,
        "losses": metrics.losses,
        "win_rate": metrics.win_rate,
        "profit_factor": metrics.profit_factor,
        "gross": from_nanos(metrics.realised_nanos),
        "fees": from_nanos(metrics.fee_nanos),
        "funding": from_nanos(metrics.funding_nanos),
        "net": from_nanos(metrics.net_nanos),
        "open_profit": from_nanos(metrics.open_nanos),
        "end_equity": from_nanos(int(metrics.equity.nanos[-1])),
        "max_drawdown": from_nanos(metrics.drawdown.nanos),
        "max_drawdown_share": metrics.drawdown.share,
        "events": len(run.events),
    }


def open_positions(run: RunRecord, metrics: Metrics) -> dict[str, str]:
    """Size and average price of what is open at the end, by symbol."""
    return {
        spec.symbol: f"{spec.format_size(lots)} at {average_price(spec, cost, lots)}"
        for spec, (lots, cost) in zip(run.instruments, metrics.positions, strict=True)
        if lots
    }


def print_summary(console: Console, summary: Summary, seconds: float | None = None) -> None:
    """Print the summary for a person. `seconds` is how long the run took, for its speed."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in _rows(summary, seconds):
        table.add_row(label, value)
    symbols = ", ".join(summary.instruments)
    console.print(Text.assemble("\n", (summary.title, "bold"), f" on {symbols}\n"))
    console.print(table)
    console.print()
    for note in summary.notes:
        console.print(Text.assemble(("note ", "bold yellow"), note))
    for sentence in summary.assumptions:
        console.print(Text(sentence, style="dim"))


def _rows(summary: Summary, seconds: float | None) -> Iterator[tuple[str, Text]]:
    yield "period (UTC)", Text(_period(summary))
    yield "orders", Text(_orders(summary))
    yield "fills", _fills(summary)
    yield "trades", Text(_trades(summary))
    yield "fees", Text(f"{_amount(summary.fees)} {summary.currency}")
    if summary.funding:
        yield "funding", Text(f"{_amount(summary.funding)} {summary.currency}")
    yield "P&L", _profit(summary)
    if summary.open_positions:
        held = ", ".join(f"{symbol} {text}" for symbol, text in summary.open_positions.items())
        profit = _amount(summary.open_profit, plus=True)
        yield "still open", Text(f"{held}, open profit {profit} {summary.currency}", "yellow")
    equity = f"{_amount(summary.start_equity)} to {_amount(summary.end_equity)}"
    yield "equity", Text(f"{equity} {summary.currency}")
    share = percent(summary.max_drawdown_share, 2)
    yield "max drawdown", Text(f"{_amount(summary.max_drawdown)} {summary.currency}  ({share})")
    yield "ticks", Text(_ticks(summary, seconds))
    yield "digest", Text(summary.digest)


def _period(summary: Summary) -> str:
    start, end = summary.start[:19], summary.end[:19]
    is_one_day = start[:10] == end[:10]
    span = duration(summary.ended_ns - summary.started_ns)
    return f"{start} to {end[11:] if is_one_day else end}  ({span})"


def _orders(summary: Summary) -> str:
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (summary.orders_filled, "filled"),
            (summary.orders_cancelled, "cancelled"),
            (summary.orders_expired, "expired"),
            (summary.orders_rejected, "rejected"),
            (summary.orders_working, "still working"),
        )
        if count
    ]
    return f"{summary.orders:,}" + (f"  ({', '.join(parts)})" if parts else "")


def _fills(summary: Summary) -> Text:
    if not summary.fills:
        return Text("0")
    share = percent(summary.maker_fills / summary.fills, 0)
    text = Text(f"{summary.fills:,}  ({share} maker")
    if summary.ambiguous_fills:
        text.append(f", {summary.ambiguous_fills:,} ambiguous", "yellow")
    return text.append(")")


def _trades(summary: Summary) -> str:
    if not summary.trades:
        return "0"
    factor = "none lost" if summary.profit_factor is None else f"{summary.profit_factor:.2f}"
    return (
        f"{summary.trades:,}  ({summary.wins:,} won, {summary.losses:,} lost, "
        f"win rate {percent(summary.win_rate)}, profit factor {factor})"
    )


def _profit(summary: Summary) -> Text:
    colour = "green" if summary.net > 0 else "red" if summary.net < 0 else ""
    text = Text(f"{_amount(summary.net, plus=True)} {summary.currency}", f"bold {colour}".strip())
    return text.append(f"  net  ({_amount(summary.gross, plus=True)} gross)", "not bold default")


def _ticks(summary: Summary, seconds: float | None) -> str:
    if not seconds:
        return f"{summary.ticks:,}"
    return f"{summary.ticks:,} in {seconds:.2f} s  ({summary.ticks / seconds:,.0f} ticks/s)"


def _amount(value: float, *, plus: bool = False) -> str:
    return money(round(value * NANOS), plus=plus)
