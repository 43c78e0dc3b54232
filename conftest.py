"""Have pytest collect the blocks of code in the README, the documentation and the docstrings."""

import pytest
from documents import collect_file as pytest_collect_file  # noqa: F401 - a hook


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave pages out of the inner loop: each is a story, on a sandbox of its own."""
    for item in items:
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.slow)
