"""ProjectX by the names that scripts import; it needs the extra `papertape[projectx]`."""

from __future__ import annotations

from broker_api.projectx.config import ProjectXConfig

__all__ = ["ProjectXConfig"]
