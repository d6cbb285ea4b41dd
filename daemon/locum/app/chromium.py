"""Our own engine as the config has it: which browser, as whom, with what face and lips.

Building it imports neither Playwright nor numpy nor OpenCV: a daemon that sits idle, or goes
with another engine, doesn't pay for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from locum.config.engines import ChromiumEngine as ChromiumTable
from locum.config.model import Config
from locum.core.speech import MouthAt, Spoken
from locum.engines.chromium.browser import BrowserSettings
from locum.engines.chromium.engine import ChromiumEngine
from locum.engines.chromium.settings import ChromiumSettings
from locum.ports import Clock, Rigger


def chromium_settings(
    table: ChromiumTable, config: Config, state_dir: Path
) -> ChromiumSettings:
    return ChromiumSettings(
        state_dir=state_dir,
        account=account_of(table, config),
        executable=table.executable,
        width=table.width,
        height=table.height,
        sandbox=table.sandbox,
        headless=table.headless,
        captions=table.captions,
        accept_recording=table.accept_recording,
        memory_limit=table.memory_limit,
        meet_url=table.meet_url,
    )


def account_of(table: ChromiumTable, config: Config) -> str:
    """Answer as whose account it goes; empty for a guest, or where nobody can say."""
    if table.guest:
        return ""
    names = [account.name for account in config.calendar.accounts]
    return table.account or (names[0] if len(names) == 1 else "")


def drawing_browser(config: Config | None) -> BrowserSettings:
    """Answer the browser that draws outside of meetings: that of the config's own engine."""
    for table in () if config is None else config.engines.values():
        if isinstance(table, ChromiumTable):
            return BrowserSettings(executable=table.executable, sandbox=table.sandbox)
    return BrowserSettings()


def chromium_engine(settings: ChromiumSettings, clock: Clock) -> ChromiumEngine:
    return ChromiumEngine(
        settings,
        clock=clock,
        rigger=lambda: _rigs(settings.state_dir),
        lips=_LazyLips(),
    )


def _rigs(state_dir: Path) -> Rigger:
    from locum.app.rigs import rig_store

    return rig_store(state_dir)


class _LazyLips:
    """Lips that import numpy with the first word."""

    def __init__(self) -> None:
        self._read: Callable[[Spoken], Sequence[MouthAt]] | None = None

    def __call__(self, spoken: Spoken) -> Sequence[MouthAt]:
        if self._read is None:
            from locum.voices.lips import lips

            self._read = lips()
        return self._read(spoken)
