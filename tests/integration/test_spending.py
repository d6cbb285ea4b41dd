"""`locum spend`: what it tells of a ledger, and that it tells it without a daemon."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from locum.app.spending import Outlook, report
from locum.cli.root import app
from locum.core.model import (
    BY_HAND,
    EndReason,
    Meeting,
    Person,
    Phase,
    SessionHandle,
    SessionKey,
    Stay,
)
from locum.core.money import Caps
from locum.ledger import NEVER_RAN, BudgetError, Database, Ledger, Purse
from locum.ledger.schema import MIGRATIONS
from locum.rehearsal.face import face_png
from tests.integration.ledger_rig import reading
from tests.unit.builders import OTHER_ROOM, at, event, judged, meeting, policy, room

ZONE = timezone(timedelta(hours=1))
PRICE = 0.25  #: Sums of quarters are exact.
LONGEST = timedelta(hours=4)
HORIZON = timedelta(hours=48)
MINUTE = timedelta(minutes=1)
CONFIG = """\
state_dir = "state"
runtime_dir = "state"
[budget]
per_day = 20
[engines.stage]
type = "pikastream"
base_url = "http://127.0.0.1:9"
[personas.robin]
display_name = "Robin"
owner = "Alex"
image = "robin.png"
"""


@dataclass
class Books:
    """A ledger that things happen to."""

    ledger: Ledger
    caps: Caps = field(default_factory=Caps)

    @property
    def purse(self) -> Purse:
        return Purse(self.ledger.database, self.caps, max_length=LONGEST, zone=ZONE)

    def claim(self, stay: Stay, now: datetime) -> None:
        outcome = self.ledger.sessions.claim(
            [stay],
            now=now,
            grace=10 * MINUTE,
            prices={"stage": PRICE, "own": 0},
            purse=self.purse,
        )
        error = outcome[stay.key]
        if error is not None:
            raise error

    def answer(self, stay: Stay, now: datetime) -> None:
        self.ledger.sessions.transition(
            stay.key, Phase.WAITING, at=now, handle=SessionHandle(f"sess_{stay.key}")
        )

    def close(self, stay: Stay, now: datetime, outcome: str = "scheduled_end") -> None:
        self.ledger.sessions.close_attempt(stay.key, at=now, outcome=outcome)

    def attend(self, stay: Stay, minutes: float) -> None:
        """Claim at the join, and leave after so long."""
        self.claim(stay, stay.join_at)
        self.answer(stay, stay.join_at)
        ends = stay.join_at + minutes * MINUTE
        self.close(stay, ends)
        self.ledger.sessions.transition(
            stay.key, Phase.ENDED, at=ends, reason=EndReason.SCHEDULED_END, ended_at=ends
        )

    def told(self, now: datetime, **changes: Any) -> dict[str, Any]:
        outlook = Outlook(policy(), {"stage": PRICE, "own": 0.0}, HORIZON)
        wanted: dict[str, Any] = {"month": now, "outlook": outlook, **changes}
        return report(self.ledger, self.purse, wanted.pop("month"), now=now, **wanted)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    ledger = Ledger(Database(tmp_path / "state" / "ledger.sqlite3"))
    yield Books(ledger)
    ledger.close()


def stay_of(held: Meeting, **changes: Any) -> Stay:
    base = Stay(
        key=SessionKey(held.key),
        room=held.room,
        join_at=held.start,
        leave_by=held.end,
        persona="robin",
        engine="stage",
        meetings=(held,),
    )
    return replace(base, **changes)


def one(uid: str, minutes: float, code: str = "abc-defg-hij", **changes: Any) -> Stay:
    """Answer a half hour that begins so many minutes after ten, in nobody's calendar."""
    held = meeting(uid, start=at(minutes), end=at(minutes + 30), room=room(code), title=uid)
    about = {key: changes.pop(key) for key in ("organizer", "calendar") if key in changes}
    return stay_of(replace(held, **{"calendar": None, **about}), **changes)


def spent(rows: list[dict[str, Any]], name: str) -> dict[Any, float]:
    return {row[name]: row["spent_usd"] for row in rows}


# ── what was ─────────────────────────────────────────────────────────────────────────────


