"""What the running daemon does when a person asks it to, over the control socket."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog

from locum import __version__
from locum.app import reports
from locum.app.filing import FilingDesk
from locum.app.personas import PersonaKeeper
from locum.config.store import ConfigStore, Reload, ReloadOutcome
from locum.control import Handler
from locum.controller import Controller
from locum.core.invites import room_from_url
from locum.core.model import (
    BY_HAND,
    CalendarEvent,
    Judged,
    Mark,
    OptOut,
    Phase,
    SessionRecord,
    instant_label,
)
from locum.core.pacing import AccountPace
from locum.core.requests import RequestState
from locum.errors import PermanentError, TransientError
from locum.ledger import Ledger
from locum.ports import Clock
from locum.push import PushReport

_log = structlog.get_logger(__name__)


class Commands:
    """The handlers by name; their arguments and answers are JSON values."""

    def __init__(  # noqa: PLR0913 - Everything that a person can ask about.
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        controller: Controller,
        config: Callable[[], ConfigStore],
        reload: Callable[[], Awaitable[ReloadOutcome]],
        poll_soon: Callable[[], None],
        keeper: PersonaKeeper,
        paces: Callable[[], Mapping[str, AccountPace]],
        push: Callable[[], Iterable[PushReport]],
        memory: Mapping[str, Handler],
        transcript_troubles: Callable[[], Iterable[str]],
        desk: FilingDesk,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._controller = controller
        self._config = config
        self._reload = reload
        self._poll_soon = poll_soon
        self._keeper = keeper
        self._paces = paces
        self._push = push
        self._memory = memory
        self._transcript_troubles = transcript_troubles
        self._desk = desk

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "status": self.status,
            "join": self.join,
            "leave": self.leave,
            "skip": self.skip,
            "opt-out": self.opt_out,
            "opt-in": self.opt_in,
            "reload": self.reload,
            "poll": self.poll,
            "personas": self.personas,
            **self._memory,
            "decide": self.decide,
            "file": self._desk.again,
            "fetch": self._desk.fetch,
        }

    async def status(self, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Tell what is live, what comes next, and what is wrong."""
        store = self._config()
        policy, prices = self._controller.setting.policy, self._controller.setting.prices
        now = self._clock.now()
        ahead = [
            item
            for item in self._controller.agenda.judged
            if item.decision.join and item.event.start - policy.lead > now
        ]
        left_alone = [
            item
            for item in self._controller.agenda.judged
            if not item.decision.join and (item.event.end or item.event.start) > now
        ]
        records = self._ledger.sessions.newest(20)
        return {
            "running": True,
            "pid": os.getpid(),
            "version": __version__,
            "now": now.isoformat(),
            "config": str(store.current.path),
            "config_problems": list(store.problems),
            "ledger_recovery": reports.recovery(self._ledger, now),
            "held_back": [
                {"title": title, "reason": reason}
                for title, reason in self._controller.held_back
            ],
            "calendars": reports.calendars(self._ledger),
            "personas": await self._keeper.reports(),
            "paces": reports.paces(self._paces()),
            "shortages": [
                {
                    "engine": shortage.engine,
                    "start": shortage.start.isoformat(),
                    "since": shortage.since.isoformat(),
                    "problem": shortage.problem,
                }
                for shortage in self._controller.shortages
            ],
            "push": [reports.push(each) for each in self._push()],
            "transcript_troubles": list(self._transcript_troubles()),
            "armed": self._controller.agenda.armed,
            "next": [reports.planned(item, policy, prices) for item in ahead[:5]],
            "left_alone": [reports.planned(item, policy, prices) for item in left_alone[:5]],
            "sessions": [reports.session(record, self._ledger) for record in records],
        }

    async def join(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Go to a meeting that no calendar names, now."""
        if self._controller.stopping:
            raise TransientError("The daemon is stopping, and goes nowhere any more.")
        try:
            room = room_from_url(_text(args, "url"))
        except ValueError as error:
            raise PermanentError(str(error)) from None
        persona = str(args.get("persona") or "")
        known = self._controller.setting.policy.personas
        if persona and persona not in known:
            names = ", ".join(sorted(known)) or "none"
            raise PermanentError(
                f'There is no persona "{persona}" in the config. Known: {names}.'
            )
        if not self._controller.setting.engines:
            raise PermanentError("The config has no [engines.NAME] to join with.")
        now = self._clock.now()
        # What is leaving holds the room a little longer; then this goes in.
        held = [
            record
            for record in self._open()
            if record.room.id == room.id and record.phase is not Phase.LEAVING
        ]
        if held:
            return {"already": True, "session": reports.session(held[0], self._ledger)}
        uid = f"by-hand-{room.code}-{instant_label(now)}"
        event = CalendarEvent(
            calendar=BY_HAND,
            event_id=uid,
            uid=uid,
            start=now,
            end=None,
            revision="1",
            title=str(args.get("title") or f"Joined by hand: {room.code}"),
            description=f"locum: persona={persona}" if persona else "",
            organized_by_self=True,
            room=room,
        )
        self._ledger.calendars.put_by_hand(event)
        self._controller.events_changed()
        return {"already": False, "occurrence": event.occurrence, "room": room.url}

    async def leave(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Leave a room now, and never return for that occurrence."""
        record = self._one_session(str(args.get("session") or ""))
        self._controller.stop_session(record)
        return {"session": reports.session(record, self._ledger)}

    async def skip(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Don't go to one occurrence; or, with `undo`, go by the rules again."""
        item = self._one_event(_text(args, "event"))
        undo = bool(args.get("undo"))
        self._controller.mark(item.event.occurrence, None if undo else Mark.SKIP)
        item = next(
            judged
            for judged in self._controller.agenda.judged
            if judged.event.occurrence == item.event.occurrence
        )
        setting = self._controller.setting
        return {"event": reports.planned(item, setting.policy, setting.prices)}

    async def opt_out(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Leave an event's series, at once if we are in it, and stay away from it."""
        event = self._one_event(_text(args, "event")).event
        self._controller.opt_out(event, by=str(args.get("by") or ""))
        return {"opt_outs": reports.opt_outs(self._ledger)}

    async def opt_in(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take an opt-out back; without `series` only answer which there are."""
        text = str(args.get("series") or "")
        if text:
            self._controller.opt_in(self._one_opt_out(text).series)
        return {"opt_outs": reports.opt_outs(self._ledger)}

    def _one_opt_out(self, text: str) -> OptOut:
        wanted = text.casefold()
        known = self._ledger.calendars.opt_outs()
        found = [each for each in known if text == each.series] or [
            each for each in known if wanted in each.title.casefold()
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise PermanentError(
                f'Nobody opted out of anything called "{text}". `locum opt-out` lists them.'
            )
        names = "; ".join(f'"{each.title}": {each.series}' for each in found[:5])
        raise PermanentError(f"{len(found)} opt-outs fit; name one by its key: {names}")

    async def reload(self, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome = await self._reload()
        if outcome.verdict is Reload.REJECTED:
            raise PermanentError(
                "The config was rejected; the last good one stays:\n"
                + "\n".join(outcome.problems)
            )
        return {"verdict": outcome.verdict.value, "changes": list(outcome.changes)}

    async def poll(self, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read the calendars now instead of at the next turn."""
        self._poll_soon()
        return {}

    async def personas(self, _args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Look at the personas' folders now: a command has changed one."""
        await self._keeper.look()
        return {"personas": await self._keeper.reports()}

    async def decide(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the owner's answer to what a persona asked for in a meeting."""
        name, approved = _text(args, "request"), args.get("approve") is True
        now = self._clock.now()
        if not self._ledger.requests.decide(name, approved=approved, at=now):
            found = self._ledger.requests.get(name)
            if found is None:
                raise PermanentError(f'There is no request "{name}". See `locum approvals`.')
            is_late = found.state is RequestState.OPEN
            raise PermanentError(
                f"It doesn't wait for an answer any more: {name} "
                f"{'has expired' if is_late else f'is {found.state.value}'}."
            )
        _log.info("request_decided", request=name, approved=approved)
        return {"request": name, "approved": approved}

    def _open(self) -> list[SessionRecord]:
        records = self._ledger.sessions.unfinished_and_since(self._clock.now())
        return [record for record in records if record.is_open]

    def _one_session(self, text: str) -> SessionRecord:
        wanted = text.casefold()
        found = [
            record
            for record in self._open()
            if not text
            or text in {record.key, record.room.code, record.room.url}
            or any(wanted in meeting.title.casefold() for meeting in record.meetings)
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            what = f' called "{text}"' if text else ""
            raise PermanentError(f"There is no session{what}. See `locum status`.")
        names = "; ".join(f'"{r.meetings[0].title}" {r.room.code}' for r in found)
        raise PermanentError(f"{len(found)} sessions fit; name one by its code: {names}")

    def _one_event(self, text: str) -> Judged:
        now = self._clock.now()
        wanted = text.casefold()
        ahead = [
            item
            for item in self._controller.agenda.judged
            if (item.event.end or item.event.start + self._controller.setting.policy.max_length)
            > now
        ]
        exact = [
            item
            for item in ahead
            if text in {item.event.occurrence, item.event.meeting, item.event.event_id}
        ]
        found = exact or [item for item in ahead if wanted in item.event.title.casefold()]
        if len(found) == 1:
            return found[0]
        if not found:
            raise PermanentError(f'No event ahead is called "{text}". See `locum plan`.')
        names = "; ".join(
            f'"{item.event.title}" {item.event.start:%Y-%m-%d %H:%M} UTC: {item.event.occurrence}'
            for item in found[:5]
        )
        raise PermanentError(f"{len(found)} events fit; name one by its key: {names}")


def _text(args: Mapping[str, Any], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str) or not value.strip():
        raise PermanentError(f"The command needs {name}.")
    return value.strip()
