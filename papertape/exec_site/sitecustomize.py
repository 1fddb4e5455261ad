"""Runs first in a program that `papertape serve hyperliquid --exec` starts.

The vendor's SDK reads its test network's address from a constant of its module `constants`; here
that constant gets the local venue's address as soon as the module is imported. Nothing else of the
SDK, and nothing of the program, is touched. Only the standard library is used: the program may run
in an environment without papertape.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to import
CONSTANTS = "hyperliquid.utils.constants"
SETUP = "example_utils"


class _Constants(importlib.abc.Loader):
    """Loads the SDK's constants, then makes the test network's address the venue's."""

    def __init__(self, loader: importlib.abc.Loader, url: str) -> None:
        self._loader = loader
        self._url = url

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the SDK's own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load it, then set the one address."""
        self._loader.exec_module(module)
        module.TESTNET_API_URL = self._url  # type: ignore[attr-defined]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds two modules: the SDK's constants, and the set-up of its example programs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of one of the two; None leaves every other import alone."""
        if fullname == CONSTANTS:
            spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Constants(spec.loader, self._url)
            return spec
        if fullname == SETUP:
            return _set_up(importlib.machinery.PathFinder.find_spec(fullname, path, target))
        return None


def _set_up(found: importlib.machinery.ModuleSpec | None) -> importlib.machinery.ModuleSpec | None:
    """The program's own `example_utils` where a config.json lies beside it, else the one here."""
    if found is not None and found.origin:
        beside = os.path.join(os.path.dirname(found.origin), "config.json")  # noqa: PTH118, PTH120
        if os.path.exists(beside):  # noqa: PTH110
            return found
    place = os.path.join(HERE, "example_setup.py")  # noqa: PTH118
    return importlib.util.spec_from_file_location(SETUP, place)


def _go_on_with_others() -> None:
    """The environment's own sitecustomize, which this one stands before."""
    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


if "PAPERTAPE_VENUE_URL" in os.environ:
    sys.meta_path.insert(0, _Finder(os.environ["PAPERTAPE_VENUE_URL"]))
_go_on_with_others()