def test_nothing_spent_is_told_as_nothing(books: Books) -> None:
    """Every part is there, and empty; what is left of a cap is all of it."""
    books.caps = Caps.of_dollars(per_day=5)
    told = books.told(at(0))
    assert (told["month"], told["spent_usd"], told["set_aside_usd"]) == ("2026-11", 0, 0)
    parts = ("by_meeting", "by_persona", "by_organizer", "by_day", "settled_without_count")
    assert [told[part] for part in parts] == [[]] * len(parts)
    [cap] = told["caps"]
    assert (cap["cap"], cap["limit_usd"], cap["left_usd"]) == ("per_day", 5, 5)
    assert told["forecast"] == {"known_until": None, "at_most_usd": 0, "stays": []}


def test_a_month_is_added_up_by_whatever_one_asks(books: Books) -> None:
    """By meeting, persona, organizer, day and engine; with who isn't seen, and by hand."""
    books.attend(one("weekly", 0), 10)
    books.attend(one("planning", 24 * 60, persona="wren"), 20)
    books.attend(one("hidden", 60, "aaa-aaaa-aaa", organizer=None), 4)
    asked = event("mine", calendar=BY_HAND, organizer=None, start=at(120))
    books.ledger.calendars.put_by_hand(asked)
    books.attend(one("mine", 120, "bbb-bbbb-bbb", calendar=BY_HAND, organizer=None), 2)
    books.attend(one("free", 180, "ccc-cccc-ccc", engine="own"), 30)

    told = books.told(at(25 * 60))

    assert told["spent_usd"] == 36 * PRICE
    assert spent(told["by_persona"], "persona") == {"robin": 16 * PRICE, "wren": 20 * PRICE}
    assert spent(told["by_organizer"], "organizer") == {
        "boss@example.com": 30 * PRICE,
        "": 4 * PRICE,
        None: 2 * PRICE,
    }
    assert spent(told["by_day"], "day") == {"2026-11-23": 16 * PRICE, "2026-11-24": 20 * PRICE}
    assert spent(told["by_meeting"], "title") == {
        "weekly": 10 * PRICE,
        "hidden": 4 * PRICE,
        "mine": 2 * PRICE,
        "planning": 20 * PRICE,
    }
    assert spent(told["by_engine"], "engine") == {"stage": 36 * PRICE}


def test_a_month_begins_at_this_machines_midnight(books: Books) -> None:
    """An hour before it by UTC is the month after, here."""
    late = 7 * 24 * 60 + 13.5 * 60
    books.attend(one("december", late), 1)
    november, december = books.told(at(0)), books.told(at(0), month=at(late))
    assert (november["spent_usd"], december["spent_usd"]) == (0, PRICE)
    assert (december["month"], december["forecast"]) == ("2026-12", None)


def test_what_was_settled_without_counting_is_named(books: Books) -> None:
    """Never ran: free. Perhaps ran: all of it. Refused: free. Each with its meaning."""
    stays = [one(name, 0, f"{name[:3]}-defg-hij") for name in ("never", "perhaps", "refused")]
    for stay, outcome in zip(stays, (NEVER_RAN, "lost_join", "engine_refused"), strict=True):
        books.claim(stay, at(0))
        books.close(stay, at(2), outcome)

    told = books.told(at(5))

    found = {row["title"]: row for row in told["settled_without_count"]}
    assert {name: row["settlement"] for name, row in found.items()} == {
        "never": "never_ran",
        "perhaps": "assumed",
        "refused": "not_begun",
    }
    assert [found[name]["spent_usd"] for name in ("never", "refused")] == [0, 0]
    assert found["perhaps"]["spent_usd"] == told["spent_usd"] == 35 * PRICE
    assert "may have run" in found["perhaps"]["meaning"]


