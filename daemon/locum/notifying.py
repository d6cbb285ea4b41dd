"""Tells the owner what a person must know, each thing once, and keeps nobody waiting for it.

After each pass it looks at what is so, writes what is due to be told into the ledger, and
sends it from there: one task a target, so that a receiver that hangs delays no other, and
joins not at all. What can't be delivered is tried again until it is worth nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

import structlog

from locum.controller import Controller
from locum.core.model import (
    Code,
    EndReason,
    Phase,
    Plan,
    SessionKey,
    SessionRecord,
)
from locum.core.notices import (
    NEWS_FOR,
    CalendarTrouble,
    ConfigTrouble,
    EngineTrouble,
    Kind,
    Notice,
    OverBudget,
    Present,
    Rules,
    SessionNews,
    Severity,
    due,
    told_occurrences,
)
from locum.errors import LocumError, PermanentError, TransientError
from locum.ledger import Delivery, Ledger, Outcome
from locum.ports import Clock, NoticeTarget
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_REMEMBERED = timedelta(days=3)
"""How far back it is looked up what was told: longer than anything is news."""

_KEPT = timedelta(days=30)
_SINCE = "notices_since"

_PAUSE_S = 0.25
"""Between two looks: where two hundred sessions change at once, a look at each is too many."""

_FIRST_RETRY_S = 5.0
_SLOWEST_RETRY_S = 60.0
_LONGEST_SEND_S = 60.0
"""Targets bound their sending themselves; this is for one that doesn't."""


@dataclass(frozen=True)
class NotifySetting:
    """What a reload may exchange.

    `targets` answers those of the moment, or raises HumanNeededError; `options` is what a
    `locum` command line needs to find this daemon.
    """

    before: timedelta
    kinds: frozenset[Kind]
    zone: tzinfo
    targets: Callable[[], Sequence[NoticeTarget]]
    options: str = ""


