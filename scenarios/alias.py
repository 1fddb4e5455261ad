"""`--as NAME`: while a script runs, another package's name means papertape.

A script that says `from project_x_py import TradingSuite` then runs with not one character
changed. `NAME` is papertape, `NAME.submodule` is `papertape.submodule`; the very same modules, not
copies, so that classes keep their identity. Everything is put back afterwards.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from broker_api.errors import ConfigurationError

TARGET = "papertape"
"""The package that an alias means."""

_ROOMS = ("papertape", "broker_api", "sim", "data", "scenarios", "reports")


class _AliasLoader(Loader):
    """Hands out an already imported module under its other name."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._target)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the alias's spec into the module: put back its own.
        module.__spec__ = self._spec


class _AliasFinder(MetaPathFinder):
    """Finds `name` and everything below it in papertape."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name and not fullname.startswith(self._name + "."):
            return None
        meant = TARGET + fullname[len(self._name) :]
        if importlib.util.find_spec(meant) is None:
            raise ModuleNotFoundError(
                f"{fullname} means {meant} in this run (--as {self._name}), and papertape has no "
                "such module",
                name=fullname,
            )
        return ModuleSpec(fullname, _AliasLoader(meant), is_package=fullname == self._name)


def check_alias(name: str) -> str | None:
    """Check that `name` may be an alias; a text when it hides a package that is installed.

    Raises ConfigurationError for a name that is no plain module name, that is one of papertape's
    own packages, or that belongs to Python itself.
    """
    if not name.isidentifier():
        raise ConfigurationError(f"--as {name!r} is not the name of a package, like project_x_py")
    if name in _ROOMS:
        raise ConfigurationError(f"--as {name}: papertape's own packages keep their names")
    if name in sys.stdlib_module_names:
        raise ConfigurationError(f"--as {name}: this name belongs to Python's standard library")
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        return None
    return f"{name} is installed, but means papertape in this run (--as {name})"


@contextmanager
def alias(name: str) -> Iterator[None]:
    """Inside the block `import name` imports papertape. Nothing of it is left afterwards."""
    check_alias(name)
    hidden = {key: sys.modules.pop(key) for key in _modules_of(name)}
    finder = _AliasFinder(name)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for key in _modules_of(name):
            del sys.modules[key]
        sys.modules.update(hidden)


def _modules_of(name: str) -> list[str]:
    return [key for key in sys.modules if key == name or key.startswith(name + ".")]
