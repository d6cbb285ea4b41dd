"""Google Docs on the stage: one document a meeting, its owner's alone, and the event told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.calendars.google_docs import GoogleDocs, Note, Page
from locum.calendars.google_token import CALENDAR_SCOPE, PERMISSIONS
from locum.core.model import MeetingKey
from locum.errors import (
    HumanNeededError,
    LocumError,
    OutOfQuotaError,
    PermanentError,
    TransientError,
)
from locum.ports import Health, Summary
from locum.rehearsal.faults import Fault
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.serving import served
from locum.sinks.texts import as_html, heading
from tests.contract.discovery_schema import check_answers
from tests.integration.google_rig import ANNA, BEN, NOW, GoogleRig, StillClock, meeting
from tests.sinks_rig import HOSTILE_TITLES, summary

pytestmark = pytest.mark.anyio

SCOPES = (CALENDAR_SCOPE, *(each.scope for each in PERMISSIONS.values()))
START = NOW + timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[GoogleRig]:
    clock = StillClock(NOW)
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA, name="Anna")
    stage.add_account(BEN, name="Ben")
    app = google_app(stage)
    checks = check_answers(app)
    with served(app) as server:
        made = GoogleRig(stage, clock, server.base_url, tmp_path)
        made.write_sign_in(scopes=SCOPES)
        yield made
    assert checks.problems == []


def page(found: Summary) -> Page:
    title = heading(found)
    return Page(title, as_html(f"# {title}\n", title=title))


def docs(rig: GoogleRig, note: Note = Note.ATTACH, **changes: Any) -> GoogleDocs:
    account = replace(rig.account, permissions=frozenset({"docs", "events"}), **changes)
    return GoogleDocs("docs", account, clock=rig.clock, page=page, folder="Meetings", note=note)


def of(event: dict[str, Any], **changes: Any) -> Summary:
    """Answer the summary of an event of the stage's."""
    key = MeetingKey(f"{event['iCalUID']}@20261123T090000Z")
    return summary(key=key, start=START, end=START + timedelta(minutes=30), **changes)


async def test_a_summary_is_one_document_in_a_folder_of_ours(rig: GoogleRig) -> None:
    """Nobody but the account has it; filed again, and in a later edition, it is the same."""
    sink = docs(rig, Note.NONE)
    first = await sink.file(summary())
    again = await sink.file(summary())
    await sink.file(summary(edition=2, title="Weekly sync, renamed"))
    [document] = rig.stage.drive.documents(ANNA)
    folder = rig.stage.drive.files[document.parents[0]]

    assert first == again
    assert document.id in first
    assert (document.version, document.app_properties["locumEdition"]) == (3, "2")
    assert document.name == "Update: Weekly sync, renamed, 2026-11-23"
    assert (folder.name, folder.parents) == ("Meetings", ("root",))
    assert document.shared_with == folder.shared_with == ()
    assert [each for each in rig.stage.log.requests if "permissions" in each.path] == []


async def test_two_meetings_are_two_documents_in_one_folder(rig: GoogleRig) -> None:
    """Each is known by its keys, whatever it is called."""
    sink = docs(rig, Note.NONE)
    await sink.file(summary())
    await sink.file(summary(key=MeetingKey("other@20261123T100000Z")))
    one, two = rig.stage.drive.documents(ANNA)

    assert one.parents == two.parents


async def test_a_document_in_the_bin_is_left_there(rig: GoogleRig) -> None:
    """A later edition is a new one."""
    sink = docs(rig, Note.NONE)
    await sink.file(summary())
    rig.stage.drive.bin(rig.stage.drive.documents(ANNA)[0].id)
    await sink.file(summary(edition=2))

    assert len(rig.stage.drive.documents(ANNA)) == 1
    assert len(rig.stage.drive.files) == 3


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
async def test_no_title_shares_or_finds_anything(rig: GoogleRig, title: str) -> None:
    """It is a name, and text; what identifies the document has nothing of it."""
    sink = docs(rig, Note.NONE)
    await sink.file(summary(title=title))
    await sink.file(summary(title=title))
    [document] = rig.stage.drive.documents(ANNA)

    assert document.shared_with == ()
    assert b"<script" not in document.content
    assert b"<img" not in document.content


