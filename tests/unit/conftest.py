"""How much of what is drawn is tried, where somebody says so: LOCUM_EXAMPLES."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import settings

from tests.unit.drawn import EXAMPLES

_SETTINGS = "_hypothesis_internal_use_settings"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Bound all tests that draw: their own settings know of no machine in a hurry."""
    if "LOCUM_EXAMPLES" not in os.environ:
        return
    for item in items:
        test = getattr(getattr(item, "obj", None), "__func__", getattr(item, "obj", None))
        used = getattr(test, _SETTINGS, None)
        if isinstance(used, settings) and used.max_examples > EXAMPLES:
            setattr(test, _SETTINGS, settings(used, max_examples=EXAMPLES))
