"""Whether one event is ours to attend, and as whom: manners, in plain code.

Anyone on the internet can send an invitation. Only the account's own answer, its own
config, and organizers whom it trusts have a say here; what an event's text asks for counts
only when one of these wrote it. Time plays no part: that is planning's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from fnmatch import fnmatchcase
from string import ascii_lowercase, ascii_uppercase

from locum.core.commands import Commands, parse_commands
from locum.core.identity import Standing
from locum.core.model import (
    BY_HAND,
    Answer,
    CalendarEvent,
    Code,
    Decision,
    EventKind,
    EventStatus,
    Mark,
    Person,
    Platform,
    Retry,
)


class Effect(Enum):
    JOIN = "join"
    SKIP = "skip"
    USE = "use"  #: Only sets persona or engine.


@dataclass(frozen=True)
class Rule:
    """One of the user's rules. Every pattern given must fit; texts are shell patterns."""

    name: str
    effect: Effect
    title: str | None = None
    organizer: str | None = None
    attendee: str | None = None
    calendar: str | None = None
    platform: Platform | None = None
    persona: str | None = None
    engine: str | None = None

    def matches(self, event: CalendarEvent) -> bool:
        if self.title is not None and not _fits(self.title, event.title):
            return False
        if self.organizer is not None and not _person_fits(self.organizer, event.organizer):
            return False
        if self.attendee is not None and not any(
            _person_fits(self.attendee, attendee.person) for attendee in event.attendees
        ):
            return False
        if self.calendar is not None and self.calendar not in {
            event.calendar.account,
            event.calendar.calendar_id,
        }:
            return False
        return self.platform is None or (
            event.room is not None and event.room.platform is self.platform
        )


@dataclass(frozen=True)
class Policy:
    """Every setting that deciding depends on."""

    lead: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(minutes=10)
    capacity: int = 4
    max_length: timedelta = timedelta(hours=4)
    forget_on_opt_out: bool = True
    merge_window: timedelta = timedelta(minutes=2)
    trusted_organizers: tuple[str, ...] = ()
    join_unanswered: bool = False
    join_all_day: bool = False
    leave_when_cancelled: bool = True
    stay_with_people: bool = True
    platforms: tuple[Platform, ...] = (Platform.GOOGLE_MEET,)
    rules: tuple[Rule, ...] = ()
    default_persona: str = ""
    default_engine: str = ""
    personas: frozenset[str] = frozenset()
    standings: Mapping[str, Standing] = field(default_factory=dict)
    account_personas: Mapping[str, str] = field(default_factory=dict)
    retry: Retry = field(default_factory=Retry)

    def trusts(self, organizer: Person | None) -> bool:
        """Whether this organizer's invitations need no answer."""
        if organizer is None:
            return False
        email = _lower(organizer.email)
        name, _, domain = email.rpartition("@")
        if not name or not domain:
            return False
        trusted = [_lower(each) for each in self.trusted_organizers]
        return any(each in {email, domain, f"@{domain}"} for each in trusted)


_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def _lower(address: str) -> str:
    """Fold A to Z only: Unicode's folding makes one address of two ("ß" and "ss")."""
    return address.translate(_LOWER)


def _fits(pattern: str, text: str) -> bool:
    return fnmatchcase(text.casefold(), pattern.casefold())


def _person_fits(pattern: str, person: Person | None) -> bool:
    if person is None:
        return False
    pattern, email = _lower(pattern), _lower(person.email)
    if "@" not in pattern and not any(mark in pattern for mark in "*?["):
        return email.rpartition("@")[2] == pattern
    return fnmatchcase(email, pattern)


_NO_COMMANDS = Commands()
_FIT = Standing()

_ANSWERED_BY_CALENDAR = {
    Answer.ACCEPTED: "accepted",
    Answer.DECLINED: "declined",
    Answer.TENTATIVE: 'answered "maybe"',
    Answer.UNANSWERED: "not answered",
    Answer.UNLISTED: "the account is not on the guest list that we can see",
}


def decide(event: CalendarEvent, policy: Policy, mark: Mark | None = None) -> Decision:
    """Answer whether this event, as this calendar shows it, is to be attended.

    Deny beats allow: a person's own word first, then a skip rule, then the account's
    "declined", then what trusted text asks, then join rules, then the default.
    """
    trace: list[str] = []
    authority = event.organized_by_self or policy.trusts(event.organizer)
    commands = parse_commands(event.description) if event.description else _NO_COMMANDS
    if commands != _NO_COMMANDS and not authority:
        trace.append("the description's commands are ignored: its organizer isn't trusted")
        commands = _NO_COMMANDS
    trace.extend(commands.problems)
    verdict = (
        _not_a_meeting_for_us(event, mark)
        or _refused_by_rule_or_answer(event, policy, trace)
        or _nowhere_to_go(event, policy)
        or _platform_not_allowed(event, policy)
        or _commanded(commands)
        or _allowed_by_rule(event, policy)
        or _by_default(event, policy)
    )
    persona = ""
    if verdict.join:
        persona = _persona(event, policy, commands, trace)
        refusal = policy.standings.get(persona, _FIT).refusal(event.start)
        if refusal:
            trace.append(f"without that, join: {verdict.reason}")
            verdict = _skip(Code.PERSONA_UNFIT, refusal)
    trace.append(f"{verdict.verdict}: {verdict.reason}")
    if not verdict.join:
        return replace(verdict, trace=tuple(trace))
    return replace(
        verdict,
        trace=tuple(trace),
        persona=persona,
        engine=next((rule.engine for rule in _uses(event, policy) if rule.engine), None)
        or policy.default_engine,
        listen_only=commands.listen,
        brief=commands.brief,
    )