# ── the event ────────────────────────────────────────────────────────────────────────────


async def test_the_organizers_event_gets_an_attachment_and_guests_no_notice(
    rig: GoogleRig,
) -> None:
    """Beside what was attached before; once, however often it is filed."""
    other = {"fileUrl": "https://docs.google.com/document/d/agenda/edit", "title": "Agenda"}
    event = rig.stage.insert_event(
        ANNA, meeting(attendees=[{"email": BEN}], attachments=[other])
    )
    sink = docs(rig)
    where = await sink.file(of(event))
    await sink.file(of(event, edition=2))
    found = rig.stage.get_event(ANNA, event["id"])

    assert [each["fileUrl"] for each in found["attachments"]] == [other["fileUrl"], where]
    [patch] = rig.stage.log.matching("/events/", "PATCH")
    assert "sendUpdates=none" in patch.query
    assert "supportsAttachments=true" in patch.query
    assert "description" not in found


async def test_a_guests_copy_gets_a_property_that_nobody_else_sees(rig: GoogleRig) -> None:
    """The organizer's event stays as it was."""
    event = rig.stage.insert_event(BEN, meeting(attendees=[{"email": ANNA}]))
    where = await docs(rig).file(of(event))
    mine = rig.stage.get_event(ANNA, event["id"])
    theirs = rig.stage.get_event(BEN, event["id"])

    assert mine["extendedProperties"]["private"] == {"locumSummary": where}
    assert "attachments" not in mine
    assert "extendedProperties" not in theirs
    assert "attachments" not in theirs


async def test_an_organizer_can_keep_it_to_themselves(rig: GoogleRig) -> None:
    """With "private", guests don't learn that there is a document."""
    event = rig.stage.insert_event(ANNA, meeting(attendees=[{"email": BEN}]))
    await docs(rig, Note.PRIVATE).file(of(event))

    assert (
        "locumSummary"
        in rig.stage.get_event(ANNA, event["id"])["extendedProperties"]["private"]
    )
    assert "attachments" not in rig.stage.get_event(BEN, event["id"])


async def test_one_occurrence_of_a_series_gets_it(rig: GoogleRig) -> None:
    """The one that was attended, and not the rest."""
    series = rig.stage.insert_event(
        ANNA,
        meeting(
            start={"dateTime": "2026-11-23T09:00:00Z", "timeZone": "UTC"},
            end={"dateTime": "2026-11-23T09:30:00Z", "timeZone": "UTC"},
            recurrence=["RRULE:FREQ=DAILY;COUNT=5"],
        ),
    )
    key = MeetingKey(f"{series['iCalUID']}/20261124T090000Z@20261124T090000Z")
    day = START + timedelta(days=1)
    await docs(rig).file(replace(of(series), key=key, start=day, end=day))
    rest = rig.stage.get_event(ANNA, f"{series['id']}_20261123T090000Z")
    found = rig.stage.get_event(ANNA, f"{series['id']}_20261124T090000Z")

    assert len(found["attachments"]) == 1
    assert "attachments" not in rest


async def test_a_meeting_that_no_calendar_has_is_filed_all_the_same(rig: GoogleRig) -> None:
    """One joined by hand, say."""
    await docs(rig).file(summary())

    assert len(rig.stage.drive.documents(ANNA)) == 1
    assert rig.stage.log.matching("/events/", "PATCH") == []


