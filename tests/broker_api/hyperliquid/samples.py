"""Messages as the venue's reference shows them: recorded ones, and what stands for their kind."""

from __future__ import annotations

from typing import Any

HASH = "0x" + "0" * 62 + "ab"
USER = "0x14791697260e4c9a71f18484c9f997b308e59325"
CLOID = "0x0000000000000000000000000000abcd"
CHAIN = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
LIMIT = {
    "a": 1,
    "b": True,
    "p": "1100",
    "s": "0.2",
    "r": False,
    "t": {"limit": {"tif": "Gtc"}},
    "c": CLOID,
}
STOP = {
    "a": 1,
    "b": False,
    "p": "2500",
    "s": "0.02",
    "r": True,
    "t": {"trigger": {"isMarket": True, "triggerPx": "2600", "tpsl": "sl"}},
}

ACTIONS: list[dict[str, Any]] = [
    {"type": "order", "orders": [LIMIT, STOP], "grouping": "na"},
    {
        "type": "order",
        "orders": [LIMIT],
        "grouping": "normalTpsl",
        "builder": {"b": USER, "f": 10},
    },
    {"type": "cancel", "cancels": [{"a": 1, "o": 123}, {"a": 0, "o": 7, "f": True}]},
    {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]},
    {"type": "modify", "oid": 5, "order": LIMIT},
    {
        "type": "batchModify",
        "modifies": [{"oid": 5, "order": LIMIT}, {"oid": CLOID, "order": STOP, "a": True}],
    },
    {"type": "scheduleCancel", "time": 1795257309935},
    {"type": "scheduleCancel"},
    {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 5},
    {"type": "updateIsolatedMargin", "asset": 1, "isBuy": True, "ntli": -1000000},
    {"type": "noop"},
    {
        "type": "approveAgent",
        "agentAddress": USER,
        "nonce": 1700000000000,
        **CHAIN,
        "agentName": "bot",
    },
    {
        "type": "approveBuilderFee",
        "maxFeeRate": "0.001%",
        "builder": USER,
        "nonce": 1700000000000,
        **CHAIN,
    },
    {
        "type": "usdClassTransfer",
        "amount": "1.23",
        "toPerp": True,
        "nonce": 1700000000000,
        **CHAIN,
    },
]

POSTED: list[dict[str, Any]] = [
    {
        "action": action,
        "nonce": 1795257309935,
        "signature": {
            "r": "0x7f9d8e175585e2fb697da5f45469ceb2aab8f21be390962ab002ab08aa0a873",
            "s": "0x676e93a6bd1a4aae7f4c5bacd997e973bba1f2cb6483c12ba253e2dd51fc0115",
            "v": 27,
        },
        "vaultAddress": USER if action["type"] == "cancel" else None,
        "expiresAfter": 1795257319935 if action["type"] == "order" else None,
    }
    for action in ACTIONS
]

ANSWERS: list[dict[str, Any]] = [
    {"status": "err", "response": "Action already expired"},
    {"status": "ok", "response": {"type": "default"}},
    {
        "status": "ok",
        "response": {
            "type": "order",
            "data": {
                "statuses": [
                    {"resting": {"oid": 77738308, "cloid": CLOID}},
                    {"resting": {"oid": 77738309}},
                    {"filled": {"totalSz": "0.05", "avgPx": "2999.4", "oid": 77747314}},
                    "waitingForFill",
                    "waitingForTrigger",
                    {"error": "Order must have minimum value of $10. asset=4"},
                ]
            },
        },
    },
    {
        "status": "ok",
        "response": {
            "type": "cancel",
            "data": {
                "statuses": [
                    "success",
                    {
                        "error": "Order was never placed, already canceled, or filled. asset=173",
                    },
                ]
            },
        },
    },
]

