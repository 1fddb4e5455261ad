"""Wrong rules put into the kernel one at a time; the reference must notice every one of them.

Each runs in a process with the kernel as plain Python: `sim` is copied, one text of it is changed,
and seeded sessions go through the changed kernel and a reference that nothing was done to, until
the first difference. What kills a wrong rule is kept in `mutant_seeds.json`: a seed, or a rule by
example as "module:function". Without it the seeds are tried from 0 on.

    python -m tests.differential.mutants                  all of them, known seeds first
    python -m tests.differential.mutants --hunt           without the known seeds
    python -m tests.differential.mutants --hunt --keep    the same, and write down what was found
    python -m tests.differential.mutants --only TEXT      those with TEXT in their names
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from tests.differential.wrong_accounts import ACCOUNTS
from tests.differential.wrong_effects import EFFECTS
from tests.differential.wrong_money import NEWER_MONEY
from tests.differential.wrong_path import PATH
from tests.differential.wrong_rows import QUEUES_AND_ROWS
from tests.differential.wrong_rules import MATCHING, WrongRule
from tests.differential.wrong_search import SEARCH, TOLD
from tests.differential.wrong_triggers import TRIGGERS

WRONG_RULES = (
    *MATCHING,
    *QUEUES_AND_ROWS,
    *EFFECTS,
    *TRIGGERS,
    *PATH,
    *NEWER_MONEY,
    *SEARCH,
    *TOLD,
    *ACCOUNTS,
)
ROOT = Path(__file__).resolve().parents[2]
KNOWN_SEEDS = Path(__file__).with_name("mutant_seeds.json")
SEEDS = 60
"""Sessions that are tried when the known one does not notice the wrong rule."""
SECONDS_EACH = 5
"""Of processor time, for one session or example; a wrong rule may make it endless."""
WORKERS = 2
EXAMPLES = (
    "accounts", "accounts_money", "accounts_orders",
    "bars", "brackets", "changes", "edges", "instruments", "isolated", "margin_tiers",
    "margin_wakes", "money", "oco", "on_partial", "overnight_margin", "price_bands", "reduce_only",
    "resting", "search_edges", "stops", "taking", "time", "touched", "trailing",
)  # fmt: skip
"""The files of rules by example, tests/sim/test_*.py."""

Killer = int | str


class Verdict(NamedTuple):
    """What noticed a wrong rule, None when nothing did, and the first line of what it said."""

    name: str
    killer: Killer | None
    text: str


class TextNotFoundError(AssertionError):
    """The text of a rule is not there exactly once: the rule was rewritten, look at it again."""


def known_killers() -> dict[str, Killer]:
    """By the name of a wrong rule what noticed it before."""
    known: dict[str, Killer] = json.loads(KNOWN_SEEDS.read_text())
    return known


def judge(
    rules: Sequence[WrongRule],
    *,
    seeds: int = SEEDS,
    hunt: bool = False,
    killers: Sequence[Killer] | None = None,
    workers: int = WORKERS,
) -> list[Verdict]:
    """Run wrong rules in a few processes; their verdicts in the given order.

    Each meets first what noticed it before, or the given `killers`, then so many `seeds`; a `hunt`
    leaves the known ones out and ends with every rule by example.
    """
    known = {} if hunt else known_killers()
    tasks = []
    for rule in rules:
        first = [known[rule.name]] if rule.name in known else []
        tasks.append((*rule, first if killers is None else killers, seeds, hunt))
    shares = [tasks[at::workers] for at in range(min(workers, len(tasks)))]
    with ThreadPoolExecutor(len(shares)) as pool:
        found = {item.name: item for share in pool.map(_in_process, shares) for item in share}
    return [found[rule.name] for rule in rules]


def _in_process(tasks: list[Any]) -> list[Verdict]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.differential.mutants", "--worker"],
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, f"the process of wrong rules ended: {done.stderr[-3000:]}"
    return [Verdict(*item) for item in json.loads(done.stdout)]


def _work(tasks: list[Any]) -> list[Verdict]:
    """Inside the process: one wrong rule after the other, each with modules of its own."""
    signal.signal(signal.SIGPROF, _too_long)
    verdicts = []
    for name, file, right, wrong, start, known, seeds, hunt in tasks:
        with tempfile.TemporaryDirectory() as folder:
            _copy_with(Path(folder), WrongRule(name, file, right, wrong))
            sys.path.insert(0, folder)
            _forget_modules()
            tried = range(start, start + seeds)
            killers = [*known, *tried, *(_examples() if hunt else ())]
            killer, text = _first_to_notice(killers)
            sys.path.remove(folder)
            verdicts.append(Verdict(name, killer, text))
    return verdicts


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no end within {SECONDS_EACH} s of processor time")


def _copy_with(folder: Path, rule: WrongRule) -> None:
    """A copy of `sim` in `folder` with one text of it replaced."""
    shutil.copytree(ROOT / "sim", folder / "sim")
    path = folder / "sim" / rule.file
    text = path.read_text()
    if text.count(rule.right) != 1:
        raise TextNotFoundError(
            f"{rule.name}: sim/{rule.file} has {text.count(rule.right)} times {rule.right!r}"
        )
    path.write_text(text.replace(rule.right, rule.wrong))


def _forget_modules() -> None:
    for name in list(sys.modules):
        if name.split(".")[0] in ("sim", "tests"):
            del sys.modules[name]
    importlib.invalidate_caches()


def _examples() -> Iterator[Killer]:
    """Every rule by example that needs nothing from pytest."""
    for name in (*(f"tests.sim.test_{name}" for name in EXAMPLES), "tests.differential.test_found"):
        for function, value in vars(importlib.import_module(name)).items():
            # Those that fill the exchange take as long as what never ends.
            if "room_for" in function or "given_back" in function:
                continue
            if function.startswith("test_") and not value.__code__.co_argcount:
                yield f"{name}:{function}"


def _first_to_notice(killers: Iterable[Killer]) -> tuple[Killer | None, str]:
    """The first seed or example that sees a difference. Any exception is one."""
    for killer in killers:
        signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)
        try:
            _run(killer)
        except Exception as failure:  # a wrong rule may break anything
            return killer, (str(failure) or repr(failure)).splitlines()[0]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return None, ""


def _run(killer: Killer) -> None:
    if isinstance(killer, int):
        importlib.import_module("tests.differential.drive").run_seed(killer)
        return
    module, function = killer.split(":")
    getattr(importlib.import_module(module), function)()


def _report(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        fate = "SURVIVED" if verdict.killer is None else f"killed by {verdict.killer}"
        yield f"{fate:>24}  {verdict.name}"
    killed = sum(verdict.killer is not None for verdict in verdicts)
    yield f"{killed} of {len(verdicts)} wrong rules killed"


def main() -> int:
    """The command; the number of wrong rules that survived."""
    parser = argparse.ArgumentParser(description="run wrong rules of the kernel")
    parser.add_argument("--hunt", action="store_true", help="without the known seeds")
    parser.add_argument("--keep", action="store_true", help="write down what was found")
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--only", default="", help="a part of the name")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        print(json.dumps(_work(json.load(sys.stdin))))
        return 0
    rules = [rule for rule in WRONG_RULES if given.only in rule.name]
    verdicts = judge(rules, seeds=given.seeds, hunt=given.hunt)
    print("\n".join(_report(verdicts)))
    survived = [verdict.name for verdict in verdicts if verdict.killer is None]
    if given.keep:
        known = known_killers()
        known |= {item.name: item.killer for item in verdicts if item.killer is not None}
        names = [rule.name for rule in WRONG_RULES if rule.name in known]
        KNOWN_SEEDS.write_text(json.dumps({name: known[name] for name in names}, indent=1) + "\n")
    return len(survived)


if __name__ == "__main__":
    raise SystemExit(main())
