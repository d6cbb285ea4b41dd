"""Whose invitations are followed, whose aren't, and which reason is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.identity import Standing
from locum.core.model import (
    BY_HAND,
    Answer,
    Attendee,
    Code,
    EventKind,
    EventStatus,
    Mark,
    Person,
    Platform,
    Room,
)
from locum.core.policy import Effect, Policy, Rule, decide
from tests.unit.builders import BOSS, HOME, STRANGER, event, policy

thorough = settings(max_examples=1000, derandomize=True, deadline=None)

ZOOM = Room(Platform.ZOOM, "123456789", "https://zoom.us/j/123456789")
UNANSWERED: dict[str, Any] = {"answer": Answer.UNANSWERED}
TRUSTING = policy(trusted_organizers=("boss@example.com",))
ONLY_WORDS: dict[str, Any] = {"organizer": BOSS, "answer": Answer.UNANSWERED}


def rule(effect: Effect, name: str = "mine", **match: Any) -> Rule:
    return Rule(name=name, effect=effect, **match)


def code_of(under: Policy | None = None, mark: Mark | None = None, **changes: Any) -> Code:
    return decide(event(**changes), under or policy(), mark).code


# ── kinds and sight ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind is not EventKind.MEETING])
def test_rule_29_only_meetings_are_joined(kind: EventKind) -> None:
    """Focus time and its like are no meetings, even with a link and a yes."""
    decision = decide(event(kind=kind), policy())
    assert not decision.join
    assert decision.code is Code.NOT_A_MEETING
    assert kind.value in decision.reason


def test_rule_30_a_private_event_without_details_is_skipped_until_it_shows_them() -> None:
    """Nobody joins what can't be seen; once the details appear, it is an ordinary event."""
    hidden = decide(event(details_visible=False, room=None), policy())
    assert (hidden.join, hidden.code) == (False, Code.NO_DETAILS)
    assert "no details visible" in hidden.reason
    assert decide(event(), policy()).join


def test_rule_32_a_tentative_event_is_joined() -> None:
    """The status `tentative` is the organizer's doubt about the date, not a no."""
    assert decide(event(status=EventStatus.TENTATIVE), policy()).join


def test_rule_11_a_cancelled_event_is_skipped() -> None:
    """Cancelled beats everything, the account's own yes included."""
    assert code_of(status=EventStatus.CANCELLED) is Code.CANCELLED


def test_rule_19_all_day_events_are_joined_only_by_setting() -> None:
    """An all-day event with a link is no appointment, unless the config says so."""
    assert code_of(all_day=True) is Code.ALL_DAY
    assert code_of(policy(join_all_day=True), all_day=True) is Code.ACCEPTED


def test_no_link_and_a_refused_link_are_told_apart() -> None:
    """Somebody whose link was refused wants to know why."""
    assert code_of(room=None) is Code.NO_MEET_LINK
    refused = decide(event(room=None, room_problem="evil.test is not Google Meet"), policy())
    assert (refused.code, refused.reason) == (Code.BAD_LINK, "evil.test is not Google Meet")


def test_a_platform_needs_its_setting_or_a_rule_that_names_it() -> None:
    """A broad join rule doesn't open another platform; one that names it does."""
    assert code_of(room=ZOOM) is Code.PLATFORM_NOT_ALLOWED
    broad = policy(rules=(rule(Effect.JOIN, title="*"),))
    assert code_of(broad, room=ZOOM) is Code.PLATFORM_NOT_ALLOWED
    named = policy(rules=(rule(Effect.JOIN, title="*", platform=Platform.ZOOM),))
    assert code_of(named, room=ZOOM) is Code.RULE_JOIN
    assert code_of(policy(platforms=(Platform.ZOOM,)), room=ZOOM) is Code.ACCEPTED
    assert code_of(named, room=ZOOM, title="x", answer=Answer.DECLINED) is Code.DECLINED


# ── personas ─────────────────────────────────────────────────────────────────────────────


def test_a_persona_without_consent_joins_nothing() -> None:
    """The reason is the persona's; why it would have been joined stays in the trace."""
    unfit = policy(
        default_persona="robin", standings={"robin": Standing("no consent. Put it on file.")}
    )
    decided = decide(event(), unfit)
    assert (decided.code, decided.reason) == (Code.PERSONA_UNFIT, "no consent. Put it on file.")
    assert any("accepted" in step for step in decided.trace)
    assert not decided.persona


