"""Google Meet's transcripts through Google's own client, from a stage whose answers are judged."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from locum.calendars.google_meet import GoogleMeetTranscripts
from locum.calendars.google_token import CALENDAR_SCOPE, PERMISSIONS
from locum.core.model import Meeting, Person, Platform, Room
from locum.core.transcript import Source
from locum.errors import GoneError, HumanNeededError, PermanentError, TransientError
from locum.ports import Health
from locum.rehearsal.faults import Fault
from locum.rehearsal.google import GoogleStage, google_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served
from tests.contract.meet_schema import MeetChecks, check_meets_answers
from tests.integration.google_rig import ANNA, NOW, GoogleRig, StillClock
from tests.unit.builders import meeting as built

SCOPE = PERMISSIONS["transcripts"].scope
CODE = "abc-defg-hij"
ROBIN = "Robin (AI stand-in for Anna)"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class MeetRig(GoogleRig):
    """Anna's sign-in, which covers transcripts; the rooms, and a judge of every answer."""

    rooms: Rooms
    checks: MeetChecks

    def meet(self, **changes: Any) -> GoogleMeetTranscripts:
        return GoogleMeetTranscripts(replace(self.account, **changes), clock=self.clock)

    def hold(self, *said: tuple[str, str], code: str = CODE) -> None:
        """Hold a meeting of half an hour from now on; each says something a minute later."""
        for name in ("Dana Reyes", "Jonas Lind", "+49 ••• ••12"):
            self.rooms.enter(code, name)
        self.rooms.expect_bot(code, ROBIN, self.clock.now())
        for name, text in said:
            self.clock.advance(MINUTE)
            self.rooms.say(code, name, text)
        self.clock.advance(30 * MINUTE - len(said) * MINUTE)
        self.rooms.close(code)

    def meeting(self, **changes: Any) -> Meeting:
        """Answer the half hour that `hold` held last."""
        start = self.clock.now() - 30 * MINUTE
        room = Room(Platform.GOOGLE_MEET, CODE, f"https://meet.google.com/{CODE}")
        base = replace(built(), start=start, end=start + 30 * MINUTE, room=room)
        return replace(base, **changes)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[MeetRig]:
    clock = StillClock(NOW)
    stage = GoogleStage(now=clock.now)
    stage.add_account(ANNA, name="Anna")
    rooms = Rooms(now=clock.now)
    stage.meet.rooms = rooms
    stage.meet.transcribed = None
    app = google_app(stage)
    checks = check_meets_answers(app)
    with served(app) as server:
        found = MeetRig(stage, clock, server.base_url, tmp_path, rooms, checks)
        found.write_sign_in(scopes=(CALENDAR_SCOPE, SCOPE))
        yield found
    assert checks.problems == []


@pytest.fixture
async def source(rig: MeetRig) -> AsyncIterator[GoogleMeetTranscripts]:
    made = rig.meet()
    yield made
    await made.aclose()


SAID = [("Dana Reyes", "We show it on Thursday."), ("Jonas Lind", "I will calibrate it.")]


