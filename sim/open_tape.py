"""The tape of an instrument, by what a session was given for it."""

from __future__ import annotations

from pathlib import Path

from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from data.kept import kept_tape
from data.tape import Tape, sample_path


def tape_of(instrument: Instrument, tape: object, notes: list[str]) -> Tape:
    """A Tape, that of a file, or the instrument's sample, which `notes` then says.

    Raises ConfigurationError where there is none, TapeError for a file that is not right.
    """
    if isinstance(tape, Tape):
        return tape
    if tape is None:
        path = sample_path(instrument.symbol)
        if path is None:
            raise ConfigurationError(
                f"no tape for {instrument.symbol}, and no sample of it ships with papertape; "
                f"name one: tape=... or papertape run --tape {instrument.symbol}=FILE"
            )
        notes.append(f"{instrument.symbol}: no tape was named, so this is the generated sample")
        return kept_tape(path, instrument)
    if not isinstance(tape, str | Path):
        raise ConfigurationError(
            f"tape of {instrument.symbol}: {type(tape).__name__} is no path and no Tape; "
            "data.tape.tape_from_frame makes a Tape of a frame"
        )
    return kept_tape(Path(tape), instrument)