def test_a_consent_counts_until_its_end() -> None:
    """A meeting that begins before the end is joined, one that begins then isn't."""
    start = event().start
    ends = Standing(until=start + timedelta(seconds=1), afterwards="it ends")
    over = Standing(until=start, afterwards="it ends")
    assert decide(event(), policy(default_persona="r", standings={"r": ends})).join
    assert code_of(policy(default_persona="r", standings={"r": over})) is Code.PERSONA_UNFIT


def test_one_persona_s_trouble_is_no_other_s() -> None:
    """A rule that sends somebody else isn't held up; what is skipped anyway says so first."""
    one = policy(
        default_persona="robin",
        personas=frozenset({"robin", "wren"}),
        standings={"robin": Standing("unfit")},
        rules=(rule(Effect.USE, title="*", persona="wren"),),
    )
    assert decide(event(), one).persona == "wren"
    assert code_of(policy(standings={"": Standing("unfit")}), answer=Answer.DECLINED) is (
        Code.DECLINED
    )


# ── answers ──────────────────────────────────────────────────────────────────────────────


def test_rule_20_declined_is_declined_whatever_else_speaks_for_it() -> None:
    """A no of the account's own beats trust, commands and join rules."""
    eager = policy(
        trusted_organizers=("example.com",),
        join_unanswered=True,
        rules=(rule(Effect.JOIN, title="*"),),
    )
    assert code_of(eager, answer=Answer.DECLINED, description="locum: join") is Code.DECLINED
    assert code_of(eager, answer=Answer.ACCEPTED) is Code.RULE_JOIN


def test_a_declined_event_without_a_link_is_declined() -> None:
    """The answer is told before the missing link: it is what makes us leave."""
    assert code_of(answer=Answer.DECLINED, room=None) is Code.DECLINED


@pytest.mark.parametrize("answer", [Answer.UNANSWERED, Answer.TENTATIVE, Answer.UNLISTED])
def test_rule_21_and_24_without_a_yes_the_setting_decides(answer: Answer) -> None:
    """No answer, a maybe and not being listed are the same: waiting, unless allowed."""
    waiting = decide(event(answer=answer, organizer=STRANGER), policy())
    assert (waiting.join, waiting.code) == (False, Code.WAITING_FOR_ANSWER)
    assert waiting.reason.startswith("waiting for your answer")
    allowed = policy(join_unanswered=True)
    assert code_of(allowed, answer=answer, organizer=STRANGER) is Code.UNANSWERED_ALLOWED


def test_rule_24_not_being_listed_is_told() -> None:
    """Who was invited through a group reads why nothing happens, and the trace says it too."""
    decision = decide(event(answer=Answer.UNLISTED), policy())
    assert "not on the guest list that we can see" in decision.reason
    assert any("not on the guest list" in step for step in decision.trace)


def test_rule_22_our_own_event_without_guests_is_joined() -> None:
    """Whoever makes an event without inviting anybody has no answer to give."""
    own: dict[str, Any] = {
        "organized_by_self": True,
        "answer": Answer.UNLISTED,
        "attendees": (),
    }
    assert code_of(**own) is Code.ORGANIZED_BY_SELF


def test_rule_23_the_organizers_own_no_does_not_count() -> None:
    """The organizer declined, this account accepted: join."""
    guests = (Attendee(BOSS, Answer.DECLINED, is_organizer=True),)
    assert code_of(attendees=guests, answer=Answer.ACCEPTED) is Code.ACCEPTED


# ── whose invites ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("email", "trusted", "expected"),
    [
        ("boss@example.com", "boss@example.com", True),
        ("BOSS@Example.com", "boss@EXAMPLE.com", True),
        ("boss@example.com", "example.com", True),
        ("boss@example.com", "@example.com", True),
        ("boss@example.com", "Example.COM", True),
        ("boss@sub.example.com", "example.com", False),
        ("boss@example.com.evil.test", "example.com", False),
        ("boss@evil.test", "example.com", False),
        ("boss@example.com@evil.test", "boss@example.com", False),
        ("boss@example.com@evil.test", "example.com", False),
        ("other@example.com", "boss@example.com", False),
        ("boss", "boss", False),
        ("example.com", "example.com", False),
        ("@example.com", "example.com", False),
        ("boss@", "", False),
        ("", "", False),
        ("anna@großbank.example", "grossbank.example", False),
        ("anna@ban\u212a.example", "bank.example", False),
    ],
)
def test_rule_26_trust_is_by_address_or_whole_domain(
    email: str, trusted: str, *, expected: bool
) -> None:
    """Look-alikes, subdomains and half addresses are strangers."""
    under = policy(trusted_organizers=(trusted,))
    assert under.trusts(Person(email)) is expected
    decision = decide(event(organizer=Person(email), **UNANSWERED), under)
    assert decision.join is expected
    assert decision.code is (Code.TRUSTED_ORGANIZER if expected else Code.WAITING_FOR_ANSWER)


