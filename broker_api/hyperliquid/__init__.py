"""Hyperliquid: its wire and signatures (pure, shared with the local venue) and the live adapter."""