async def test_a_change_that_came_in_between_is_not_lost(rig: GoogleRig) -> None:
    """Another attachment was added: the write is refused, and tried anew later."""
    event = rig.stage.insert_event(ANNA, meeting())
    rig.stage.fail(412, "conditionNotMet", path="/events/")
    with pytest.raises(TransientError):
        await docs(rig).file(of(event))
    await docs(rig).file(of(event))

    assert len(rig.stage.get_event(ANNA, event["id"])["attachments"]) == 1
    assert len(rig.stage.drive.documents(ANNA)) == 1


async def test_a_sign_in_that_may_not_write_events_files_the_document(
    rig: GoogleRig,
) -> None:
    """The note is left out; `doctor` says what to do."""
    event = rig.stage.insert_event(ANNA, meeting())
    rig.write_sign_in(scopes=(CALENDAR_SCOPE, PERMISSIONS["docs"].scope))
    sink = docs(rig)
    await sink.file(of(event))
    [finding] = await sink.check()

    assert len(rig.stage.drive.documents(ANNA)) == 1
    assert "attachments" not in rig.stage.get_event(ANNA, event["id"])
    assert finding.health is Health.WARNING
    assert "locum auth login work" in finding.next_step


# ── failures ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (401, "authError", HumanNeededError),
        (403, "insufficientPermissions", HumanNeededError),
        (403, "storageQuotaExceeded", HumanNeededError),
        (403, "accessNotConfigured", HumanNeededError),
        (403, "userRateLimitExceeded", OutOfQuotaError),
        (429, "rateLimitExceeded", OutOfQuotaError),
        (500, "backendError", TransientError),
        (503, "backendError", TransientError),
        (400, "badRequest", PermanentError),
    ],
)
async def test_a_refusal_of_drives_is_one_of_ours(
    rig: GoogleRig, status: int, reason: str, error: type[LocumError]
) -> None:
    """Each in one place, with the next step where there is one."""
    rig.stage.fail(status, reason, path="/drive/v3/", times=3)
    with pytest.raises(error) as caught:
        await docs(rig).file(summary())

    assert type(caught.value) is error


async def test_a_lost_answer_makes_no_second_document(rig: GoogleRig) -> None:
    """It was made, and is found by its property the next time."""
    rig.stage.faults.add(Fault(path="/upload/drive/v3/files", after=True))
    sink = docs(rig, Note.NONE)
    with pytest.raises(TransientError):
        await sink.file(summary())
    await sink.file(summary())

    assert len(rig.stage.drive.documents(ANNA)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/drive/v3/", delay_s=60),
        Fault(path="/drive/v3/", drip_s=0.2),
        Fault(path="/drive/v3/", endless=True),
        Fault(path="/drive/v3/", drop=True),
        Fault(path="/drive/v3/", status=200, body="<html>welcome to the hotel"),
        Fault(path="/drive/v3/", status=302, headers={"location": "https://example.com/"}),
        Fault(path="/drive/v3/", status=200, body={"files": 3}),
    ],
    ids=["slow", "dripping", "endless", "cut", "portal", "redirect", "odd"],
)
async def test_a_server_in_trouble_is_for_now(rig: GoogleRig, fault: Fault) -> None:
    """Within the deadline of a filing."""
    rig.stage.faults.add(replace(fault, times=None))
    sink = docs(rig, Note.NONE, read_deadline=timedelta(seconds=2))
    with pytest.raises(TransientError):
        await sink.file(summary())


async def test_a_full_drive_and_a_missing_permission_are_found_beforehand(
    rig: GoogleRig,
) -> None:
    """`doctor` changes nothing, and says the next step."""
    sink = docs(rig)
    assert [each.health for each in await sink.check()] == [Health.OK]
    rig.stage.drive.limit = 0
    [full] = await sink.check()
    rig.write_sign_in(scopes=(CALENDAR_SCOPE,))
    [lacking] = await sink.check()

    assert (full.health, lacking.health) == (Health.BROKEN, Health.BROKEN)
    assert "full" in full.detail
    assert "doesn't allow" in lacking.detail
    assert rig.stage.drive.files == {}
