"""The stage's PikaStream, called over plain HTTP in the order that its public client uses."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from math import ceil
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from locum.rehearsal.clock import HandClock
from locum.rehearsal.face import face_png
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastate import BalanceShape, SessionRequest
from locum.rehearsal.pikastream import (
    Hostile,
    PikaSettings,
    PikaStage,
    RefusalError,
    pikastream_app,
)
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served

START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)
ROOM = "abc-defg-hij"
SESSION = "/proxy/realtime/session"
CREATE = "/proxy/realtime/meeting-session"
KEY = {"Authorization": "DevKey dk_rehearsal", "X-Skill-Name": "locum"}


@dataclass(frozen=True)
class World:
    """A served account with its clock, its rooms and a client that has the key."""

    clock: HandClock
    rooms: Rooms
    stage: PikaStage
    http: httpx.Client

    def wait(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def create(self, **fields: str | None) -> str:
        answer = self.post(**fields)
        assert answer.status_code == 200, answer.text
        session_id = answer.json()["session_id"]
        assert isinstance(session_id, str)
        return session_id

    def post(self, image: bytes | None = None, /, **fields: str | None) -> httpx.Response:
        form = {
            "voice_id": "English_radiant_girl",
            "meet_url": f"https://meet.google.com/{ROOM}",
            "bot_name": "Robin (AI stand-in for Alex)",
            "platform": "google_meet",
            **fields,
        }
        sent = {name: value for name, value in form.items() if value is not None}
        picture = face_png() if image is None else image
        return self.http.post(CREATE, data=sent, files={"image": ("face.png", picture)})

    def show(self, session_id: str) -> dict[str, Any]:
        answer = self.http.get(f"{SESSION}/{session_id}")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert isinstance(body, dict)
        return body

    def delete(self, session_id: str) -> httpx.Response:
        return self.http.delete(f"{SESSION}/{session_id}")


class _Theatre:
    """One server for all tests; each puts on its own application."""

    def __init__(self) -> None:
        self.playing: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.playing is not None
        await self.playing(scope, receive, send)


@pytest.fixture(scope="module")
def theatre() -> Iterator[tuple[_Theatre, httpx.Client]]:
    theatre = _Theatre()
    with (
        served(theatre) as server,
        httpx.Client(base_url=server.base_url, timeout=10) as http,
    ):
        yield theatre, http


@pytest.fixture
def world(theatre: tuple[_Theatre, httpx.Client]) -> World:
    clock = HandClock(START)
    rooms = Rooms(now=clock.now)
    stage = PikaStage(now=clock.now, rooms=rooms)
    theatre[0].playing = pikastream_app(stage)
    theatre[1].headers.update(KEY)
    return World(clock, rooms, stage, theatre[1])


# ── the documented order ─────────────────────────────────────────────────────────────────


def test_the_documented_order_joins_and_leaves(world: World) -> None:
    """Balance, POST, polls until ready, DELETE: each answer has exactly the documented keys."""
    assert world.http.get("/developer/balance").json() == {"data": {"balance": 10_000}}
    answer = world.post(system_prompt="You are Robin.", meeting_password="x")
    assert list(answer.json()) == ["session_id"]
    session_id = answer.json()["session_id"]
    starting = {
        "status": "starting",
        "video_worker_connected": False,
        "meeting_bot_connected": False,
        "error_message": None,
    }
    assert world.show(session_id) == starting
    world.wait(2)
    assert world.show(session_id) == {**starting, "video_worker_connected": True}
    assert world.rooms.present(ROOM) == ()
    world.wait(2)
    assert world.show(session_id) == {
        "status": "ready",
        "video_worker_connected": True,
        "meeting_bot_connected": True,
        "error_message": None,
    }
    assert [visit.name for visit in world.rooms.present(ROOM)] == [
        "Robin (AI stand-in for Alex)"
    ]
    world.wait(100)
    assert world.delete(session_id).status_code == 200
    assert world.show(session_id) == {**starting, "status": "closed"}
    assert world.rooms.present(ROOM) == ()
    (bill,) = world.stage.bills
    assert (bill.minutes, bill.credits) == (2, Decimal(55))
    assert world.stage.sessions()[0].request.system_prompt == "You are Robin."


def test_the_balance_comes_in_both_shapes(world: World) -> None:
    """The public client reads two shapes; the stage can answer either."""
    world.stage.configure(balance_shape=BalanceShape.FLAT, balance=Decimal("99.5"))
    assert world.http.get("/developer/balance").json() == {"balance": 99}


def test_the_video_flag_has_its_other_name(world: World) -> None:
    """`video_connected` is the flag's other documented name."""
    world.stage.configure(short_video_flag=True)
    body = world.show(world.create())
    assert "video_connected" in body
    assert "video_worker_connected" not in body