BASIC_ORDER: dict[str, Any] = {
    "coin": "ETH",
    "side": "B",
    "limitPx": "1100.0",
    "sz": "0.2",
    "oid": 77738308,
    "timestamp": 1700126022555,
    "origSz": "0.2",
}
FULL_ORDER: dict[str, Any] = {
    "coin": "INJ",
    "side": "A",
    "limitPx": "9.1954",
    "sz": "12.5",
    "oid": 3184595906,
    "timestamp": 1700126022555,
    "triggerCondition": "Price below 9.995",
    "isTrigger": True,
    "triggerPx": "9.995",
    "children": [],
    "isPositionTpsl": False,
    "reduceOnly": True,
    "orderType": "Stop Market",
    "origSz": "12.5",
    "tif": None,
    "cloid": None,
}
PARENT: dict[str, Any] = {**FULL_ORDER, "children": [FULL_ORDER], "tif": "Gtc", "cloid": CLOID}
FILL: dict[str, Any] = {
    "coin": "ETH",
    "px": "4303.7",
    "sz": "0.0025",
    "side": "A",
    "time": 1755857910772,
    "startPosition": "0.0025",
    "dir": "Close Long",
    "closedPnl": "-0.00925",
    "hash": HASH,
    "oid": 37907165748,
    "crossed": True,
    "fee": "0.004841",
    "tid": 912424546441675,
    "feeToken": "USDC",
    "twapId": None,
}
SUMMARY = {
    "accountValue": "13109.482328",
    "totalNtlPos": "100.02765",
    "totalRawUsd": "13009.454678",
    "totalMarginUsed": "4.967826",
}
STATE: dict[str, Any] = {
    "marginSummary": SUMMARY,
    "crossMarginSummary": {**SUMMARY, "totalNtlPos": "0.0"},
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "13104.514502",
    "assetPositions": [
        {
            "position": {
                "coin": "ETH",
                "szi": "0.0335",
                "leverage": {"type": "isolated", "value": 20, "rawUsd": "-95.059824"},
                "entryPx": "2986.3",
                "positionValue": "100.02765",
                "unrealizedPnl": "-0.0134",
                "returnOnEquity": "-0.0026789",
                "liquidationPx": None,
                "marginUsed": "4.967826",
                "maxLeverage": 50,
                "cumFunding": {
                    "allTime": "514.085417",
                    "sinceOpen": "0.0",
                    "sinceChange": "0.0",
                },
            },
            "type": "oneWay",
        }
    ],
    "time": 1708622398623,
}
META: dict[str, Any] = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "ETH", "szDecimals": 4, "maxLeverage": 25, "marginTableId": 55},
        {"name": "OLD", "szDecimals": 0, "maxLeverage": 3, "isDelisted": True},
    ],
    "marginTables": [
        [
            56,
            {
                "description": "tiered 40x",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 40},
                    {"lowerBound": "150000000.0", "maxLeverage": 20},
                ],
            },
        ]
    ],
    "collateralToken": 0,
}
LEVELS = [
    [{"px": "2999.9", "sz": "1.5", "n": 3}],
    [{"px": "3000.0", "sz": "0.2", "n": 1}],
]
BOOK: dict[str, Any] = {"coin": "ETH", "time": 1708622398623, "levels": LEVELS}
CANDLE: dict[str, Any] = {
    "t": 1681923600000,
    "T": 1681924499999,
    "s": "ETH",
    "i": "15m",
    "o": "2995.0",
    "c": "3001.5",
    "h": "3002.0",
    "l": "2990.1",
    "v": "98.2",
    "n": 189,
}
PRINT: dict[str, Any] = {
    "coin": "ETH",
    "side": "A",
    "px": "3000.0",
    "sz": "0.5",
    "time": 1708622398623,
    "hash": HASH,
    "tid": 118906512037719,
    "users": [USER, USER],
}
CONTEXT: dict[str, Any] = {
    "funding": "0.0000125",
    "openInterest": "688.11",
    "prevDayPx": "2955.8",
    "dayNtlVlm": "1169046.29406",
    "premium": "0.00031774",
    "oraclePx": "2998.1",
    "markPx": "2999.6",
    "midPx": "2999.95",
    "impactPxs": ["2999.9", "3000.0"],
    "dayBaseVlm": "390.1",
}
UPDATE: dict[str, Any] = {
    "order": {**BASIC_ORDER, "cloid": CLOID, "reduceOnly": True},
    "status": "open",
    "statusTimestamp": 1700126022555,
}
FUNDING: dict[str, Any] = {
    "time": 1681222254710,
    "coin": "ETH",
    "usdc": "-3.625312",
    "szi": "49.1477",
    "fundingRate": "0.0000417",
    "nSamples": 1,
}

FRAMES: list[dict[str, Any]] = [
    {"channel": "pong"},
    {"channel": "allMids", "data": {"mids": {"ETH": "2999.95", "BTC": "30135.0"}}},
    {"channel": "l2Book", "data": BOOK},
    {"channel": "bbo", "data": {"coin": "ETH", "time": 5, "bbo": [LEVELS[0][0], None]}},
    {"channel": "trades", "data": [PRINT]},
    {"channel": "candle", "data": CANDLE},
    {"channel": "activeAssetCtx", "data": {"coin": "ETH", "ctx": CONTEXT}},
    {"channel": "orderUpdates", "data": [UPDATE]},
    {"channel": "user", "data": {"fills": [FILL]}},
    {"channel": "user", "data": {"funding": FUNDING}},
    {"channel": "user", "data": {"nonUserCancel": [{"coin": "ETH", "oid": 5}]}},
    {"channel": "userFills", "data": {"user": USER, "fills": [FILL], "isSnapshot": True}},
    {"channel": "userFundings", "data": {"user": USER, "fundings": [FUNDING]}},
    {"channel": "clearinghouseState", "data": {"user": USER, "clearinghouseState": STATE}},
    {
        "channel": "post",
        "data": {"id": 8, "response": {"type": "action", "payload": ANSWERS[2]}},
    },
    {
        "channel": "subscriptionResponse",
        "data": {"method": "subscribe", "subscription": {"type": "trades", "coin": "ETH"}},
    },
    {"channel": "error", "data": "Already subscribed: {}"},
]

CLIENT_FRAMES: list[dict[str, Any]] = [
    {"method": "ping"},
    {"method": "subscribe", "subscription": {"type": "userFills", "user": USER}},
    {"method": "unsubscribe", "subscription": {"type": "allMids"}},
    {"method": "post", "id": 7, "request": {"type": "info", "payload": {"type": "meta"}}},
    {"method": "post", "id": 8, "request": {"type": "action", "payload": POSTED[0]}},
]
