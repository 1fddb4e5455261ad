"""The venue's wire, written once for both ends of it; pure.

`numbers` decimals and the rules of prices and sizes; `schema` the kinds of fields, decoding and
encoding; `actions` what is signed and posted to `/exchange`; `answers` what comes back; `account`
and `market` the records of `/info` and of the WebSocket; `frames` the WebSocket's envelopes;
`statuses` and `texts` the venue's words for what became of an order, in both directions.
"""