def test_a_topup_is_paid_once_by_visiting_its_link(world: World) -> None:
    """The link works without a key, adds the product's credits, and only the first time."""
    products = world.http.get("/developer/topup/products").json()["data"]["products"]
    assert set(products[0]) == {"productId", "name", "numCredits"}
    wanted = {"product_id": products[0]["productId"]}
    link = world.http.post("/developer/topup", json=wanted).json()["data"]["checkout_url"]
    assert world.stage.balance == 10_000
    del world.http.headers["Authorization"]
    assert [world.http.get(link).status_code for _ in range(2)] == [200, 200]
    assert world.stage.balance == 10_000 + products[0]["numCredits"]
    assert world.http.get("/checkout/nonsense").status_code == 404


def test_deleting_twice_is_fine_and_unknown_is_404(world: World) -> None:
    """DELETE is idempotent for what was there; anything else was never there."""
    session_id = world.create()
    assert [world.delete(session_id).status_code for _ in range(2)] == [200, 200]
    assert world.delete("sess_never").status_code == 404
    assert world.http.get(f"{SESSION}/sess_never").status_code == 404


def test_a_session_deleted_before_it_is_ready_never_enters(world: World) -> None:
    """The bot on its way is called back."""
    world.delete(world.create())
    world.wait(60)
    assert world.rooms.log() == ()


def test_two_posts_are_two_participants(world: World) -> None:
    """There is no idempotency key, so a blind repeat shows as a double join."""
    world.create()
    world.create()
    world.wait(5)
    assert len(world.rooms.present(ROOM)) == 2
    assert (world.stage.peak_live, world.stage.peak_in_room) == (2, 2)


def test_a_zoom_meeting_is_joined_by_its_number(world: World) -> None:
    """The second platform of the contract."""
    world.create(platform="zoom", meet_url="https://us02web.zoom.us/j/12345678901?pwd=a")
    world.wait(5)
    assert len(world.rooms.present("12345678901")) == 1


# ── refusals ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("header", [None, "", "DevKey dk_wrong", "Bearer dk_rehearsal"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/developer/balance"),
        ("GET", "/developer/topup/products"),
        ("POST", "/developer/topup"),
        ("POST", CREATE),
        ("GET", f"{SESSION}/x"),
        ("DELETE", f"{SESSION}/x"),
        ("POST", "/proxy/openai/v1/images/generations"),
        ("POST", "/proxy/minimax/v1/files/upload"),
        ("POST", "/proxy/minimax/v1/voice_clone"),
    ],
)
def test_every_call_wants_the_key(
    world: World, header: str | None, method: str, path: str
) -> None:
    """Without the very key, 401 on each documented call."""
    headers = {} if header is None else {"Authorization": header}
    del world.http.headers["Authorization"]
    answer = world.http.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert "key" in answer.json()["error"]


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"voice_id": None}, 422, "voice_id"),
        ({"voice_id": "no_such_voice"}, 400, "no_such_voice"),
        ({"meet_url": None}, 422, "meet_url"),
        ({"meet_url": "https://meet.google.com.evil.example/abc-defg-hij"}, 422, "meet_url"),
        ({"meet_url": "https://meet.google.com/abc"}, 422, "meet_url"),
        ({"meet_url": "http://meet.google.com/abc-defg-hij"}, 422, "meet_url"),
        ({"platform": "teams"}, 422, "platform"),
        ({"platform": "zoom"}, 422, "meet_url"),
        ({"bot_name": None}, 422, "bot_name"),
    ],
)
def test_a_bad_request_is_refused_and_costs_nothing(
    world: World, fields: dict[str, str | None], status: int, says: str
) -> None:
    """What is missing or malformed is named, and no session starts."""
    answer = world.post(**fields)
    assert (answer.status_code, says in json.dumps(answer.json())) == (status, True)
    assert world.stage.bills == ()


