"""The stage's PikaStream, where it makes faces and voices: what it takes, and what it refuses."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from locum.rehearsal.clock import HandClock
from locum.rehearsal.face import face_png
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastate import STOCK_VOICE, ProductShape
from locum.rehearsal.pikastream import PikaStage, pikastream_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served
from tests.contract.sounds import tone_wav

START = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)
IMAGES = "/proxy/openai/v1/images/generations"
UPLOAD = "/proxy/minimax/v1/files/upload"
CLONE = "/proxy/minimax/v1/voice_clone"
CREATE = "/proxy/realtime/meeting-session"
VOICE = "voice_alex_20261123090000"
DRAWING = {
    "model": "gpt-image-1-mini",
    "prompt": "a face",
    "size": "1024x1024",
    "n": 1,
    "quality": "medium",
    "output_format": "png",
}
DRAWING_HEADERS = {"X-Generation-Type": "image", "X-Model": "gpt-image-1-mini"}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class World:
    clock: HandClock
    stage: PikaStage
    http: httpx.Client

    def draw(self, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
        wanted = {
            key: value for key, value in {**DRAWING, **changes}.items() if value is not None
        }
        return self.http.post(
            IMAGES, json=wanted, headers=DRAWING_HEADERS if headers is None else headers
        )

    def upload(self, sound: bytes, purpose: str = "voice_clone") -> dict[str, Any]:
        answer = self.http.post(
            UPLOAD, data={"purpose": purpose}, files={"file": ("me.wav", sound)}
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert isinstance(body, dict)
        return body

    def clone(self, **changes: Any) -> httpx.Response:
        wanted = {
            "voice_id": VOICE,
            "model": "speech-2.8-hd",
            "need_noise_reduction": True,
            "need_volume_normalization": True,
            **changes,
        }
        return self.http.post(
            CLONE, json={key: value for key, value in wanted.items() if value is not None}
        )

    def join(self, voice_id: str) -> httpx.Response:
        form = {
            "voice_id": voice_id,
            "meet_url": "https://meet.google.com/abc-defg-hij",
            "bot_name": "Robin (AI stand-in for Alex)",
            "platform": "google_meet",
        }
        return self.http.post(CREATE, data=form, files={"image": ("face.png", face_png())})


class _Theatre:
    """One server for all tests: starting and stopping one is most of a test's time."""

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
    stage = PikaStage(now=clock.now, rooms=Rooms(now=clock.now))
    theatre[0].playing = pikastream_app(stage)
    theatre[1].headers["Authorization"] = "DevKey dk_rehearsal"
    return World(clock, stage, theatre[1])


def code_of(answer: httpx.Response) -> int:
    """Answer what `base_resp` says; MiniMax says it in a 200."""
    assert answer.status_code == 200, answer.text
    code = answer.json()["base_resp"]["status_code"]
    assert isinstance(code, int)
    return code


# ── faces ────────────────────────────────────────────────────────────────────────────────


def test_an_image_is_drawn_from_its_prompt(world: World) -> None:
    """OpenAI's shape, with a real PNG of the size asked for; another prompt, another picture."""
    answers = [world.draw(prompt=prompt).json() for prompt in ("a face", "a face", "a robin")]
    assert set(answers[0]) == {"created", "data"}
    images = [base64.b64decode(answer["data"][0]["b64_json"]) for answer in answers]
    header = (b"\x89PNG\r\n\x1a\n", b"IHDR", 1024, 1024)
    assert struct.unpack_from(">8s4x4sII", images[0]) == header
    assert images[0] == images[1] != images[2]


