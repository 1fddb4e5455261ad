"""What is posted. Unknown keys are passed over, as the gateway does."""

from __future__ import annotations

from typing import Annotated

from broker_api.messages import ABSENT, Flag, Key, Many, Text, response
from broker_api.order import Side
from broker_api.projectx.wire.enums import OrderStatus, OrderType
from broker_api.projectx.wire.fields import ContractId, Count, Id, Instant, Number, Tag

BARS_MAX = 20_000
PAGE_MAX = 1_000


@response
class LoginKey:
    """`Auth/loginKey`. The key is a secret: this is never shown."""

    user_name: Annotated[Text, Key("userName")]
    api_key: Annotated[Text, Key("apiKey")]

    def __repr__(self) -> str:
        return f"LoginKey(user_name={self.user_name!r}, api_key=***)"


@response
class SearchAccounts:
    """`Account/search`."""

    only_active: Annotated[Flag, Key("onlyActiveAccounts")] = False


@response
class SearchContracts:
    """`Contract/search`: fuzzy over name, code and description."""

    text: Annotated[Text | None, Key("searchText")] = None
    live: Flag = False


@response
class AvailableContracts:
    """`Contract/available`."""

    live: Flag = False


@response
class ContractById:
    """`Contract/searchById`."""

    contract_id: Annotated[ContractId, Key("contractId")]


@response
class RetrieveBars:
    """`History/retrieveBars`: of the bars that begin in the span the newest `limit`."""

    contract_id: Annotated[ContractId, Key("contractId")]
    start: Annotated[Instant, Key("startTime")]
    end: Annotated[Instant, Key("endTime")]
    unit: Count
    unit_number: Annotated[Count, Key("unitNumber")]
    limit: Count
    live: Flag = False
    include_partial: Annotated[Flag, Key("includePartialBar")] = False


@response
class Bracket:
    """An exit at so many ticks from the entry's fill, signed."""

    ticks: Count
    type: OrderType


@response
class PlaceOrder:
    """`Order/place`. `custom_tag` is unique for the account."""

    account_id: Annotated[Id, Key("accountId")]
    contract_id: Annotated[ContractId, Key("contractId")]
    type: OrderType
    side: Side
    size: Count
    limit_price: Annotated[Number | None, Key("limitPrice")] = None
    stop_price: Annotated[Number | None, Key("stopPrice")] = None
    trail_price: Annotated[Number | None, Key("trailPrice")] = None
    custom_tag: Annotated[Tag | None, Key("customTag"), ABSENT] = None
    linked_order_id: Annotated[Id | None, Key("linkedOrderId"), ABSENT] = None
    stop_loss: Annotated[Bracket | None, Key("stopLossBracket"), ABSENT] = None
    take_profit: Annotated[Bracket | None, Key("takeProfitBracket"), ABSENT] = None


@response
class ModifyOrder:
    """`Order/modify`: None leaves a value."""

    account_id: Annotated[Id, Key("accountId")]
    order_id: Annotated[Id, Key("orderId")]
    size: Annotated[Count | None, ABSENT] = None
    limit_price: Annotated[Number | None, Key("limitPrice"), ABSENT] = None
    stop_price: Annotated[Number | None, Key("stopPrice"), ABSENT] = None
    trail_price: Annotated[Number | None, Key("trailPrice"), ABSENT] = None


@response
class OrderOfAccount:
    """`Order/cancel` and `Order/searchById`."""

    account_id: Annotated[Id, Key("accountId")]
    order_id: Annotated[Id, Key("orderId")]


@response
class SearchSpan:
    """`Order/search` and `Trade/search`: what was created in a span; None leaves an end open."""

    account_id: Annotated[Id, Key("accountId")]
    start: Annotated[Instant | None, Key("startTimestamp")] = None
    end: Annotated[Instant | None, Key("endTimestamp")] = None


@response
class OfAccount:
    """`Order/searchOpen` and `Position/searchOpen`."""

    account_id: Annotated[Id, Key("accountId")]


@response
class OrderFilter:
    """Which orders a query is for; None is any."""

    account_id: Annotated[Id, Key("accountId")]
    statuses: Annotated[Many[OrderStatus] | None, ABSENT] = None
    contract_id: Annotated[ContractId | None, Key("contractId"), ABSENT] = None
    created_after: Annotated[Instant | None, Key("createdAfter"), ABSENT] = None
    created_before: Annotated[Instant | None, Key("createdBefore"), ABSENT] = None


@response
class QueryOrders:
    """`Order/v2/query`. `page_offset` counts orders. Sorted by time (0) or id (1), up or down."""

    filter: OrderFilter
    page_size: Annotated[Count, Key("pageSize")] = 50
    page_offset: Annotated[Count, Key("pageOffset")] = 0
    sort_by: Annotated[Count, Key("sortBy")] = 0
    sort_direction: Annotated[Count, Key("sortDirection")] = 1
    include_total: Annotated[Flag, Key("includeTotalCount")] = False


@response
class ClosePosition:
    """`Position/closeContract`."""

    account_id: Annotated[Id, Key("accountId")]
    contract_id: Annotated[ContractId, Key("contractId")]


@response
class PartialClose:
    """`Position/partialCloseContract`."""

    account_id: Annotated[Id, Key("accountId")]
    contract_id: Annotated[ContractId, Key("contractId")]
    size: Count