@pytest.mark.anyio
async def test_a_transcript(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """Who said what and when, who was there, and where the document is."""
    began = rig.clock.now()
    rig.hold(*SAID)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    assert await source.fetch(meeting, ended_at=ended_at) is None
    rig.clock.advance(5 * MINUTE)
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert [(each.speaker, each.text) for each in found.utterances] == SAID
    first = found.utterances[0]
    assert (first.at, first.source) == (began + MINUTE, Source.MEET_TRANSCRIPT)
    assert first.until == began + MINUTE + timedelta(seconds=2)
    names = ["Dana Reyes", "Jonas Lind", "+49 ••• ••12", ROBIN]
    assert found.participants == tuple(Person("", name) for name in names)
    [note] = found.notes
    assert note.text.startswith("https://docs.google.com/document/d/")
    assert rig.checks.checked > 4


@pytest.mark.anyio
async def test_all_pages(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """However small Google's pages are, all of them are read."""
    rig.hold(*(("Dana Reyes", f"Sentence {n}.") for n in range(25)))
    rig.stage.meet.page_size = 4
    rig.clock.advance(5 * MINUTE)
    found = await source.fetch(rig.meeting(start=NOW), ended_at=NOW + 30 * MINUTE)
    assert found is not None
    assert [each.text for each in found.utterances] == [f"Sentence {n}." for n in range(25)]


@pytest.mark.anyio
async def test_nobody_switched_it_on(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """That there is none is believed only a while after the end, and said as it is."""
    rig.stage.meet.transcribed = frozenset()
    rig.hold(*SAID)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    assert await source.fetch(meeting, ended_at=ended_at) is None
    rig.clock.advance(31 * MINUTE)
    with pytest.raises(PermanentError, match="nobody had switched on Google Meet's trans"):
        await source.fetch(meeting, ended_at=ended_at)


@pytest.mark.anyio
async def test_a_meeting_that_goes_on(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """While the others are still in there, it is awaited."""
    rig.rooms.enter(CODE, "Dana Reyes")
    rig.clock.advance(90 * MINUTE)
    meeting = rig.meeting()
    assert await source.fetch(meeting, ended_at=rig.clock.now() - 40 * MINUTE) is None


@pytest.mark.anyio
async def test_no_conference(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """What the account may not see, it is told in the end that it can't."""
    rig.hold(*SAID)
    rig.stage.meet.hidden_from.add(ANNA)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    assert await source.fetch(meeting, ended_at=ended_at) is None
    rig.clock.advance(31 * MINUTE)
    with pytest.raises(PermanentError, match="shows this account no such conference"):
        await source.fetch(meeting, ended_at=ended_at)


@pytest.mark.anyio
async def test_never_ready(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """A transcript that never comes is awaited for as long as anybody asks."""
    rig.stage.meet.transcripts_after = None
    rig.hold(*SAID)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    for _ in range(3):
        rig.clock.advance(timedelta(hours=7))
        assert await source.fetch(meeting, ended_at=ended_at) is None


@pytest.mark.anyio
async def test_only_this_meeting(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """Of a room that is used all day, what was said around this meeting is taken."""
    rig.hold(("Dana Reyes", "In the morning."))
    rig.hold(("Dana Reyes", "In another room."), code="xyz-wxyz-xyz")
    rig.clock.advance(timedelta(hours=2))
    rig.hold(*SAID)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    rig.clock.advance(5 * MINUTE)
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert [each.text for each in found.utterances] == [text for _, text in SAID]


@pytest.mark.anyio
async def test_two_conferences_of_one_meeting(
    rig: MeetRig, source: GoogleMeetTranscripts
) -> None:
    """Everybody left and came back: it is one meeting all the same."""
    start = rig.clock.now()
    rig.hold(("Dana Reyes", "Before the break."))
    rig.clock.advance(10 * MINUTE)
    rig.hold(("Dana Reyes", "After the break."))
    ended_at = rig.clock.now()
    rig.clock.advance(5 * MINUTE)
    meeting = rig.meeting(start=start, end=ended_at)
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert [each.text for each in found.utterances] == ["Before the break.", "After the break."]
    assert len(found.participants) == 4


@pytest.mark.anyio
async def test_notes_by_gemini(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """They come as an address; that they can't be had costs nothing else."""
    rig.stage.meet.smart_notes = True
    rig.hold(*SAID)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    rig.clock.advance(5 * MINUTE)
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert [note.source for note in found.notes] == [
        "Google Meet: transcript",
        "Google Meet: notes by Gemini",
    ]
    rig.stage.fail(403, "forbidden", path="/v2/", unless="transcripts", skip=2, times=None)
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert len(found.notes) == 1


@pytest.mark.anyio
async def test_a_sign_in_without_the_permission(rig: MeetRig) -> None:
    """A person is told to sign in again, by `check` without asking Google at all."""
    rig.write_sign_in(scopes=(CALENDAR_SCOPE,))
    source = rig.meet()
    [finding] = await source.check()
    assert finding.health is Health.BROKEN
    assert "doesn't allow locum to read Google Meet's transcripts" in finding.detail
    assert "locum auth login work" in finding.next_step
    assert rig.checks.checked == 0
    with pytest.raises(HumanNeededError, match="doesn't allow locum"):
        await source.fetch(rig.meeting(), ended_at=NOW)
    await source.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (401, "authError", HumanNeededError),
        (403, "accessNotConfigured", HumanNeededError),
        (403, "forbidden", PermanentError),
        (404, "notFound", GoneError),
        (429, "rateLimitExceeded", TransientError),
        (500, "backendError", TransientError),
        (503, "backendError", TransientError),
    ],
)
async def test_refusals(
    rig: MeetRig,
    source: GoogleMeetTranscripts,
    status: int,
    reason: str,
    error: type[Exception],
) -> None:
    """Each of Google's refusals says whether to try again, and whether a person must act."""
    rig.stage.fail(status, reason, path="/v2/", times=None)
    with pytest.raises(error) as caught:
        await source.fetch(rig.meeting(), ended_at=NOW)
    assert "account work" in str(caught.value)
    [finding] = await source.check()
    assert finding.health is not Health.OK
    assert finding.next_step


@pytest.mark.anyio
@pytest.mark.parametrize(
    "fault",
    [
        Fault("/v2/", times=None, status=200, body="<html>Welcome to the hotel</html>"),
        Fault("/v2/", times=None, status=200, body=[]),
        Fault("/v2/", times=None, status=200, body={"conferenceRecords": 5}),
        Fault("/v2/", times=None, status=200, body={"nextPageToken": "again"}),
        Fault("/v2/", times=None, status=200, body={"nextPageToken": ["x"]}),
        Fault("/v2/", times=None, drop=True),
    ],
)
async def test_answers_that_make_no_sense(
    rig: MeetRig, source: GoogleMeetTranscripts, fault: Fault
) -> None:
    """A portal's page, a broken list, pages without end and none at all pass."""
    rig.stage.faults.add(fault)
    with pytest.raises(TransientError):
        await source.fetch(rig.meeting(), ended_at=NOW)


@pytest.mark.anyio
async def test_items_that_make_no_sense(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """One that can't be read doesn't spoil the rest."""
    rig.hold(*SAID)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    rig.clock.advance(5 * MINUTE)
    name = "conferenceRecords/a/transcripts/b/entries/c"
    odd: list[Any] = [
        {"name": name, "text": 5},
        {"name": "../../secrets", "text": "No."},
        {"name": name, "text": "Later\ud800", "startTime": "soon"},
        None,
        {"name": name, "text": "x " * 20_000, "participant": "nobody"},
        {"name": name, "text": "Fine."},
    ]
    body = json.dumps({"transcriptEntries": odd})
    rig.stage.faults.add(Fault("/entries", times=None, status=200, body=body))
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert [len(each.text) for each in found.utterances] == [15_999, 15_999, 7_999, 5]
    assert {each.speaker for each in found.utterances} == {""}


@pytest.mark.anyio
async def test_another_platform(rig: MeetRig, source: GoogleMeetTranscripts) -> None:
    """Google knows nothing of other people's rooms, and isn't asked."""
    room = Room(Platform.ZOOM, "123456789", "https://zoom.us/j/123456789")
    with pytest.raises(PermanentError, match="no Google Meet meeting"):
        await source.fetch(rig.meeting(room=room), ended_at=NOW)
    assert rig.checks.checked == 0


@pytest.mark.anyio
async def test_a_service_account(rig: MeetRig) -> None:
    """A service account asks for just this permission, in the name of its subject."""
    rig.hold(*SAID)
    key = rig.folder / "service.json"
    info = rig.stage.service_account_info(
        "bot@x.test", f"{rig.base_url}/token", subjects=[ANNA]
    )
    key.write_text(json.dumps(info))
    source = rig.meet(service_account=key, subject=ANNA)
    meeting, ended_at = rig.meeting(), rig.clock.now()
    rig.clock.advance(5 * MINUTE)
    found = await source.fetch(meeting, ended_at=ended_at)
    assert found is not None
    assert len(found.utterances) == 2
    await source.aclose()


def test_the_stage_by_hand(rig: MeetRig) -> None:
    """Filters, single resources and refusals, as another's client would see them."""
    rig.hold(*SAID)
    rig.clock.advance(5 * MINUTE)
    form = rig.stage.authorized_user_info(ANNA, "", (SCOPE,)) | {"grant_type": "refresh_token"}
    with httpx.Client(base_url=rig.base_url) as web:
        token = web.post("/token", data=form).json()["access_token"]
        web.headers["authorization"] = f"Bearer {token}"

        def listed(wanted: str) -> int:
            answer = web.get("/v2/conferenceRecords", params={"filter": wanted}).json()
            return len(answer.get("conferenceRecords", []))

        assert listed("") == 1
        assert listed(f'space.meeting_code = "{CODE}"') == 1
        assert listed('space.meeting_code="zzz-zzzz-zzz"') == 0
        assert listed(f'start_time>="{NOW.isoformat()}" AND end_time IS NULL') == 0
        assert listed(f'start_time<"{NOW.isoformat()}"') == 0
        [record] = web.get("/v2/conferenceRecords").json()["conferenceRecords"]
        [transcript] = web.get(f"/v2/{record['name']}/transcripts").json()["transcripts"]
        entries = web.get(f"/v2/{transcript['name']}/entries").json()["transcriptEntries"]
        for each in (record, transcript, *entries):
            assert web.get(f"/v2/{each['name']}").json() == each
        for path, status in {
            "/v2/conferenceRecords?filter=nonsense": 400,
            "/v2/conferenceRecords?pageToken=x": 400,
            "/v2/conferenceRecords?pageSize=many": 400,
            "/v2/conferenceRecords/nobody": 404,
            "/v2/conferenceRecords/nobody/transcripts": 404,
            "/v2/nothing": 404,
        }.items():
            assert web.get(path).status_code == status, path
        rig.clock.advance(timedelta(days=31))
        token = web.post("/token", data=form).json()["access_token"]
        web.headers["authorization"] = f"Bearer {token}"
        assert web.get(f"/v2/{record['name']}").status_code == 404
        web.headers["authorization"] = "Bearer nobody"
        assert web.get("/v2/conferenceRecords").json()["error"]["status"] == "UNAUTHENTICATED"