def test_an_image_can_be_answered_by_its_address(world: World) -> None:
    """The other of OpenAI's two shapes; the address needs no key."""
    inline = base64.b64decode(world.draw().json()["data"][0]["b64_json"])
    world.stage.configure(image_as_url=True)
    [found] = world.draw().json()["data"]
    assert set(found) == {"url"}
    del world.http.headers["Authorization"]
    assert world.http.get(found["url"]).content == inline


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"model": None}, "model"),
        ({"model": "dall-e-9"}, "model"),
        ({"size": "64x64"}, "size"),
        ({"n": 2}, "n"),
        ({"quality": "hd"}, "quality"),
        ({"output_format": "webp"}, "output_format"),
    ],
)
def test_a_bad_drawing_is_refused_as_openai_does(
    world: World, change: dict[str, Any], parameter: str
) -> None:
    """An error object that names the parameter."""
    answer = world.draw(**change)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["type"]) == (parameter, "invalid_request_error")


@pytest.mark.parametrize("header", ["X-Generation-Type", "X-Model"])
def test_a_drawing_wants_its_headers(world: World, header: str) -> None:
    """Both are documented; one that is missing or wrong is named."""
    for headers in (
        {key: value for key, value in DRAWING_HEADERS.items() if key != header},
        {**DRAWING_HEADERS, header: "video"},
    ):
        answer = world.draw(headers)
        assert answer.status_code == 400
        assert header in answer.json()["detail"]


@pytest.mark.parametrize("path", [IMAGES, CLONE, "/developer/topup"])
def test_json_must_be_said_to_be_json(world: World, path: str) -> None:
    """Without the content type, a body is refused however good it is."""
    answer = world.http.post(path, content=json.dumps(DRAWING), headers=DRAWING_HEADERS)
    assert answer.status_code == 422
    assert "Content-Type" in answer.json()["detail"]


# ── voices ───────────────────────────────────────────────────────────────────────────────


def test_a_voice_is_cloned_and_kept_for_a_week_from_its_last_use(world: World) -> None:
    """Upload, clone, join with it; after seven days without use it is as if it never was."""
    upload = world.upload(tone_wav(12))
    assert upload["base_resp"] == {"status_code": 0, "status_msg": "success"}
    file_id = upload["file"]["file_id"]
    assert isinstance(file_id, int)
    cloned = world.clone(file_id=file_id)
    assert cloned.json() == {"base_resp": {"status_code": 0, "status_msg": "success"}}
    [voice] = world.http.get("/_stage/state").json()["voices"]
    assert (voice["voice_id"], voice["noise_reduction"]) == (VOICE, True)
    for _ in range(2):
        world.clock.advance(7 * DAY - timedelta(seconds=1))
        joined = world.join(VOICE)
        assert joined.status_code == 200
        world.http.delete(f"/proxy/realtime/session/{joined.json()['session_id']}")
    world.clock.advance(7 * DAY)
    gone, never = world.join(VOICE), world.join("voice_nobody_1")
    assert gone.status_code == never.status_code == 400
    assert gone.json()["detail"] == f"unknown voice_id {VOICE!r}"
    assert world.stage.voices == ()


def test_a_join_that_is_refused_uses_no_voice(world: World) -> None:
    """Only a session that began keeps a voice alive."""
    world.clone(file_id=world.upload(tone_wav(12))["file"]["file_id"])
    world.clock.advance(6 * DAY)
    world.stage.configure(balance=Decimal(0))
    assert world.join(VOICE).status_code == 402
    world.clock.advance(DAY)
    world.stage.configure(balance=Decimal(1000))
    assert world.join(VOICE).status_code == 400


def test_a_name_is_free_again_when_its_voice_is_gone(world: World) -> None:
    """A living voice's name is taken, a stock one's always; a sample serves more than once."""
    file_id = world.upload(tone_wav(12))["file"]["file_id"]
    assert code_of(world.clone(file_id=file_id)) == 0
    assert code_of(world.clone(file_id=file_id)) == 2039
    assert code_of(world.clone(file_id=file_id, voice_id=STOCK_VOICE)) == 2039
    world.clock.advance(7 * DAY)
    assert code_of(world.clone(file_id=file_id)) == 0


