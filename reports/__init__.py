"""Journals in; metrics, terminal summaries and one-file HTML reports out."""