@pytest.mark.parametrize(
    "image",
    [
        b"",
        face_png()[:1024],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 99,
        b"\xff\xd8" * 999,
    ],
    ids=["empty", "small", "svg", "broken-jpeg"],
)
def test_a_bad_image_is_refused(world: World, image: bytes) -> None:
    """An avatar is over 1 KB and has a picture's header."""
    answer = world.post(image)
    assert answer.status_code == 400
    assert "image" in answer.json()["detail"]


def test_a_jpeg_is_taken(world: World) -> None:
    """A JPEG's size stands after its first segments."""
    app0 = b"\xff\xe0" + struct.pack(">H", 1202) + b"x" * 1200
    frame = b"\xff\xc0" + struct.pack(">HBHH", 17, 8, 64, 64) + b"\0" * 10
    assert world.post(b"\xff\xd8" + app0 + frame).status_code == 200


def test_a_post_without_an_image_is_refused(world: World) -> None:
    """The image is a required file, not a field."""
    answer = world.http.post(CREATE, data={"image": "face.png"})
    assert answer.status_code == 422


def test_too_few_credits_is_402(world: World) -> None:
    """Not even the first minute can be paid."""
    world.stage.configure(balance=Decimal(27))
    answer = world.post()
    assert (answer.status_code, answer.json()) == (402, {"error": "insufficient credits"})


def test_409_and_429_by_setting(world: World) -> None:
    """One session a room, or so many in all, where a test wants the service strict."""
    world.stage.configure(one_session_per_room=True, session_limit=2)
    world.create()
    assert world.post().status_code == 409
    world.create(meet_url="https://meet.google.com/xyz-xyzx-xyz")
    assert world.post(meet_url="https://meet.google.com/qqq-qqqq-qqq").status_code == 429


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"product_id": 7}', b"[" * 50_000])
def test_a_broken_json_body_is_refused(world: World, body: bytes) -> None:
    """Nothing that is sent brings a traceback."""
    assert world.http.post("/developer/topup", content=body).status_code == 422


def test_unknown_paths_and_methods_answer_json(world: World) -> None:
    """As the service's framework would."""
    assert world.http.get("/proxy/nope").json() == {"detail": "Not Found"}
    assert world.http.put("/developer/balance").status_code == 405


# ── how sessions end by themselves ───────────────────────────────────────────────────────


@pytest.mark.parametrize("act", [Rooms.remove_bots, Rooms.close])
def test_a_session_closes_with_its_bot(world: World, act: Callable[[Rooms, str], None]) -> None:
    """Removed, or the meeting ended for all: closed, and billed no further."""
    session_id = world.create()
    world.wait(90)
    act(world.rooms, ROOM)
    world.wait(3600)
    assert world.show(session_id)["status"] == "closed"
    (bill,) = world.stage.bills
    assert (bill.minutes, bill.ended) == (2, START + timedelta(seconds=90))


def test_a_meeting_that_was_ended_lets_no_bot_in(world: World) -> None:
    """The session fails, and says why, until a person opens the room again."""
    world.rooms.enter(ROOM, "Dana")
    world.rooms.close(ROOM, by="Dana")
    session_id = world.create()
    world.wait(5)
    assert world.show(session_id)["status"] == "error"
    assert "meeting ended" in world.show(session_id)["error_message"]
    world.rooms.enter(ROOM, "Dana")
    again = world.create()
    world.wait(5)
    assert world.show(again)["status"] == "ready"


