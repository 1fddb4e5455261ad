"""Strategies with a tape, settings and an expectation, in one folder each."""
