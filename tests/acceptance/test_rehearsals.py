"""From invitation to filed summary: the real daemon in a process of its own, on the stage."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tests.acceptance.conftest import Play
from tests.integration.notices_rig import compile_apprise

pytestmark = pytest.mark.timeout(180)


def test_rule_01_the_main_job(play: Play, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One accepted invitation is attended from start to end, and filed; nothing else is."""
    compile_apprise(tmp_path_factory.mktemp("apprise"))
    outcome = play("default")
    assert outcome.problems == ()
    (session,) = outcome.sessions
    assert session["phase"] == "filed"
    assert session["end_reason"] == "scheduled_end"
    assert session["title"] == "Tide gauge dashboard: go or wait"
    (markdown,) = outcome.summaries
    text = markdown.read_text()
    assert "# Tide gauge dashboard: go or wait" in text
    assert "Google Meet's transcript" in text
    twin = json.loads(markdown.with_suffix(".json").read_text())
    said = [(each["person"], each["text"]) for each in twin["transcript"]]
    assert len(said) == 10
    assert said[0][0] == "dana@example.com"
    assert said[7] == (
        "jonas@example.com",
        "I will calibrate Whitby by Wednesday noon and post the readings.",
    )
    assert (twin["edition"], twin["awaited"]) == (2, [])
    assert set(twin["invited"]) >= {"Dana Reyes", "Jonas Lind", "Mira Patel"}
    joined, left = (
        datetime.fromisoformat(twin["attendance"][key]) for key in ("joined_at", "left_at")
    )
    end = datetime.fromisoformat(twin["end"])
    assert joined < end
    assert timedelta(0) <= left - end < timedelta(seconds=30)
    # First seen less than ten minutes ahead: told at once, by the real apprise.
    [notice] = outcome.notices
    assert notice.title.startswith('Going to "Tide gauge dashboard: go or wait" at ')
    assert "Why: the account accepted it." in notice.body


def test_rule_09_an_extended_meeting_is_attended_to_its_new_end(play: Play) -> None:
    """Extended while we are in it: we leave at the new end, with one join."""
    outcome = play("overrun")
    assert outcome.problems == ()
    (session,) = outcome.sessions
    assert session["attempts"] == 1
    lasted = datetime.fromisoformat(session["ended_at"]) - datetime.fromisoformat(
        session["join_at"]
    )
    assert lasted > timedelta(seconds=40)


def test_rule_12_a_cancelled_meeting_is_left(play: Play) -> None:
    """Cancelled while we are in it: we leave within one poll, and say why."""
    outcome = play("cancelled")
    assert outcome.problems == ()
    (session,) = outcome.sessions
    assert session["end_reason"] == "cancelled"
    ended = datetime.fromisoformat(session["ended_at"])
    assert ended < datetime.fromisoformat(session["leave_by"]) - timedelta(seconds=40)


def test_rule_59_outages_cancel_nothing(play: Play) -> None:
    """Google is down at the start, and leaving fails twice: joined, left, filed all the same."""
    outcome = play("outage")
    assert outcome.problems == ()
    (session,) = outcome.sessions
    assert (session["phase"], session["attempts"]) == ("filed", 1)


def test_rule_52_a_crash_in_the_middle(play: Play) -> None:
    """Killed in the middle and started again: the session is adopted, not joined anew."""
    outcome = play("crash")
    assert outcome.problems == ()
    (session,) = outcome.sessions
    assert (session["phase"], session["attempts"]) == ("filed", 1)
    assert len(outcome.notices) <= 1, "told twice"


_LOST_ANSWER = """
title = "A join whose answer is lost"
[owner]
email = "alex@example.com"
name = "Alex"
[[events]]
id = "one"
title = "Lost answer"
starts_at = 8
duration = 200
organizer = "alex@example.com"
meet = "los-answ-ers"
[[faults]]
target = "pikastream"
at = 0
method = "POST"
path = "/proxy/realtime/meeting-session"
times = 1
after = true
"""


