"""The `customTag` of an order: the client's own id of it, unique for the account for ever.

The session's numbers begin at 1 in every session, so they stand behind what tells the session.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from broker_api.order import OrderRequest
from broker_api.plain_order import asked_id

PREFIX = "pt."
_NAME_MAX = 40


@dataclass(frozen=True)
class Tags:
    """Tags of one session. `own` is the scope of names that the user gave, None: the session."""

    session: str
    own: str | None

    def of(self, request: OrderRequest) -> str:
        """The tag of an order."""
        name = request.client_order_id
        first, _, _ = name.partition("~")  # of an exit that is placed again
        is_number = first.rstrip("x") == str(asked_id(request.order_id))
        scope = self.session if is_number or self.own is None else self.own
        if len(name) > _NAME_MAX:
            name = hashlib.sha256(name.encode()).hexdigest()[:_NAME_MAX]
        return f"{PREFIX}{scope}.{name}"

    @property
    def scopes(self) -> list[str]:
        """What stands in the tags before the names."""
        return [self.session] if self.own is None else [self.session, self.own]
