"""Hyperliquid's perpetuals on loopback: the vendor's own SDK connects to it unmodified.

`engine` holds the state and is told of events (`fold`); `admission` decides whether a posted action
comes in, `placing`, `tpsl`, `changing` and `money` do it; `info` answers `/info`; `channels` and
`hub` are the WebSocket; `wire` is the web application around them. Messages, words and signatures
are `broker_api.hyperliquid`'s, which the live adapter shares.
"""