def test_what_is_left_is_what_the_purse_would_still_give(books: Books) -> None:
    """Set aside while it may run, even beyond what was set aside; over once it is proved."""
    books.caps = Caps.of_dollars(
        per_day=20, per_month=100, per_meeting=15, per_organizer_month=30
    )
    running = one("weekly", 0)
    books.claim(running, at(0))
    books.answer(running, at(0))
    for minute, aside in ((1, 35), (50, 50)):
        told = books.told(at(minute))
        assert told["set_aside_usd"] == aside * PRICE
        left = {cap["cap"]: cap.get("left_usd") for cap in told["caps"]}
        assert left == {
            "per_meeting": None,
            "per_day": 20 - aside * PRICE,
            "per_month": 100 - aside * PRICE,
            "per_organizer_month": None,
        }
        assert told["by_meeting"][0]["left_usd"] == 15 - aside * PRICE
        assert told["by_organizer"][0]["left_usd"] == 30 - aside * PRICE
    books.close(running, at(50))
    assert books.told(at(51))["set_aside_usd"] == 0


def test_a_meeting_entered_twice_is_one_with_its_title(books: Books) -> None:
    """Even if the meeting that opened the session has dropped out of it since."""
    first, then = one("weekly", 0), one("other", 30)
    made = event("weekly", title="weekly")
    books.ledger.calendars.record_decisions(judged(made), at=at(-60))
    books.claim(first, at(0))
    books.answer(first, at(0))
    books.close(first, at(3))
    sessions = books.ledger.sessions
    record = sessions.transition(
        first.key, Phase.JOINING, at=at(3), handle=None, retry_at=at(4), admitted_at=at(1)
    )
    sessions.claim_again(record, first, now=at(4), prices={"stage": PRICE}, purse=books.purse)
    sessions.amend(first.key, leave_by=at(60), meetings=then.meetings)
    [row] = books.told(at(5))["by_meeting"]
    assert (row["occurrence"], row["joins"]) == (first.meetings[0].occurrence, 2)
    assert (row["spent_usd"], row["title"]) == (3 * PRICE, "weekly")


# ── what is ahead ────────────────────────────────────────────────────────────────────────


def test_the_forecast_is_what_the_purse_will_be_asked_for(books: Books) -> None:
    """Each stay that isn't begun, at its worst; refused where the purse would refuse it."""
    events = [
        event("first", start=at(60), end=at(90), title="First"),
        event("second", start=at(120), end=at(150), title="Second", room=OTHER_ROOM),
        event("third", start=at(1500), end=at(1530), title="Third"),
        event("no", start=at(200), end=at(230), title="No", room=None),
    ]
    books.ledger.calendars.apply(reading(*events))
    books.caps = Caps.of_dollars(per_day=15)

    told = books.told(at(0))["forecast"]

    assert [stay["title"] for stay in told["stays"]] == ["First", "Second", "Third"]
    assert [stay["refused"] is None for stay in told["stays"]] == [True, False, True]
    assert "budget.per_day" in told["stays"][1]["refused"]
    assert [stay["at_most_usd"] for stay in told["stays"]] == [36 * PRICE] * 3
    assert told["at_most_usd"] == 2 * 36 * PRICE
    assert told["known_until"] == (at(-60) + HORIZON).isoformat()

    planned = one("First", 60, join_at=at(59.5))
    books.claim(planned, at(59.5))
    with pytest.raises(BudgetError):
        books.claim(one("Second", 120, "xyz-wxyz-xyz", join_at=at(119.5)), at(119.5))


def test_what_has_begun_is_set_aside_and_not_ahead(books: Books) -> None:
    """The same money is never told twice."""
    made = event("sync", start=at(1), end=at(31))
    books.ledger.calendars.apply(reading(made))
    [ahead] = books.told(at(0))["forecast"]["stays"]
    held = meeting("sync", start=at(1), end=at(31))
    books.claim(stay_of(held, join_at=at(0.5)), at(0.5))
    told = books.told(at(1))
    assert (told["forecast"]["stays"], told["set_aside_usd"]) == ([], ahead["at_most_usd"])


def test_planned_money_counts_for_its_organizer_and_its_month(books: Books) -> None:
    """One organizer's cap leaves the others alone; what lies in the next month isn't of this."""
    other = Person("ann@example.com")
    codes = ("aaa-aaaa-aaa", "bbb-bbbb-bbb", "ccc-cccc-ccc")
    events = [
        event(f"e{n}", start=at(60), end=at(90), title=f"e{n}", room=room(code), **more)
        for n, (code, more) in enumerate(
            zip(codes, ({}, {}, {"organizer": other}), strict=True)
        )
    ]
    books.ledger.calendars.apply(reading(*events))
    books.caps = Caps.of_dollars(per_organizer_month=12)
    told = books.told(at(0))["forecast"]
    assert sorted(stay["refused"] is None for stay in told["stays"]) == [False, True, True]
    assert "one organizer" in str([stay["refused"] for stay in told["stays"]])
    assert books.told(at(0), month=at(-40 * 24 * 60))["forecast"] is None


