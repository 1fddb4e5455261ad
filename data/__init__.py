"""Ticks at rest: tapes, their checks, bars from ticks, and the seeded generator of synthetic tapes.

`data.schema` says what a tape is, `data.tape` opens one, `data.check` says what is wrong with one,
`data.bars` makes bars, `data.synthetic` writes tapes from a seed. Imports none of our other rooms.
"""
