"""Messages are spoilt for the venue as for the adapter's decoders: by the same file."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "broker_api" / "hyperliquid"))
