"""The report's table of trades, and how far they went against and for the position on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker_api.instrument import NANOS, Instrument
from broker_api.order import Role, Side
from reports.excursions import with_excursions
from reports.lives import OrderLife
from reports.metrics import Metrics, Trade
from reports.page import Column, Figure, Section, Table, columns, remark
from reports.run import RunRecord
from reports.text import cents, moment

TRADES_MAX = 25_000
"""Trades in the table; later ones are left out, and the page says so."""
EXITS = {
    Role.STOP_EXIT: "stop",
    Role.TARGET_EXIT: "target",
    Role.OCO_LEG: "OCO leg",
    Role.LIQUIDATION: "not asked for",
    Role.FOREIGN: "not asked for",
    Role.REPAIR: "not asked for",
}
"""How a trade was closed, by the role of the exit order; other orders are "order"."""


def trade_sections(
    run: RunRecord, metrics: Metrics, lives: Mapping[int, OrderLife]
) -> tuple[list[Section], tuple[str, ...]]:
    """The table of trades, the charts of excursions, and notes on what they leave out."""
    if not metrics.trades:
        empty = '<p class="empty">No position was closed.</p>'
        return [Section("trades-section", "Trades", empty)], ()
    trades, notes = with_excursions(run, metrics.trades[:TRADES_MAX])
    if len(metrics.trades) > TRADES_MAX:
        left = f"The table has the first {TRADES_MAX:,} of {len(metrics.trades):,} trades."
        notes = (*notes, left)
    table = trade_table(run, trades, lives)
    hint = remark("Choose a row to see it in the chart. Open profit on the way is at the mid.")
    sections = [Section("trades-section", "Trades", hint + table.html(), tables=(table,))]
    known = [trade for trade in trades if trade.worst_nanos is not None]
    if known:
        sections.append(_excursions(run, known))
    return sections, notes


def trade_table(run: RunRecord, trades: Sequence[Trade], lives: Mapping[int, OrderLife]) -> Table:
    """Every trade, in the order of their first exits."""
    digits = max((spec.price_digits for spec in run.instruments), default=2)
    when = "clock" if moment(run.start_ns)[:10] == moment(run.end_ns)[:10] else "time"
    heads = [
        Column("n", "#", "count", "Number of the trade, in the order of its first exit"),
        *([Column("instrument", "Instrument", "choice")] if len(run.instruments) > 1 else []),
        Column("side", "Side", "choice", "Side of the entry"),
        Column("size", "Size", "number", "Size that was closed", size_digits(run)),
        Column("opened", "Opened (UTC)", when, "When the position was opened"),
        Column("entry", "Entry", "price", "Average cost of the position", digits),
        Column("closed", "Closed (UTC)", when, "Last fill of the exit"),
        Column("exit", "Exit", "price", "Average price of the exit", digits),
        Column("by", "Closed by", "choice", "What closed it: a bracket's stop or target, an order"),
        Column("held", "Held", "length", "From opening to closing; filters count seconds"),
        Column("gross", "Gross", "money", "Profit before fees"),
        Column("fees", "Fees", "cost", "Fees of the exit and of the closed part's entry"),
        Column("net", "Net", "money", "Profit after fees"),
        Column("worst", "Worst", "money", "Lowest open profit on the way, at the mid (MAE)"),
        Column("best", "Best", "money", "Highest open profit on the way, at the mid (MFE)"),
    ]
    rows = [_row(number, run, trade, lives) for number, trade in enumerate(trades, start=1)]
    if any(trade.is_ambiguous for trade in trades):
        heads.append(
            Column("note", "Note", "choice", "One row of the tape, or bar, met both exits")
        )
        for row, trade in zip(rows, trades, strict=True):
            row.append("ambiguous" if trade.is_ambiguous else "sure")
    return Table("trades", heads, rows, "trades", total="net", zoom=("opened", "closed"))


def size_digits(run: RunRecord) -> int:
    """Decimals of the finest lot."""
    return max(
        (len(f"{spec.lot_size.normalize():f}".partition(".")[2]) for spec in run.instruments),
        default=0,
    )


def _row(number: int, run: RunRecord, trade: Trade, lives: Mapping[int, OrderLife]) -> list[Any]:
    spec: Instrument = run.instruments[trade.instrument]
    life = lives.get(trade.exit_order_id)
    return [
        number,
        *([spec.symbol] if len(run.instruments) > 1 else []),
        "long" if trade.side is Side.BUY else "short",
        float(spec.lot_size * trade.lots),
        trade.entry_ns / 1e6,
        round(spec.average_price(trade.entry_cost, trade.lots), spec.price_digits + 2),
        trade.exit_ns / 1e6,
        round(spec.average_price(trade.exit_cost, trade.lots), spec.price_digits + 2),
        EXITS.get(life.role, "order") if life is not None else "order",
        (trade.exit_ns - trade.entry_ns) / 1e6,
        cents(trade.gross_nanos),
        cents(trade.fee_nanos),
        cents(trade.net_nanos),
        None if trade.worst_nanos is None else cents(trade.worst_nanos),
        None if trade.best_nanos is None else cents(trade.best_nanos),
    ]


def ambiguous_sections(
    run: RunRecord, metrics: Metrics, lives: Mapping[int, OrderLife]
) -> list[Section]:
    """The ambiguous fills, one by one; nothing where there are none."""
    fills = [fill for fill in metrics.fills if fill.is_ambiguous][:TRADES_MAX]
    if not fills:
        return []
    digits = max(spec.price_digits for spec in run.instruments)
    heads = [
        Column("at", "Time (UTC)", "time"),
        Column("instrument", "Instrument", "choice"),
        Column("order", "Order", "count"),
        Column("what", "What filled", "choice"),
        Column("side", "Side", "choice"),
        Column("size", "Size", "number", "", size_digits(run)),
        Column("price", "Price", "price", "", digits),
    ]
    rows = [
        [
            fill.ts_ns / 1e6,
            run.instruments[fill.instrument].symbol,
            fill.order_id,
            EXITS.get(lives[fill.order_id].role, "order") if fill.order_id in lives else "order",
            "buy" if fill.side is Side.BUY else "sell",
            float(run.instruments[fill.instrument].lot_size * fill.lots),
            run.instruments[fill.instrument].ticks_to_price(fill.price_ticks),
        ]
        for fill in fills
    ]
    table = Table("ambiguous", heads, rows, "ambiguous fills", zoom=("at", "at"), rows_shown=20)
    text = remark(
        "One row of the tape, or one bar, satisfied both exits of a bracket, so which filled is an "
        "assumption: the stop was taken first, of bars what their path met first."
    )
    return [Section("ambiguous-section", "Ambiguous fills", text + table.html(), tables=(table,))]


# --- excursions ----------------------------------------------------------------------------------

POINTS_MAX = 3_000
"""Trades in a chart of excursions; of more, every n-th is drawn."""


def _excursions(run: RunRecord, trades: Sequence[Trade]) -> Section:
    stride = -(-len(trades) // POINTS_MAX)
    shown = trades[::stride]
    figures = (
        _scatter("worst", "against the position (MAE)", shown, run.currency),
        _scatter("best", "for the position (MFE)", shown, run.currency),
    )
    body = columns(*(figure.html() for figure in figures))
    text = (
        "Each trade's furthest open profit on its way, at the mid, and what it came to before "
        "fees. On the dotted line are those that ended at their furthest."
    )
    if stride > 1:
        text += f" Every {stride}th of {len(trades):,} trades is drawn."
    return Section("excursions", "Excursions", remark(text) + body, figures=figures)


def _scatter(name: str, what: str, trades: Sequence[Trade], currency: str) -> Figure:
    groups = (("won", "--good", True), ("lost", "--bad", False))
    traces: list[dict[str, Any]] = []
    ends: list[float] = [0.0]
    for group, colour, is_won in groups:
        mine = [trade for trade in trades if (trade.net_nanos > 0) is is_won]
        reach = [(t.worst_nanos if name == "worst" else t.best_nanos) or 0 for t in mine]
        x = [cents(nanos) / 100 for nanos in reach]
        ends += x
        traces.append(
            {
                "x": x,
                "y": [cents(trade.gross_nanos) / 100 for trade in mine],
                "text": [
                    f"{trade.lots} lots, {(trade.exit_ns - trade.entry_ns) / NANOS:,.1f} s"
                    for trade in mine
                ],
                "mode": "markers",
                "name": group,
                "marker": {"color": colour, "size": 6, "opacity": 0.7},
                "hovertemplate": "reached %{x:,.2f}, came to %{y:,.2f}<br>%{text}<extra></extra>",
            }
        )
    least, most = min(ends), max(ends)
    traces.append(
        {
            "x": [least, most],
            "y": [least, most],
            "mode": "lines",
            "hoverinfo": "skip",
            "showlegend": False,
            "line": {"color": "--faint", "dash": "dot", "width": 1},
        }
    )
    layout = {
        "showlegend": True,
        "xaxis": {"title": {"text": f"furthest {what}, {currency}"}},
        "yaxis": {"title": {"text": f"gross, {currency}"}},
    }
    return Figure(f"excursion-{name}", f"Trades by how far they went {what}", traces, layout, 320)
