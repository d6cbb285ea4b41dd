"""The process that is killed: `locum`'s own entry, with points to die at put into its memory."""

from __future__ import annotations

import errno
import importlib
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from locum import files
from locum.cli import root
from locum.sinks import markdown
from tests.campaign.disk import fail_by, why_not
from tests.campaign.nursery import Orders, keep
from tests.campaign.plants import PLANTS
from tests.campaign.points import Diary, Points, install

_IMPORTED_AS_IT_GOES = (
    *("_strptime", "anyio._backends._asyncio", "anyio.streams.tls", "encodings.idna"),
    *("apscheduler.schedulers.asyncio", "google_auth_httplib2", "google.oauth2.credentials"),
    *("googleapiclient.discovery", "googleapiclient.discovery_cache", "httpcore", "uvicorn"),
    *("watchfiles", "prometheus_client.exposition", "locum.app.daemon", "locum.app.reaper"),
    *("locum.calendars.google_client", "locum.logs"),
)
"""What a run imports when it comes to need it: in the nursery already, so that no life has to."""


def live(orders: Orders) -> int:
    """Be one life; answers the exit status, should it end by itself."""
    log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((log, 1), (log, 2), (nothing, 0)):
        os.dup2(source, target)
    diary = Diary(Path(orders.diary))
    install(Points(diary, orders.point, orders.count, prefix=orders.prefix))
    if orders.full_sinks:
        _fill_the_sinks(orders.full_sinks)
    if orders.plant is not None:
        PLANTS[orders.plant]()
    if orders.disk is not None:
        fail_by(orders.disk, diary)
    sys.argv = ["locum", *orders.arguments]
    try:
        root.main()
    except SystemExit as ending:
        return _status(ending.code)
    except BaseException:  # noqa: BLE001 - The process's outermost frame.
        traceback.print_exc()
        return 1
    return 0


def _status(code: Any) -> int:
    return code if isinstance(code, int) else int(code is not None)


def _fill_the_sinks(times: int) -> None:
    replace = files.replace_file
    left = iter(range(times))

    def full(path: Path, content: bytes, *, mode: int = 0o600) -> None:
        if next(left, None) is not None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        replace(path, content, mode=mode)

    markdown.replace_file = full  # type: ignore[attr-defined]


if __name__ == "__main__":
    for name in _IMPORTED_AS_IT_GOES:
        importlib.import_module(name)
    keep(socket.socket(fileno=0), live, no_disk_faults=why_not())