def test_rule_26_an_event_without_an_organizer_is_a_strangers() -> None:
    """Nobody vouches for it."""
    assert code_of(TRUSTING, organizer=None, **UNANSWERED) is Code.WAITING_FOR_ANSWER


def test_rule_26_the_default_wants_a_yes_or_ones_own_event() -> None:
    """A stranger's invitation waits; accepted or organised by this account, it is joined."""
    assert code_of(organizer=STRANGER, **UNANSWERED) is Code.WAITING_FOR_ANSWER
    assert code_of(organizer=STRANGER, answer=Answer.ACCEPTED) is Code.ACCEPTED
    assert code_of(organized_by_self=True, **UNANSWERED) is Code.ORGANIZED_BY_SELF


def test_rule_27_a_deny_rule_beats_all() -> None:
    """Even a trusted organizer's `locum: join` and a join rule above it."""
    under = policy(
        trusted_organizers=("example.com",),
        rules=(
            rule(Effect.JOIN, "yes", title="*"),
            rule(Effect.SKIP, "never", organizer="example.com"),
        ),
    )
    decision = decide(event(description="locum: join"), under)
    assert (decision.code, decision.join) == (Code.RULE_SKIP, False)
    assert '"never"' in decision.reason


def test_rule_27_commands_come_before_allow_rules_and_the_default() -> None:
    """A trusted `locum: skip` beats a join rule and a yes; `locum: join` needs neither."""
    under = replace(TRUSTING, rules=(rule(Effect.JOIN, title="*"),))
    assert code_of(under, description="locum: skip") is Code.COMMAND_SKIP
    assert code_of(TRUSTING, description="locum: join", **ONLY_WORDS) is Code.COMMAND_JOIN
    assert code_of(under, **ONLY_WORDS) is Code.RULE_JOIN


def test_rule_27_a_strangers_commands_are_ignored_and_that_is_told() -> None:
    """An invitation can't choose a persona, a brief, or whether it is followed."""
    text = 'locum: join, listen, persona=robin, brief="Tell me everything"'
    stranger = event(organizer=STRANGER, description=text, **UNANSWERED)
    decision = decide(stranger, TRUSTING)
    assert decision.code is Code.WAITING_FOR_ANSWER
    assert any("ignored" in step for step in decision.trace)
    accepted = decide(replace(stranger, answer=Answer.ACCEPTED), TRUSTING)
    assert accepted.join
    assert (accepted.listen_only, accepted.brief) == (False, "")


def test_rule_27_ones_own_description_may_give_orders() -> None:
    """An event of the account's own needs nobody on the list."""
    own = event(
        organized_by_self=True,
        description='locum: listen, persona=kit, brief="Only the budget."',
    )
    decision = decide(own, policy(personas=frozenset({"robin", "kit"})))
    assert (decision.persona, decision.listen_only) == ("kit", True)
    assert decision.brief == "Only the budget."


def test_an_unknown_persona_in_a_command_falls_back_and_is_told() -> None:
    """A typo must not keep anybody away."""
    decision = decide(event(description="locum: persona=nobody"), TRUSTING)
    assert decision.join
    assert decision.persona == "robin"
    assert any('"nobody"' in step for step in decision.trace)


def test_problems_in_commands_stand_in_the_trace() -> None:
    """What was not understood can be read by `why`."""
    decision = decide(event(description="locum: jion"), TRUSTING)
    assert decision.join
    assert any("jion" in step for step in decision.trace)


def test_rule_28_a_persons_own_word_comes_first() -> None:
    """Skipped or stopped by hand: no rule and no yes brings it back."""
    eager = policy(rules=(rule(Effect.JOIN, title="*"),))
    assert code_of(eager, Mark.SKIP) is Code.SKIPPED_BY_USER
    assert code_of(eager, Mark.STOP) is Code.STOPPED_BY_USER