def _skip(code: Code, reason: str) -> Decision:
    return Decision(join=False, code=code, reason=reason)


def _join(code: Code, reason: str) -> Decision:
    return Decision(join=True, code=code, reason=reason)


_MARKED = {
    Mark.SKIP: _skip(Code.SKIPPED_BY_USER, "you said to skip it"),
    Mark.STOP: _skip(Code.STOPPED_BY_USER, "you made the stand-in leave it"),
    Mark.OPT_OUT: _skip(
        Code.OPTED_OUT, "somebody opted out of having a stand-in there (see `locum opt-out`)"
    ),
}


def _not_a_meeting_for_us(event: CalendarEvent, mark: Mark | None) -> Decision | None:
    if event.status is EventStatus.CANCELLED:
        return _skip(Code.CANCELLED, "the event is cancelled")
    if mark is not None:
        return _MARKED[mark]
    if event.kind is not EventKind.MEETING:
        return _skip(Code.NOT_A_MEETING, f"a {event.kind.value} event is no meeting")
    if not event.details_visible:
        return _skip(Code.NO_DETAILS, "no details visible: the event is private")
    return None


def _nowhere_to_go(event: CalendarEvent, policy: Policy) -> Decision | None:
    # After the answer: who declined isn't kept in a room by a link that vanished.
    if event.room is None:
        if event.room_problem:
            return _skip(Code.BAD_LINK, event.room_problem)
        return _skip(Code.NO_MEET_LINK, "there is no meeting link in it")
    if event.all_day and not policy.join_all_day:
        return _skip(Code.ALL_DAY, "all-day events aren't joined (attend.join_all_day)")
    return None


def _refused_by_rule_or_answer(
    event: CalendarEvent, policy: Policy, trace: list[str]
) -> Decision | None:
    for rule in policy.rules:
        if rule.effect is Effect.SKIP and rule.matches(event):
            return _skip(Code.RULE_SKIP, f'the rule "{rule.name}" says to skip it')
    trace.append(f"the answer: {_ANSWERED_BY_CALENDAR[event.answer]}")
    if event.answer is Answer.DECLINED:
        return _skip(Code.DECLINED, "the account declined it")
    return None


def _platform_not_allowed(event: CalendarEvent, policy: Policy) -> Decision | None:
    by_hand = event.calendar == BY_HAND
    if by_hand or event.room is None or event.room.platform in policy.platforms:
        return None
    platform = event.room.platform
    for rule in policy.rules:
        # Only a rule that names the platform opens it: a broad "join" must not.
        if rule.effect is Effect.JOIN and rule.platform is platform and rule.matches(event):
            return None
    return _skip(
        Code.PLATFORM_NOT_ALLOWED,
        f"{platform.value} isn't among attend.platforms, and no join rule allows it",
    )


def _commanded(commands: Commands) -> Decision | None:
    if commands.join is None:
        return None
    if commands.join:
        return _join(Code.COMMAND_JOIN, 'the description says "locum: join"')
    return _skip(Code.COMMAND_SKIP, 'the description says "locum: skip"')


def _allowed_by_rule(event: CalendarEvent, policy: Policy) -> Decision | None:
    for rule in policy.rules:
        if rule.effect is Effect.JOIN and rule.matches(event):
            return _join(Code.RULE_JOIN, f'the rule "{rule.name}" says to join it')
    return None


def _by_default(event: CalendarEvent, policy: Policy) -> Decision:
    if event.calendar == BY_HAND:
        return _join(Code.USER_JOIN, "you asked for it (locum join)")
    if event.answer is Answer.ACCEPTED:
        return _join(Code.ACCEPTED, "the account accepted it")
    if event.organized_by_self:
        return _join(Code.ORGANIZED_BY_SELF, "the account organizes it")
    if policy.trusts(event.organizer):
        return _join(Code.TRUSTED_ORGANIZER, "its organizer is on attend.trusted_organizers")
    unanswered = _ANSWERED_BY_CALENDAR[event.answer]
    if policy.join_unanswered:
        return _join(Code.UNANSWERED_ALLOWED, f"{unanswered}, and attend.join_unanswered is on")
    return _skip(
        Code.WAITING_FOR_ANSWER,
        f"waiting for your answer: {unanswered}, and its organizer isn't trusted",
    )


def _uses(event: CalendarEvent, policy: Policy) -> list[Rule]:
    return [
        rule for rule in policy.rules if rule.effect is not Effect.SKIP and rule.matches(event)
    ]


def _persona(event: CalendarEvent, policy: Policy, commands: Commands, trace: list[str]) -> str:
    if commands.persona is not None:
        if commands.persona in policy.personas:
            return commands.persona
        trace.append(
            f'the description asks for the persona "{commands.persona}": there is none'
        )
    for rule in _uses(event, policy):
        if rule.persona:
            return rule.persona
    return policy.account_personas.get(event.calendar.account) or policy.default_persona
