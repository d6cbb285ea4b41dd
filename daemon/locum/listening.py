"""What is heard in a room: written down as it is said, and searched for "opt out" first.

A ledger that can't be written (its disk is full) keeps nobody from opting out, and loses
nothing that was said while this process lives.
"""

from __future__ import annotations

import structlog

from locum.core.consent import series_of, wants_out
from locum.core.model import OptOut, SessionKey, SessionRecord
from locum.core.transcript import Deferral, Utterance
from locum.errors import LocumError
from locum.ledger import Ledger
from locum.ports import Said

_log = structlog.get_logger(__name__)

_MOST_UNWRITTEN = 10_000
"""How many utterances wait, at most, for a ledger that can't be written."""


class Listener:
    """Listens for one session."""

    def __init__(self, key: SessionKey, ledger: Ledger) -> None:
        self._key = key
        self._ledger = ledger
        self._opted_out: Said | None = None
        self._unwritten: list[Utterance] = []
        self._deferred: list[Deferral] = []

    def hear(self, said: Said, *, names: str, keep: bool = True) -> bool:
        """Take in what somebody said; answers whether it is their wish to opt out.

        `names` are what the stand-in and its owner are called, as on the tile. Before it has
        said who it is, it may `keep` nothing.
        """
        wish = wants_out(said.text, names=names)
        if wish:
            _log.warning("opted_out", by=said.speaker, in_chat=said.in_chat)
            self._opted_out = said
        if keep:
            self.write(said.as_utterance())
        return wish

    def write(self, utterance: Utterance) -> None:
        """Keep what somebody said, or we did. Raises nothing: what can't be written waits."""
        if len(self._unwritten) < _MOST_UNWRITTEN:
            self._unwritten.append(utterance)
        self._try_to_write()

    def defer(self, deferral: Deferral) -> None:
        """Keep what is taken along for the owner; as `write` does."""
        if len(self._deferred) < _MOST_UNWRITTEN:
            self._deferred.append(deferral)
        self._try_to_write()

    def _try_to_write(self) -> None:
        try:
            self.write_down()
        except LocumError as error:
            waiting = len(self._unwritten)
            _log.warning("utterance_unwritten", waiting=waiting, problem=str(error))

    def write_down(self) -> None:
        """Write what was said and isn't in the ledger yet; in no other transaction.

        Raises:
            TransientError: The ledger can't be written now; call again.
        """
        if self._unwritten:
            self._ledger.transcripts.add(self._key, self._unwritten)
            self._unwritten.clear()
        if self._deferred:
            self._ledger.transcripts.defer(self._key, self._deferred)
            self._deferred.clear()

    def write_opt_out(self, record: SessionRecord) -> None:
        """Write for which series somebody opted out: those of the meetings that had begun."""
        said = self._opted_out
        if said is None:
            return
        begun = [m for m in record.meetings if m.start <= said.at]
        for meeting in begun or record.meetings[:1]:
            series = series_of(meeting.occurrence)
            self._ledger.calendars.opt_out(
                OptOut(series, said.at, by=said.speaker, title=meeting.title)
            )
