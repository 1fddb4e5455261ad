"""What a live session would have been in the simulation, on the market that came meanwhile.

The session's own commands are sent again, at the times at which it gave them, to the simulated
exchange on the recorded market, with the scenario's settings. So every order has its counterpart,
and what differs is the simulation's doing: latency, queue, price, fees.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.event import EVENT_ROW, SESSION_KINDS, encode
from broker_api.journal_parquet import commands_from_table
from data.tape import Tape
from reports.compare import Comparison, compare
from reports.run import RunRecord, read_run
from scenarios.run_folder import CONFIG_FILE
from sim.replay import Recording, commands_played

NAMES = ("simulated", "live")
PAGE_FILE = "sim-versus-live.html"


def read_live_run(folder: Path) -> RunRecord:
    """The live session of a folder. Raises ConfigurationError where there is none."""
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigurationError(f"{folder} holds no session that has ended: no {CONFIG_FILE}")
    try:
        run = read_run(folder)
    except (OSError, ValueError) as fault:
        raise ConfigurationError(f"{folder} is not a whole run folder: {fault}") from None
    if "venue_shift_ns" not in run.config:
        raise ConfigurationError(f"{folder} is not the run of a live session")
    return run


def sim_versus_live(live: RunRecord) -> Comparison:
    """The simulated counterpart (first) and the live session (second), and what sets them apart.

    Raises ConfigurationError where its market is gone, or it began with positions.
    """
    if not live.config.get("began_flat", True):
        raise ConfigurationError(
            "the session began with open positions; the simulation begins flat, so the two cannot "
            "be compared"
        )
    tapes = tuple(tape for tape in live.tapes if tape is not None)
    if len(tapes) != len(live.instruments):
        raise ConfigurationError("the recorded market of the session is gone")
    live = in_our_time(live)
    return compare(simulated(live, tapes), live)


def in_our_time(live: RunRecord) -> RunRecord:
    """The session with a venue's shown times, where they are of another day, as ours."""
    events = live.events.copy()
    of_the_venue = ~np.isin(events["kind"], sorted(int(kind) for kind in SESSION_KINDS))
    events["ts_ns"] += of_the_venue * np.int64(live.config.get("venue_shift_ns") or 0)
    return replace(live, events=events)


def simulated(live: RunRecord, tapes: tuple[Tape, ...]) -> RunRecord:
    """The session's commands on the simulated exchange."""
    table = live.commands()
    recording = Recording(
        instruments=live.instruments,
        tapes=tapes,
        simulation=SimulationConfig.parse(live.config["shadow"]),
        account=AccountConfig.parse(live.config["account"]),
        # From the first row on: the book that was there when the session began is known to it.
        started_ns=min([live.start_ns, *(tape.start_ns for tape in tapes)]),
        ended_ns=live.end_ns,
        commands=tuple(commands_from_table(table)),
        events=live.events,
    )
    rows = [encode(event) for event in commands_played(recording)]
    events = np.array(rows, dtype="<i8").reshape(-1).view(EVENT_ROW)
    config = {**live.config, "broker": "sim", "simulation": live.config["shadow"], "notes": []}
    return RunRecord(events, live.orders, lambda: table, live.instruments, tapes, config)