@pytest.mark.parametrize(
    ("seconds", "code"), [(9.9, 2037), (10, 0), (300, 0), (300.1, 2037), (0, 2037)]
)
def test_a_sample_lasts_ten_seconds_to_five_minutes(
    world: World, seconds: float, code: int
) -> None:
    """Measured by the sound that came, both ends included."""
    assert world.upload(tone_wav(seconds))["base_resp"]["status_code"] == code


def test_a_header_that_lies_about_its_length_helps_nobody(world: World) -> None:
    """Five seconds that say they were a minute are five seconds."""
    sound = bytearray(tone_wav(5))
    sound[40:44] = struct.pack("<I", 60 * 16_000)
    assert world.upload(bytes(sound))["base_resp"]["status_code"] == 2037


@pytest.mark.parametrize(
    ("sound", "code"),
    [
        (b"ID3\x04" + b"\0" * 2000, 0),
        (b"\xff\xfb\x90\x64" + b"\0" * 2000, 0),
        (b"\0\0\0\x20ftypM4A " + b"\0" * 2000, 0),
        (b"OggS" + b"\0" * 2000, 2013),
        (b"RIFF\x24\0\0\0WAVE", 2013),
        (b"", 2013),
    ],
    ids=["mp3 with a tag", "mp3", "m4a", "ogg", "wav cut short", "nothing"],
)
def test_a_sample_is_mp3_m4a_or_wav(world: World, sound: bytes, code: int) -> None:
    """What goes as it is; anything else is told from its first bytes."""
    assert world.upload(sound)["base_resp"]["status_code"] == code


def test_a_sample_has_its_purpose_and_its_limit(world: World) -> None:
    """A purpose of `voice_clone`, a file, and 20 MB at most."""
    assert world.upload(tone_wav(12), purpose="retrieval")["base_resp"]["status_code"] == 2013
    missing = world.http.post(UPLOAD, data={"purpose": "voice_clone"}, files={"x": b""})
    assert missing.status_code == 422
    huge = world.http.post(
        UPLOAD, data={"purpose": "voice_clone"}, files={"file": b"ID3" + b"\0" * (20 << 20)}
    )
    assert huge.status_code == 413


@pytest.mark.parametrize(
    "change",
    [
        {"file_id": "310000000000001"},
        {"file_id": 1},
        {"voice_id": "1 bad id"},
        {"voice_id": "short"},
        {"voice_id": "voice_alex_"},
        {"model": "speech-01"},
        {"need_noise_reduction": "yes"},
    ],
)
def test_a_bad_clone_is_refused_in_base_resp(world: World, change: dict[str, Any]) -> None:
    """MiniMax answers 200 and says no in `base_resp`."""
    file_id = world.upload(tone_wav(12))["file"]["file_id"]
    assert code_of(world.clone(**{"file_id": file_id, **change})) == 2013
    assert world.stage.voices == ()


@pytest.mark.parametrize("name", ["file_id", "voice_id", "model"])
def test_a_clone_wants_its_fields(world: World, name: str) -> None:
    """What is missing is named."""
    answer = world.clone(**{"file_id": 1, name: None})
    assert answer.status_code == 422
    assert name in answer.text


@pytest.mark.parametrize("path", [IMAGES, UPLOAD, CLONE, "/developer/topup/products"])
def test_faults_reach_each_call(world: World, path: str) -> None:
    """A rehearsal can break any call by its path."""
    world.stage.faults.add(Fault(path=path, status=503))
    method = "GET" if path.endswith("products") else "POST"
    assert world.http.request(method, path).status_code == 503
    assert world.http.request(method, path).status_code != 503


def test_products_come_in_both_shapes(world: World) -> None:
    """Two versions of the public client read one each."""
    camel = world.http.get("/developer/topup/products").json()["data"]["products"]
    world.stage.configure(product_shape=ProductShape.SNAKE)
    snake = world.http.get("/developer/topup/products").json()["data"]["products"]
    assert [set(each) for each in (camel[0], snake[0])] == [
        {"productId", "name", "numCredits"},
        {"product_id", "title", "num_credits"},
    ]
    assert [list(one.values()) for one in camel] == [list(one.values()) for one in snake]
