"""Vendors' packages that need a place of their own are tested where it was made (see Makefile)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-projectx" / "bin" / "python"
SDK_BEFORE = ROOT / ".sdk-before"
_PLACES = {
    "test_projectx_package.py": PYTHON,
    "test_sdk_before.py": SDK_BEFORE / ".installed",
}
collect_ignore = [name for name, place in _PLACES.items() if not place.exists()]