class Notifications:
    """Looks whenever asked, and sends. Times between tries are the host's."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        controller: Controller,
        config_problems: Callable[[], Sequence[str]],
        setting: NotifySetting | None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._controller = controller
        self._config_problems = config_problems
        self._setting = setting
        self._asked = asyncio.Event()
        self._sending = Tasks()
        self._targets: tuple[NoticeTarget, ...] = ()
        self._over: set[SessionKey] = set()
        self._config: ConfigTrouble | None = None
        self._trouble = ""
        self._unwritable = False

    # ── what others call ─────────────────────────────────────────────────────────────────

    def ask(self) -> None:
        """Ask for a look. Many at once become one."""
        self._asked.set()

    def change(self, setting: NotifySetting | None) -> None:
        self._setting = setting
        self._over.clear()  # What was muted until now may be told.
        self.ask()

    @property
    def problem(self) -> str:
        """Why nothing can be told; empty where it can, or needn't."""
        return self._trouble

    async def run(self) -> None:
        """Look whenever asked, until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                self._look_or_log()
                await asyncio.sleep(_PAUSE_S)
        finally:
            await self._sending.cancel()

    def _look_or_log(self) -> None:
        try:
            self._look()
            self._unwritable = False
        except LocumError as error:
            self._tell_unwritable(error)
        except Exception:  # noqa: BLE001 - The task's outermost frame: what is news later must be told.
            _log.exception("notices_failed")

    # ── one look ─────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        setting = self._setting
        if setting is None:
            self._stand_down()
            return
        self._targets = self._current_targets(setting)
        if not self._targets:
            return  # What is due stays due.
        now = self._clock.now()
        rules = self._rules(setting, now)
        told = self._ledger.notices.told(now - _REMEMBERED)
        ahead = rules.lead + rules.before
        plan, records = self._controller.outlook(ahead, told_occurrences(told, now))
        found = due(self._present(plan, records, now), told, rules)
        self._put(found.notices, found.withdrawn, now)
        self._over |= {each.key for each in records if _is_final(each, now)}
        waiting = self._ledger.notices.waiting_targets()
        for target in self._targets:
            if target.id in waiting:
                self._sending.start(target.id, self._serve(target))
        self._settle_orphaned(waiting - {target.id for target in self._targets}, now)

    def _stand_down(self) -> None:
        """Turned off; what is news meanwhile isn't told when it is turned on again."""
        self._targets, self._trouble = (), ""
        if self._ledger.database.meta(_SINCE) is not None:
            self._ledger.database.set_meta(_SINCE, None)

    def _current_targets(self, setting: NotifySetting) -> tuple[NoticeTarget, ...]:
        try:
            targets = tuple(setting.targets())
        except LocumError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.error("notices_unavailable", problem=self._trouble)
            return ()
        self._trouble = ""
        return targets

    def _rules(self, setting: NotifySetting, now: datetime) -> Rules:
        database = self._ledger.database
        since = database.meta(_SINCE)
        if since is None:
            since = now.isoformat()
            database.set_meta(_SINCE, since)
            self._ledger.notices.forget(now - _KEPT)
        policy = self._controller.setting.policy
        return Rules(
            before=setting.before,
            kinds=setting.kinds,
            since=datetime.fromisoformat(since),
            lead=policy.lead,
            prices=self._controller.setting.prices,
            max_length=policy.max_length,
            zone=setting.zone,
            options=setting.options,
        )

    def _put(self, notices: Sequence[Notice], withdrawn: Sequence[str], now: datetime) -> None:
        book = self._ledger.notices
        if withdrawn:
            book.withdraw(withdrawn, at=now)
        if notices:
            book.put(notices, [target.id for target in self._targets], at=now)
        for notice in notices:
            _log.info("notice_due", notice=notice.key)

    def _settle_orphaned(self, targets: frozenset[str], now: datetime) -> None:
        for target in targets:
            for delivery in self._ledger.notices.open(target):
                self._ledger.notices.settle(delivery, Outcome.NO_TARGET, at=now)

    def _tell_unwritable(self, error: LocumError) -> None:
        """Say without the ledger that it can't be written: once, as far as this process goes."""
        _log.error("notices_not_recorded", problem=str(error))
        if self._unwritable or self._setting is None or Kind.LEDGER not in self._setting.kinds:
            return
        self._unwritable = True
        now = self._clock.now()
        notice = Notice(
            key=f"unwritable/{now.isoformat()}",
            kind=Kind.LEDGER,
            subject="",
            title="The ledger can't be written",
            body=f"{error} While it can't be, nothing new is joined and notices may be missing.",
            severity=Severity.FAILURE,
            expires_at=now + NEWS_FOR,
        )
        for target in self._targets:
            self._sending.start(("unwritable", target.id), _try_once(target, notice))

    # ── what is so ───────────────────────────────────────────────────────────────────────

    def _present(self, plan: Plan, records: Sequence[SessionRecord], now: datetime) -> Present:
        states = self._ledger.calendars.states().values()
        return Present(
            now=now,
            plan=plan,
            begun=frozenset(m.key for record in records for m in record.meetings),
            sessions=tuple(self._news(records, now)),
            over_budget=tuple(self._refused_by_budget(now)),
            calendars=frozenset(str(state.calendar) for state in states),
            failing=tuple(
                CalendarTrouble(
                    str(state.calendar),
                    state.calendar.account,
                    state.failing_since,
                    state.problem or "",
                )
                for state in states
                if state.failing_since is not None
            ),
            engines=tuple(
                EngineTrouble(each.engine, each.start, each.problem)
                for each in self._controller.shortages
            ),
            config=self._config_trouble(now),
            recovered_at=self._ledger.database.recovered_at,
            requests=self._ledger.requests.open(now),
        )

    def _news(self, records: Sequence[SessionRecord], now: datetime) -> Iterator[SessionNews]:
        sessions = self._ledger.sessions
        for record in records:
            if record.key in self._over:
                continue
            if record.is_open and not self._may_need_words(record, now):
                yield SessionNews(record)
                continue
            attempts = sessions.attempts(record.key)
            steps = sessions.transitions(record.key)
            yield SessionNews(
                record,
                detail=sessions.detail(record.key),
                since=steps[-1].at if steps else None,
                unnamed=bool(attempts) and attempts[-1].outcome == EndReason.LOST_JOIN.value,
                unreachable=record.engine not in self._controller.setting.engines,
                filed=tuple(
                    filing.location
                    for filing in self._ledger.outbox.of(record.key)
                    if filing.location
                ),
            )

    def _may_need_words(self, record: SessionRecord, now: datetime) -> bool:
        """Whether an open session isn't simply going on: two hundred do, at each look."""
        return (
            record.phase is Phase.LEAVING
            or record.retry_at is not None
            or record.engine not in self._controller.setting.engines
            or now > record.leave_by
        )

    def _refused_by_budget(self, now: datetime) -> Iterator[OverBudget]:
        for occurrence in self._controller.over_budget:
            entry = self._ledger.calendars.decisions(occurrence)[-1:]
            if entry and entry[0].code is Code.OVER_BUDGET and entry[0].at > now - NEWS_FOR:
                [last] = entry
                yield OverBudget(last.meeting, last.title, last.starts_at, last.reason)

    def _config_trouble(self, now: datetime) -> ConfigTrouble | None:
        problems = tuple(self._config_problems())
        if not problems:
            self._config = None
        elif self._config is None:
            self._config = ConfigTrouble(now, problems)
        else:
            self._config = replace(self._config, problems=problems)
        return self._config

    # ── sending ──────────────────────────────────────────────────────────────────────────

    async def _serve(self, target: NoticeTarget) -> None:
        """Send a target what waits for it, one after the other, until nothing does."""
        wait = _FIRST_RETRY_S
        while (delivery := self._next_for(target)) is not None:
            problem = await self._send(target, delivery)
            if problem is None:
                wait = _FIRST_RETRY_S
                continue
            _log.warning(
                "notice_not_sent",
                notice=delivery.notice.key,
                target=target.name,
                problem=problem,
                retry_s=wait,
            )
            with contextlib.suppress(TransientError):
                self._ledger.notices.failed(delivery, problem=problem)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _SLOWEST_RETRY_S)

    def _next_for(self, target: NoticeTarget) -> Delivery | None:
        if target.id not in {each.id for each in self._targets}:
            return None  # A reload has dropped it.
        now = self._clock.now()
        for delivery in self._ledger.notices.open(target.id):
            if now < delivery.notice.expires_at:
                return delivery
            self._ledger.notices.settle(delivery, Outcome.EXPIRED, at=now)
            _log.warning(
                "notice_dropped", notice=delivery.notice.key, target=target.name, why="too late"
            )
        return None

    async def _send(self, target: NoticeTarget, delivery: Delivery) -> str | None:
        """Try once; answers the problem, where another try may help."""
        outcome, problem = Outcome.SENT, None
        try:
            await asyncio.wait_for(target.send(delivery.notice), _LONGEST_SEND_S)
        except PermanentError as error:
            outcome, problem = Outcome.REFUSED, str(error)
            _log.error(
                "notice_dropped", notice=delivery.notice.key, target=target.name, why=problem
            )
        except LocumError as error:
            return str(error)
        except (OSError, asyncio.TimeoutError) as error:
            return f"{target.name}: {str(error) or 'no answer in time'}"
        else:
            _log.info("notice_sent", notice=delivery.notice.key, target=target.name)
        await self._settle(delivery, outcome, problem)
        return None

    async def _settle(self, delivery: Delivery, outcome: Outcome, problem: str | None) -> None:
        """Write it down, however long the disk is full: it mustn't be sent again."""
        at = self._clock.now()
        while True:
            try:
                self._ledger.notices.settle(delivery, outcome, at=at, problem=problem)
            except TransientError as error:
                _log.error("ledger_write_failed", problem=str(error))
                await asyncio.sleep(_FIRST_RETRY_S)
            else:
                self.ask()  # It may have to be called off by now.
                return


def _is_final(record: SessionRecord, now: datetime) -> bool:
    """Whether nothing about a session can become news any more, once it was looked at."""
    final = {Phase.FILED, Phase.MISSED, Phase.REFUSED, Phase.FAILED}
    return record.phase in final or (record.ended_at or now) < now - NEWS_FOR


async def _try_once(target: NoticeTarget, notice: Notice) -> None:
    try:
        await target.send(notice)
    except (LocumError, OSError) as error:
        _log.warning(
            "notice_not_sent", notice=notice.key, target=target.name, problem=str(error)
        )
