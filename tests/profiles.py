"""How many examples hypothesis tries: few in the gate, many before a release.

These are tried with `HYPOTHESIS_PROFILE=thorough`.
"""

import os

from hypothesis import settings

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "fast")

# Nothing is timed: the machine may be busy with something else.
settings.register_profile("fast", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=100)


def examples(thorough: int) -> int:
    """Return how many examples to try, for a test that needs another number than the usual."""
    return thorough if PROFILE == "thorough" else max(10, thorough // 4)