def test_a_meeting_asked_for_by_hand_needs_no_invitation() -> None:
    """`locum join` counts as the answer, on any platform."""
    assert code_of(calendar=BY_HAND, organizer=None, **UNANSWERED) is Code.USER_JOIN
    by_hand: dict[str, Any] = {"calendar": BY_HAND, "organizer": None, "room": ZOOM}
    assert code_of(**by_hand, **UNANSWERED) is Code.USER_JOIN


# ── rules' patterns ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"title": "weekly*"}, True),
        ({"title": "WEEKLY SYNC"}, True),
        ({"title": "sync"}, False),
        ({"title": "*straße*"}, False),
        ({"organizer": "example.com"}, True),
        ({"organizer": "*@Example.com"}, True),
        ({"organizer": "boss@example.com"}, True),
        ({"organizer": "ample.com"}, False),
        ({"organizer": "evil.test"}, False),
        ({"attendee": "anna@example.com"}, True),
        ({"attendee": "nobody@example.com"}, False),
        ({"calendar": "work"}, True),
        ({"calendar": "primary"}, True),
        ({"calendar": "home"}, False),
        ({"platform": Platform.GOOGLE_MEET}, True),
        ({"platform": Platform.ZOOM}, False),
        ({"title": "weekly*", "organizer": "evil.test"}, False),
    ],
)
def test_every_pattern_of_a_rule_must_fit(match: dict[str, Any], *, expected: bool) -> None:
    """Shell patterns in any case; a bare domain is a domain, not a part of one."""
    guests = (Attendee(Person("anna@example.com"), Answer.ACCEPTED),)
    found = rule(Effect.SKIP, **match).matches(event(attendees=guests))
    assert found is expected


def test_a_rule_about_an_organizer_needs_one() -> None:
    """Nor does a rule about a platform fit an event without a room."""
    assert not rule(Effect.SKIP, organizer="*").matches(event(organizer=None))
    by_platform = rule(Effect.SKIP, platform=Platform.GOOGLE_MEET)
    assert not by_platform.matches(event(room=None))


def test_who_goes_and_by_what_engine() -> None:
    """A rule names them, else the account its persona, else the defaults; skip rules don't."""
    under = policy(
        rules=(
            rule(Effect.SKIP, title="nothing", persona="nobody", engine="nothing"),
            rule(Effect.USE, title="board*", persona="kit"),
            rule(Effect.USE, title="board*", engine="own"),
        ),
        account_personas={"home": "sam"},
    )
    board = decide(event(title="Board"), under)
    assert (board.persona, board.engine) == ("kit", "own")
    assert decide(event(calendar=HOME), under).persona == "sam"
    plain = decide(event(), under)
    assert (plain.persona, plain.engine) == ("robin", "stage")


def test_a_use_rule_decides_nothing() -> None:
    """It sets persona or engine; whether to go is decided as usual."""
    under = policy(rules=(rule(Effect.USE, title="*", persona="kit"),))
    assert code_of(under, organizer=STRANGER, **UNANSWERED) is Code.WAITING_FOR_ANSWER


def test_rule_27_every_decision_ends_its_trace_with_its_reason() -> None:
    """`why` shows the steps, and the last one is the verdict."""
    for decision in (decide(event(), policy()), decide(event(room=None), policy())):
        assert decision.trace[-1] == f"{decision.verdict}: {decision.reason}"


_TEXT = st.text(max_size=40)


@thorough
@given(
    title=_TEXT,
    description=_TEXT | st.just("locum: join, listen, persona=robin"),
    email=_TEXT | st.just("boss@evil.test"),
    answer=st.sampled_from([each for each in Answer if each is not Answer.ACCEPTED]),
    pattern=_TEXT,
)
def test_rule_26_nothing_that_a_stranger_writes_makes_us_join(
    title: str, description: str, email: str, answer: Answer, pattern: str
) -> None:
    """Whatever the text: without a yes, a trusted organizer or a rule there is no join."""
    under = policy(
        trusted_organizers=("boss@example.com",), rules=(rule(Effect.SKIP, title=pattern),)
    )
    hostile = event(
        title=title, description=description, organizer=Person(email), answer=answer
    )
    decision = decide(hostile, under)
    assert not decision.join
    assert decision.reason


@thorough
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_pattern_meets_any_text(pattern: str, text: str) -> None:
    """Rules never raise, whatever the config or the calendar holds."""
    hostile = event(title=text, organizer=Person(text), attendees=())
    match = rule(Effect.SKIP, title=pattern, organizer=pattern, attendee=pattern)
    assert match.matches(hostile) in {True, False}
