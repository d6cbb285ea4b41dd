"""What every test here leaves as it found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from locum import logs


@pytest.fixture(autouse=True)
def _no_log_left_set_up() -> Iterator[None]:
    """Take away what a command that was called in this process set up for its log."""
    yield
    root = logging.getLogger()
    others = [each for each in root.handlers if type(each).__module__ != logs.__name__]
    if len(others) < len(root.handlers):
        root.handlers[:] = others
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