def test_no_credits_left_closes_the_session_at_that_minute(world: World) -> None:
    """Three minutes are paid; at the fourth's beginning it ends, and the bot is out."""
    world.stage.configure(balance=Decimal(100))
    session_id = world.create()
    world.wait(3600)
    body = world.show(session_id)
    assert (body["status"], body["error_message"]) == ("closed", "insufficient credits")
    (bill,) = world.stage.bills
    assert (bill.minutes, bill.ended) == (3, START + timedelta(minutes=3))
    assert world.stage.balance == Decimal("17.5")
    assert world.rooms.visits(ROOM)[0].left_at == START + timedelta(minutes=3)


def test_the_last_credits_go_to_whose_minute_begins_first(world: World) -> None:
    """Two sessions half a minute apart share four minutes' credits fairly, in one late look."""
    world.stage.configure(balance=Decimal(110))
    world.create()
    world.wait(30)
    world.create()
    world.wait(3600)
    assert [(bill.minutes, bill.ended) for bill in world.stage.bills] == [
        (2, START + timedelta(seconds=120)),
        (2, START + timedelta(seconds=150)),
    ]


def test_notes_come_back_only_by_setting_and_at_the_end(world: World) -> None:
    """The documented service gives nothing back; a later one might."""
    world.stage.configure(give_back_notes="Ship on Friday.")
    session_id = world.create()
    world.wait(5)
    assert "notes" not in world.show(session_id)
    assert world.delete(session_id).json()["notes"] == "Ship on Friday."
    assert world.show(session_id)["notes"] == "Ship on Friday."


# ── faults ───────────────────────────────────────────────────────────────────────────────


def test_never_ready_is_billed_until_it_is_ended(world: World) -> None:
    """The orphan that the public client leaves behind on its timeout."""
    world.stage.configure(never_ready=True)
    session_id = world.create()
    world.wait(600)
    body = world.show(session_id)
    assert (body["status"], body["meeting_bot_connected"]) == ("starting", False)
    world.delete(session_id)
    assert world.stage.bills[0].minutes == 10


def test_ready_late(world: World) -> None:
    """Ready after two minutes, which is after the public client has given up."""
    world.stage.configure(ready_after=timedelta(seconds=120))
    session_id = world.create()
    world.wait(119)
    assert world.show(session_id)["status"] == "starting"
    world.wait(1)
    assert world.show(session_id)["status"] == "ready"


def test_a_session_error_ends_it_and_its_bill(world: World) -> None:
    """The error's text is the session's message; nothing is billed after it."""
    world.stage.configure(session_error="worker crashed")
    session_id = world.create()
    world.wait(600)
    body = world.show(session_id)
    assert (body["status"], body["error_message"]) == ("error", "worker crashed")
    assert world.stage.bills[0].minutes == 1
    assert world.stage.live_sessions() == ()


def test_the_lost_answer_of_a_post_leaves_a_session_running(world: World) -> None:
    """The connection dies, the session lives: nobody has its id, and the balance falls."""
    world.stage.faults.add(Fault(path="meeting-session", method="POST", after=True))
    with pytest.raises(httpx.TransportError):
        world.post()
    world.wait(60 * 5)
    assert len(world.stage.live_sessions()) == 1
    balance = world.http.get("/developer/balance").json()["data"]["balance"]
    assert balance == 10_000 - Decimal("27.5") * 5 - Decimal("0.5")


def test_a_post_dropped_before_it_arrives_starts_nothing(world: World) -> None:
    """To a client this looks like the lost answer; the balance tells them apart."""
    world.stage.faults.add(Fault(path="meeting-session", drop=True))
    with pytest.raises(httpx.TransportError):
        world.post()
    assert world.stage.bills == ()


@pytest.mark.parametrize("status", [402, 409, 500, 503])
def test_a_scripted_status_comes_once(world: World, status: int) -> None:
    """The middleware answers in the application's place, then lets the next one through."""
    world.stage.faults.add(Fault(path="meeting-session", status=status, body={"error": "x"}))
    assert world.post().status_code == status
    assert world.post().status_code == 200
    assert len(world.stage.bills) == 1


