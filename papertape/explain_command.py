"""`papertape explain RUN ORDER`: find the run and the order, let `sim` explain it, print it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from broker_api.config import AccountConfig, SimulationConfig, near_miss
from broker_api.errors import ConfigurationError
from broker_api.journal_parquet import commands_from_table
from data.tape import Tape
from papertape.ending import OK, REFUSED
from reports.run import RunRecord
from scenarios.past_run import read_simulated_run, tapes_of_run
from scenarios.run_folder import versions
from scenarios.runner import REFUSALS
from sim.explain import subject_of, tell
from sim.explain_text import Explanation, explain, shortened
from sim.explain_words import time_text
from sim.replay import Recording, ReplayError

LINES_MAX = 24
"""Lines of a table that is not asked for whole."""
_SHOWN = 12


def perform(run: Path, order: str, tapes: Sequence[str] = (), *, whole: bool = False) -> int:
    """Print why an order of a run did, or did not, fill. Returns the exit code."""
    try:
        explanation = _explained(run, order, tapes)
    except REFUSALS as refusal:
        print(f"papertape: {refusal}", file=sys.stderr)  # noqa: T201
        return REFUSED
    _print(explanation if whole else shortened(explanation, LINES_MAX))
    return OK


def _explained(folder: Path, order: str, tapes: Sequence[str]) -> Explanation:
    run = read_simulated_run(folder)
    order_id = order_named(run, order)

    def again(symbol: str) -> str:
        return f"papertape explain {folder} ORDER --tape {symbol}=FILE"

    recording = _recording(run, tapes_of_run(run, tapes, again))
    subject = subject_of(recording, order_id)
    if subject is None:
        raise _unknown_order(run, order)
    try:
        return explain(tell(recording, subject))
    except ReplayError as failure:
        raise ReplayError(
            f"{folder}: the replay is not the recorded run, so there is nothing to explain: "
            f"{failure}; {_other_versions(run)}"
        ) from None


def _recording(run: RunRecord, tapes: tuple[Tape, ...]) -> Recording:
    return Recording(
        run.instruments,
        tapes,
        SimulationConfig.parse(run.config["simulation"]),
        AccountConfig.parse(run.config.get("account") or {}),
        run.start_ns,
        int(run.config["ended_ns"]),
        tuple(commands_from_table(run.commands())),
        run.events,
    )


def _other_versions(run: RunRecord) -> str:
    there: Mapping[str, Any] = run.config.get("versions") or {}
    here = versions()
    other = [
        f"{name} {there[name]} (here {here.get(name)})"
        for name in there
        if name in here and there[name] != here[name]
    ]
    if other:
        return f"the run was made with {', '.join(other)}; run the script again"
    return (
        "the tapes are the same, so the exchange's rules have changed since, or the journal was "
        "edited; run the script again"
    )


# --- the order -----------------------------------------------------------------------------------


def order_named(run: RunRecord, text: str) -> int:
    """The id of the order that `text` names: its id, else its client order id.

    Raises ConfigurationError with the nearest that exist, or with the list.
    """
    names = _names(run)
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number and number in {*names, *_of_the_exchange(run)}:
        return number
    for order_id, name in names.items():
        if name == text:
            return order_id
    raise _unknown_order(run, text)


def _names(run: RunRecord) -> dict[int, str]:
    """Client order ids by order id."""
    commands = run.commands()
    columns = [commands.column(name).to_pylist() for name in _COLUMNS]
    return {
        order_id: name or ""
        for kind, order_id, name in zip(*columns, strict=True)
        if kind in ("order", "bracket", "oco")
    }


_COLUMNS = ("kind", "order_id", "client_order_id")


def _of_the_exchange(run: RunRecord) -> list[int]:
    """Liquidating orders: negative ids, which no command has."""
    ids = set(run.events["order_id"].tolist())
    return sorted(order_id for order_id in ids if order_id < 0)


def _unknown_order(run: RunRecord, text: str) -> ConfigurationError:
    names = _names(run)
    chosen = [name for order_id, name in names.items() if name not in ("", str(order_id))]
    near = near_miss(text, chosen)
    if not names:
        return ConfigurationError(f"the run has no order {text!r}; it sent none")
    if near:
        return ConfigurationError(f"the run has no order {text!r}{near}")
    listed = f"1 to {max(names)}" if len(names) == max(names) > 1 else _listed(map(str, names))
    listed += f" ({_listed(chosen)})" if chosen else ""
    return ConfigurationError(f"the run has no order {text!r}; it has {listed}")


def _listed(names: Any) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN:,} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


# --- the page ------------------------------------------------------------------------------------


def _print(explanation: Explanation) -> None:
    console = Console(highlight=False)
    console.print(Text.assemble("\n", (explanation.title, "bold"), "\n"))
    console.print(Text(explanation.verdict))
    console.print()
    for fact in explanation.facts:
        console.print(Text(f"- {fact}", "dim"))
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    day = time_text(explanation.lines[0].ts_ns, with_date=True)[:10] if explanation.lines else ""
    last = time_text(explanation.lines[-1].ts_ns, with_date=True)[:10] if day else ""
    table.add_column(f"{day} UTC" if day == last else "time (UTC)", no_wrap=True)
    table.add_column("what happened", overflow="fold")
    table.add_column("ahead", justify="right", no_wrap=True)
    table.add_column("open", justify="right", no_wrap=True)
    for line in explanation.lines:
        time = time_text(line.ts_ns, with_date=day != last)
        table.add_row(time, Text(line.text), line.ahead, line.left)
    console.print(table)
    console.print()