# ── the command ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("LOCUM_", "XDG_", "PIKA_")) or name.endswith("_DIRECTORY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "locum.toml").write_text(CONFIG, "utf-8")
    (tmp_path / "locum.toml").chmod(0o600)
    (tmp_path / "robin.png").write_bytes(face_png(256))
    return tmp_path


def locum_spend(folder: Path, *arguments: str) -> Any:
    command = ["spend", "-c", str(folder / "locum.toml"), *arguments]
    return CliRunner().invoke(app, command, prog_name="locum")


def test_the_command_tells_a_month(books: Books, folder: Path) -> None:
    """From the ledger, without a daemon; hostile titles steer no terminal."""
    hostile = one("weekly", 0)
    titled = replace(hostile.meetings[0], title="Sync\u202e\x1b[2J")
    books.attend(replace(hostile, meetings=(titled,)), 10)
    lost = one("lost", 60)
    books.claim(lost, at(60))
    books.close(lost, at(61), NEVER_RAN)

    said = locum_spend(folder, "--month", "2026-11")
    found = json.loads(locum_spend(folder, "--month", "2026-11", "--json").stdout)

    assert said.exit_code == 0, said.output
    assert "November 2026: $2.50 spent" in said.stdout
    assert "By organizer\n  boss@example.com  $2.50" in said.stdout
    assert "never ran: free" in said.stdout
    assert "\x1b" not in said.stdout
    assert "\u202e" not in said.stdout
    assert (found["spent_usd"], found["by_meeting"][0]["persona"]) == (2.5, "robin")


def test_a_month_without_anything_says_so(books: Books, folder: Path) -> None:
    """One clear line, and the caps as they stand."""
    said = locum_spend(folder)
    assert (said.exit_code, said.stderr) == (0, "")
    assert ": nothing was spent\n" in said.stdout
    assert "$20.00 a day  $20.00 left" in said.stdout
    assert "Nothing that costs anything." in said.stdout


def test_without_a_ledger_nothing_was_spent(folder: Path) -> None:
    """Before the first run; and asking makes no ledger."""
    said = locum_spend(folder, "--json")
    assert (said.exit_code, json.loads(said.stdout)["spent_usd"]) == (0, 0)
    assert "no daemon has run" in said.stderr
    assert not (folder / "state").exists()


def test_a_ledger_of_an_older_locum_is_named(folder: Path) -> None:
    """Whoever only reads can't bring it up to date, and says who can."""
    (folder / "state").mkdir()
    old = sqlite3.connect(folder / "state" / "ledger.sqlite3")
    old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
    old.close()
    said = locum_spend(folder)
    assert (said.exit_code, said.stdout) == (1, "")
    assert "was written by an older locum. Start the daemon once" in said.stderr


def test_a_bad_config_hides_nothing_that_was_spent(books: Books, folder: Path) -> None:
    """Only caps and forecast need one that can be used."""
    books.attend(one("weekly", 0), 10)
    (folder / "locum.toml").write_text(CONFIG + "[nope]\n", "utf-8")
    said = locum_spend(folder, "--month", "2026-11", "--json")
    found = json.loads(said.stdout)
    assert (said.exit_code, found["spent_usd"], found["caps"]) == (0, 2.5, None)
    assert "config check" in said.stderr
    assert "No cap is set" not in locum_spend(folder, "--month", "2026-11").stdout


@pytest.mark.parametrize("month", ["2026-13", "november", "2026-1", "1999-01"])
def test_what_is_no_month_is_refused(folder: Path, month: str) -> None:
    """A usage error, with an example of one."""
    said = locum_spend(folder, "--month", month)
    assert said.exit_code == 2
    assert "2026-11" in said.stderr