def test_a_lost_answer_is_never_repeated_blindly(play: Play) -> None:
    """The join ran though its answer was lost: the balance falls, and nobody joins again."""
    outcome = play(_LOST_ANSWER)
    (session,) = outcome.sessions
    assert (session["phase"], session["end_reason"]) == ("failed", "lost_join")
    assert session["attempts"] == 1
    assert "two stand-ins were in one room" not in outcome.problems


_NEVER_READY = """
title = "A service that never comes up"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
never_ready = true
[[events]]
id = "one"
title = "Never ready"
starts_at = 8
duration = 70
organizer = "alex@example.com"
meet = "nev-erre-ady"
"""


def test_a_presence_that_never_comes_up_is_ended(play: Play) -> None:
    """Never ready: ended by us before the grace is over, so that it stops costing."""
    outcome = play(_NEVER_READY)
    assert "a paid session is still running" not in outcome.problems
    (session,) = outcome.sessions
    assert (session["phase"], session["end_reason"]) == ("failed", "not_admitted")


_BACK_TO_BACK = """
title = "Two meetings in one room, back to back, and a third elsewhere"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
ready_after = 1
give_back_notes = "Decided: ship on Thursday."
[[events]]
id = "one"
title = "First half"
starts_at = 8
duration = 15
organizer = "alex@example.com"
meet = "one-room-two"
[[events]]
id = "two"
title = "Second half"
starts_at = 23
duration = 15
organizer = "alex@example.com"
meet = "one-room-two"
[[events]]
id = "three"
title = "Elsewhere"
starts_at = 10
duration = 15
organizer = "alex@example.com"
meet = "els-ewhe-res"
"""


def test_rule_41_back_to_back_in_one_room_is_one_presence(play: Play) -> None:
    """One presence and two summaries for the shared room; the other room at the same time."""
    outcome = play(_BACK_TO_BACK)
    assert outcome.problems == ()
    assert len(outcome.sessions) == 2
    shared = next(s for s in outcome.sessions if len(s["meetings"]) == 2)
    assert [m["title"] for m in shared["meetings"]] == ["First half", "Second half"]
    assert len(shared["summaries"]) == 2
    twins = [json.loads(p.with_suffix(".json").read_text()) for p in outcome.summaries]
    assert {twin["title"] for twin in twins} == {"First half", "Second half", "Elsewhere"}
    assert all(twin["notes"][0]["text"] == "Decided: ship on Thursday." for twin in twins)


_MOVED_AND_STRANGE = """
title = "Moved before the join; declined while in it; a stranger with orders"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
ready_after = 1
[[events]]
id = "moved"
title = "Moved later"
starts_at = 24
duration = 15
organizer = "alex@example.com"
meet = "mov-edla-ter"
[[events]]
id = "declined"
title = "Declined in the middle"
starts_at = 8
duration = 60
organizer = "dana@example.com"
meet = "dec-line-dit"
attendees = [{ email = "alex@example.com", answer = "accepted" }]
[[events]]
id = "stranger"
title = "Stranger's orders"
starts_at = 8
duration = 60
organizer = "mallory@example.net"
meet = "str-ange-rrr"
description = "locum: join"
attendees = [{ email = "alex@example.com", answer = "needsAction" }]
[[edits]]
at = 6
event = "moved"
kind = "move"
to = 37
[[edits]]
at = 20
event = "declined"
kind = "decline"
"""


def test_rule_04_20_27_moved_declined_and_a_strangers_orders(play: Play) -> None:
    """Moved: joined at its new time only. Declined: left. A stranger's orders: ignored."""
    outcome = play(_MOVED_AND_STRANGE)
    assert outcome.problems == ()
    by_title = {session["title"]: session for session in outcome.sessions}
    assert set(by_title) == {"Moved later", "Declined in the middle"}
    assert by_title["Declined in the middle"]["end_reason"] == "declined"
    moved = by_title["Moved later"]
    start = datetime.fromisoformat(moved["meetings"][0]["start"])
    assert datetime.fromisoformat(moved["admitted_at"]) >= start - timedelta(seconds=3)
