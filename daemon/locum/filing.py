"""Summaries from the outbox to the sinks, each sink in its own time.

Sinks are asked at once, not after each other: one that hangs or fails holds up no other. What
fails is tried again with growing pauses, for as long as the sink is in the config.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import anyio
import structlog

from locum.core.model import SessionKey
from locum.errors import LocumError, TransientError
from locum.ledger import Filing, Ledger
from locum.metrics import Metrics
from locum.ports import Clock, SummarySink

_log = structlog.get_logger(__name__)

_FIRST_RETRY = timedelta(seconds=5)
_SLOWEST_RETRY = timedelta(minutes=15)

_LONGEST_WAIT = timedelta(hours=6)

_LONGEST_FILING_S = 180.0
"""How long a sink may take, in the host's seconds, whatever deadlines it has of its own."""


class Filer:
    """Files what waits in the outbox."""

    def __init__(self, ledger: Ledger, clock: Clock, metrics: Metrics) -> None:
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics

    async def file(self, key: SessionKey, sinks: Mapping[str, SummarySink]) -> None:
        """Try each filing of a session that is due, once."""
        due: dict[str, list[Filing]] = {}
        now = self._clock.now()
        for filing in self._ledger.outbox.of(key):
            if filing.filed_at is None and (filing.retry_at is None or filing.retry_at <= now):
                due.setdefault(filing.sink, []).append(filing)
        work = [self._file_all(sinks[name], due[name]) for name in due if name in sinks]
        for failure in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure

    async def _file_all(self, sink: SummarySink, filings: Sequence[Filing]) -> None:
        for filing in filings:
            await self._file(sink, filing)

    async def _file(self, sink: SummarySink, filing: Filing) -> None:
        summary = self._ledger.outbox.summary(filing.session, filing.meeting)
        if summary is None:
            return  # Forgotten meanwhile.
        wait = min(_FIRST_RETRY * 2 ** min(filing.attempts, 16), _SLOWEST_RETRY)
        try:
            with anyio.fail_after(_LONGEST_FILING_S):
                location = await sink.file(summary)
        except (LocumError, TimeoutError) as error:
            problem = str(error) or f"it took longer than {_LONGEST_FILING_S:.0f} s"
            if isinstance(error, TransientError) and error.retry_after > _SLOWEST_RETRY:
                wait = min(error.retry_after, _LONGEST_WAIT)  # It was told to wait that long.
            retry_at = self._clock.now() + wait
            self._ledger.outbox.failed(filing, retry_at=retry_at, problem=problem)
            self._metrics.debrief_finished(outcome="failed")
            _log.warning(
                "summary_not_filed", sink=filing.sink, problem=problem, retry_s=wait.seconds
            )
        else:
            self._ledger.outbox.filed(
                filing, at=self._clock.now(), location=location, edition=summary.edition
            )
            self._metrics.debrief_finished(outcome="filed")
            _log.info(
                "summary_filed", sink=filing.sink, location=location, edition=summary.edition
            )