def test_delete_fails_as_often_as_set(world: World) -> None:
    """The session goes on, and costs, until a DELETE comes through."""
    world.stage.configure(failing_deletes=2)
    session_id = world.create()
    world.wait(5)
    assert [world.delete(session_id).status_code for _ in range(2)] == [500, 500]
    assert world.show(session_id)["status"] == "ready"
    world.wait(60)
    assert world.delete(session_id).status_code == 200
    assert world.stage.bills[0].minutes == 2


def test_hostile_answers(world: World) -> None:
    """An id that climbs, a balance that is no number, a status nobody knows, a foreign link."""
    good = world.create()
    world.stage.configure(hostile=frozenset(Hostile))
    assert world.post().json()["session_id"].startswith("../")
    assert world.http.get("/developer/balance").content == b'{"data": {"balance": NaN}}'
    assert world.show(good)["status"] == "hibernating"
    bought = world.http.post("/developer/topup", json={"product_id": "prod_team"}).json()
    assert httpx.URL(bought["data"]["checkout_url"]).host == "pika-art.example.net"
    assert len(world.stage.live_sessions()) == 2


def test_an_endless_body_never_ends(world: World) -> None:
    """More than a megabyte of blanks comes where a small object was expected."""
    world.stage.faults.add(Fault(path=SESSION, endless=True))
    got = 0
    with world.http.stream("GET", f"{SESSION}/x") as answer:
        for chunk in answer.iter_bytes():
            got += len(chunk)
            if got > 1_000_000:
                break
    assert got > 1_000_000


# ── control by other processes ───────────────────────────────────────────────────────────


def test_another_process_scripts_and_watches(world: World) -> None:
    """Faults, settings and rooms by HTTP; the state shows what is live, billed and asked."""
    session_id = world.create()
    world.wait(5)
    fault = {"path": "/developer/balance", "status": 503}
    assert world.http.post("/_stage/faults", json=fault).status_code == 200
    assert world.http.get("/developer/balance").status_code == 503
    assert world.http.post("/_stage/settings", json={"ready_after": 9}).status_code == 200
    assert world.stage.settings.ready_after == timedelta(seconds=9)
    state = world.http.get("/_stage/state").json()
    assert [one["id"] for one in state["live_sessions"]] == [session_id]
    assert state["bills"][0]["credits"] == 27.5
    assert state["balance"] == 9972.5
    assert [one["path"] for one in state["requests"]] == [CREATE, "/developer/balance"]
    closing = {"kind": "close", "room": ROOM, "name": "Dana"}
    assert world.http.post("/_stage/rooms", json=closing).status_code == 200
    assert world.http.get("/_stage/state").json()["live_sessions"] == []


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("settings", {"balanse": 1}, "balanse"),
        ("settings", {"balance": -1}, "negative"),
        ("settings", {"credits_per_minute": "lots"}, "credits_per_minute"),
        ("rooms", {"kind": "explode", "room": ROOM}, "explode"),
        ("rooms", {"kind": "close"}, "room"),
    ],
)
def test_a_bad_script_is_refused(
    world: World, path: str, body: dict[str, Any], says: str
) -> None:
    """A typing error in a rehearsal is said, not swallowed."""
    answer = world.http.post(f"/_stage/{path}", json=body)
    assert answer.status_code == 422
    assert says in answer.text


def test_configure_refuses_what_it_does_not_know(world: World) -> None:
    """In the same process too."""
    with pytest.raises(TypeError, match="no setting 'balanse'"):
        world.stage.configure(balanse=1)


# ── the ledger's arithmetic ──────────────────────────────────────────────────────────────

_seconds = st.integers(0, 1200)


