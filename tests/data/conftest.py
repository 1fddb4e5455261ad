"""Files of small tapes, and where the recorded market data is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tapes import ES

from data.schema import TickGrid

ROOT = Path(__file__).parents[2]


@pytest.fixture
def es() -> TickGrid:
    return ES


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes columns as tape.parquet in the test's folder."""

    def write_columns(columns: dict[str, Any], **options: Any) -> Path:
        path = tmp_path / "tape.parquet"
        pq.write_table(pa.table(columns), path, **options)
        return path

    return write_columns


@pytest.fixture
def recorded() -> Path:
    """The folder of recorded market data; its tests are marked `realdata`."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recorded market data is not here")
    return folder
