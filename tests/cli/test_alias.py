import importlib
import sys
from types import ModuleType

import pytest

import papertape
from broker_api.errors import ConfigurationError
from scenarios.alias import alias, check_alias


def test_the_alias_names_the_very_same_modules() -> None:
    with alias("vendor_sdk"):
        vendor = importlib.import_module("vendor_sdk")
        assert vendor is papertape
        part = importlib.import_module("vendor_sdk.home")
        assert part is importlib.import_module("papertape.home")
        assert part.__spec__.name == "papertape.home"
        assert part.__name__ == "papertape.home"


def test_nothing_of_the_alias_is_left() -> None:
    finders = list(sys.meta_path)
    with alias("vendor_sdk"):
        importlib.import_module("vendor_sdk.home")
    assert sys.meta_path == finders
    assert not [name for name in sys.modules if name.startswith("vendor_sdk")]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("vendor_sdk")


def test_a_module_of_that_name_is_back_afterwards(monkeypatch) -> None:
    real = ModuleType("vendor_sdk")
    monkeypatch.setitem(sys.modules, "vendor_sdk", real)
    with alias("vendor_sdk"):
        assert importlib.import_module("vendor_sdk") is papertape
    assert sys.modules["vendor_sdk"] is real


def test_a_module_that_papertape_lacks_is_named() -> None:
    with (
        alias("vendor_sdk"),
        pytest.raises(ModuleNotFoundError, match=r"vendor_sdk.indicators means papertape.indic"),
    ):
        importlib.import_module("vendor_sdk.indicators")


def test_names_that_only_begin_alike_are_left_alone() -> None:
    with alias("vendor"), pytest.raises(ModuleNotFoundError, match="No module named 'vendor_sdk'"):
        importlib.import_module("vendor_sdk")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("project-x", "is not the name of a package"),
        ("a.b", "is not the name of a package"),
        ("", "is not the name of a package"),
        ("sim", "papertape's own packages keep their names"),
        ("asyncio", "belongs to Python's standard library"),
    ],
)
def test_names_that_must_keep_their_meaning_are_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_alias(name)


def test_an_installed_package_is_hidden_and_it_is_said() -> None:
    assert check_alias("pytest") == (
        "pytest is installed, but means papertape in this run (--as pytest)"
    )
    assert check_alias("vendor_sdk") is None