def _asked(room: str = ROOM) -> SessionRequest:
    url = f"https://meet.google.com/{room}"
    return SessionRequest(room, url, "google_meet", "Robin", "English_radiant_girl", 2048)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(
    stays=st.lists(st.tuples(_seconds, _seconds), min_size=1, max_size=5),
    looks=st.lists(st.integers(0, 2400), max_size=8),
)
def test_bills_are_started_minutes_whenever_one_looks(
    stays: list[tuple[int, int]], looks: list[int]
) -> None:
    """Each session costs the ceiling of its minutes, at least one, and the balance is the rest."""
    clock = HandClock(START)
    stage = PikaStage(now=clock.now, rooms=Rooms(now=clock.now))
    ids: dict[int, str] = {}
    steps = [(begin, 0, index) for index, (begin, _) in enumerate(stays)]
    steps += [(begin + length, 1, index) for index, (begin, length) in enumerate(stays)]
    steps += [(at, 2, 0) for at in looks]
    for at, kind, index in sorted(steps):
        clock.advance(START + timedelta(seconds=at) - clock.now())
        if kind == 0:
            ids[index] = stage.create(_asked()).id
        elif kind == 1:
            stage.end(ids[index])
        else:
            assert stage.balance == 10_000 - sum(bill.credits for bill in stage.bills)
    minutes = {bill.session_id: bill.minutes for bill in stage.bills}
    assert minutes == {
        ids[index]: max(1, ceil(length / 60)) for index, (_, length) in enumerate(stays)
    }
    assert stage.balance == 10_000 - Decimal("27.5") * sum(minutes.values())


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(
    balance=st.integers(0, 400),
    begins=st.lists(_seconds, min_size=1, max_size=5),
    looks=st.lists(st.integers(0, 4000), min_size=1, max_size=8),
)
def test_the_balance_is_never_negative(
    balance: int, begins: list[int], looks: list[int]
) -> None:
    """However many sessions compete for it; and when it is gone, nothing is left running."""
    clock = HandClock(START)
    stage = PikaStage(
        now=clock.now,
        rooms=Rooms(now=clock.now),
        settings=PikaSettings(balance=Decimal(balance)),
    )
    for at, begin in sorted([(at, True) for at in begins] + [(at, False) for at in looks]):
        clock.advance(START + timedelta(seconds=at) - clock.now())
        if begin and stage.balance >= Decimal("27.5"):
            stage.create(_asked())
        elif begin:
            with pytest.raises(RefusalError, match="402"):
                stage.create(_asked())
        assert stage.balance >= 0
        assert stage.balance == balance - sum(bill.credits for bill in stage.bills)
    clock.advance(timedelta(hours=3))
    assert stage.live_sessions() == ()
    assert 0 <= stage.balance < Decimal("27.5")


def test_many_threads_create_and_end_at_once(world: World) -> None:
    """Sessions from many threads are all billed once, and none is left."""
    barrier = threading.Barrier(8)

    def attend(number: int) -> None:
        barrier.wait()
        for turn in range(10):
            room = f"abc-{chr(97 + number) * 4}-{chr(97 + turn) * 3}"
            session = stage.create(_asked(room))
            stage.session(session.id)
            stage.end(session.id)
            world.wait(1)

    stage = world.stage
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(attend, number) for number in range(8)]:
            done.result()
    assert stage.live_sessions() == ()
    assert len(stage.bills) == 80
    assert stage.balance == 10_000 - sum(bill.credits for bill in stage.bills)
    assert stage.peak_in_room == 1


def test_who_dies_in_the_middle_of_a_request_is_no_failure(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A daemon that is killed while it sends starts nothing, and no traceback is told."""
    head = f"POST {CREATE} HTTP/1.1\r\nHost: stage\r\nContent-Length: 100000\r\n"
    head += f"Authorization: {KEY['Authorization']}\r\n"
    head += "Content-Type: multipart/form-data; boundary=cut\r\n\r\n--cut\r\n"
    port = world.http.base_url.port
    assert port is not None
    address = (world.http.base_url.host, port)
    arrived = world.stage.log.count
    with caplog.at_level(logging.ERROR):
        with socket.create_connection(address) as caller:
            caller.sendall(head.encode())
            while world.stage.log.count == arrived:
                time.sleep(0.01)
        # The loop that serves has seen the end of the one before it answers the other.
        for _ in range(5):
            assert world.http.get("/developer/balance").status_code == 200
    assert [record.getMessage() for record in caplog.records] == []
    assert world.stage.sessions() == ()
