"""Ticks at rest: tapes, their checks, bars, and the generator of synthetic ones."""
