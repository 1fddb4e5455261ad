"""The gateway's wire, as pure functions and frozen dataclasses.

The adapter and the local venue share it: what one writes the other reads, in both directions. It
does no input or output. Source of shapes, numbers and names: the gateway's public API description
and documentation, as of 2026.
"""
