"""What some tests need of the machine; without it they skip, and say why."""

from __future__ import annotations

import ctypes
import shutil

import pytest

from locum.engines.chromium.browser import NAMES
from locum.voices.espeak_process import LIBRARY

chromium = pytest.mark.skipif(
    not any(shutil.which(name) for name in NAMES), reason="there is no Chromium"
)


def _has_espeak() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


espeak = pytest.mark.skipif(not _has_espeak(), reason="espeak-ng isn't installed")
