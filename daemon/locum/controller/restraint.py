"""What is left undone after the ledger was restored, until it can answer for it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import structlog

from locum.agenda import Agenda
from locum.core.model import Action, Amend, GiveUp, Join, Leave, SessionKey, SessionRecord
from locum.ledger import Ledger
from locum.ledger.hold import Hold

_log = structlog.get_logger(__name__)


class Restraint:
    """`held` is what the last pass didn't join because of it: titles, each with its reason."""

    def __init__(self, ledger: Ledger, agenda: Agenda) -> None:
        self._ledger = ledger
        self._agenda = agenda
        self.held: Mapping[SessionKey, tuple[str, str]] = {}

    def hold_back(
        self, actions: tuple[Action, ...], records: Sequence[SessionRecord], now: datetime
    ) -> tuple[Action, ...]:
        """Leave out what a restored ledger can't answer for yet."""
        hold = Hold.of(self._ledger.database)
        held: dict[SessionKey, tuple[str, str]] = {}
        kept: set[SessionKey] = set()
        if hold is not None:
            states = self._ledger.calendars.states()
            kept = {record.key for record in records if hold.keeps(record, states, now)}
            used = self._agenda.rooms_used_by(hold.since)
            for action in actions:
                if isinstance(action, Join) and (
                    reason := hold.reason(action.stay, states, records, used_before=used)
                ):
                    held[action.stay.key] = action.stay.meetings[0].title, reason
        for key, (_, reason) in held.items():
            if self.held.get(key, ("", ""))[1] != reason:
                _log.warning("join_held_back", session_key=key, reason=reason)
        self.held = held
        return tuple(action for action in actions if not _is_held(action, held, kept))


def _is_held(
    action: Action, held: Collection[SessionKey], kept: Collection[SessionKey]
) -> bool:
    if isinstance(action, Join):
        return action.stay.key in held
    if isinstance(action, Amend):
        return action.record.key in kept
    return isinstance(action, (Leave, GiveUp)) and action.key in kept
