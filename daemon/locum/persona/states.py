"""What models have read a recording into: the files in `voices/` of the state directory.

Such a state speaks with somebody's voice as well as their recording does. So it is kept no longer
than their consent to that recording counts: who takes it back, or lets it end, leaves none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import structlog

from locum.errors import LocumError
from locum.persona.consent import ConsentKey, Scope, check_consent

_log = structlog.get_logger(__name__)

_SAMPLE = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
"""Whoever keeps one there writes its recording's SHA-256 into its name."""


def states_home(state: Path) -> Path:
    return state / "voices"


def forget_states(state: Path, sample: str) -> int:
    """Delete what the recording of that SHA-256 was read into; answers how many files it was."""
    return sum(_deleted(path) for path, of in _kept(state) if of == sample)


def forget_unconsented(state: Path, now: datetime, elsewhere: Iterable[Path] = ()) -> int:
    """Delete what was read of recordings to which no persona has its owner's consent now.

    `elsewhere` are the personas' folders that the state directory doesn't hold. Answers how many
    files it was. No recording is read for that.
    """
    kept = _kept(state)
    if not kept:
        return 0
    key, folders = ConsentKey(state), {*(state / "personas").glob("*"), *elsewhere}
    lent = {
        sample
        for sample in {sample for _, sample in kept}
        if any(_consents(folder, sample, key, now) for folder in folders)
    }
    return sum(_deleted(path) for path, sample in kept if sample not in lent)


def _kept(state: Path) -> tuple[tuple[Path, str], ...]:
    """Answer each file with the SHA-256 of its recording; drafts of them too."""
    try:
        paths = sorted(states_home(state).iterdir())
    except OSError:
        return ()
    return tuple((path, found[0]) for path in paths if (found := _SAMPLE.search(path.name)))


def _consents(folder: Path, sample: str, key: ConsentKey, now: datetime) -> bool:
    try:
        return not check_consent(folder, Scope.VOICE, sample, key, at=now).trouble
    except LocumError:
        return False  # What can't be judged is none; a state is read anew in seconds.


def _deleted(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        _log.error("voice_state_not_deleted", path=str(path), problem=error.strerror)
        return False
    return True
