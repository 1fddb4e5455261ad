"""Programs of vendors' packages that need a Python of their own are tested where it was made."""

from pathlib import Path

PYTHON = Path(__file__).resolve().parents[2] / ".venv-projectx" / "bin" / "python"
collect_ignore = [] if PYTHON.exists() else ["test_projectx_package.py"]
