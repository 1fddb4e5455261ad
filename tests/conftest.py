"""For every test: Hypothesis without a wall-clock deadline, because machines are shared."""

from hypothesis import settings

settings.register_profile("papertape", deadline=None, print_blob=True)
settings.load_profile("papertape")
