"""Local servers that speak a real venue's wire protocol over the simulated exchange.

One core for all of them: `sources` and `present` (what a market plays, what it shows now),
`clock` (market time against wall time), `venue` (the exchange with one ledger an account), `runner`
(the one door through which anything changes, and the record of it), `faults`, `sockets`, `control`,
`server`. A venue's own folder holds its wire layer: what its messages say, and nothing of how a
market works.
"""
