"""`[notify]`: what the owner is told, and where."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from locum.config.tables import Duration, LocalPath, Table
from locum.config.values import Between


class NoticeKinds(Table):
    """`[notify.kinds]`: what the owner is told, beside what comes next (`before`)."""

    called_off: bool = True
    """That it won't go, after it was said that it would."""
    missed: bool = True
    """A meeting that nobody was in, or that it dropped out of, and why."""
    refused: bool = True
    """That a room turned it away or put it out."""
    orphan: bool = True
    """That a stand-in may be running that can't be named."""
    left_running: bool = True
    """That one can't be ended."""
    over_budget: bool = True
    """That a cap of [budget] keeps it away."""
    credits: bool = True
    """That the engine's account can't pay, ahead of the meeting where possible."""
    calendar: bool = True
    """That a calendar can't be read, or a sign-in has ended; and when it is over."""
    config: bool = True
    """That an edit of this file was rejected."""
    ledger: bool = True
    """That the ledger was restored, and joins wait; and when it is over."""
    approval: bool = True
    """That a persona asks for your approval, to run something."""
    filed: bool = False
    """Where a summary was filed."""


class Notify(Table):
    """`[notify]`: tells the owner. Needs the extra: `pip install 'locum[notify]'`."""

    urls_file: LocalPath | None = None
    """A file with one apprise address a line (chmod 600). Otherwise the systemd credential
    "notify_urls"."""
    before: Annotated[Duration, Between(most="24h")] = timedelta(minutes=10)
    """How long before each join it says so, and how to keep it away; "0s" is never."""
    kinds: NoticeKinds = NoticeKinds()
    """What else is told."""
