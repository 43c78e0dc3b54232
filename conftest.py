"""Have pytest collect the blocks of code in the README, the documentation and the docstrings."""

from documents import collect_file as pytest_collect_file  # noqa: F401 - a hook
