"""The stage's PikaStream before witnesses: clients that others wrote, and that run unchanged.

OpenAI's own client draws on it, in every run. PikaStream's public client (Pika-Labs/Pika-Skills,
`pikastream-video-meeting/scripts/pikastreaming_videomeeting.py`, Apache-2.0) is nobody's to
copy into here: where LOCUM_PUBLIC_PIKA_CLIENT names a copy, each of its commands is run.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from locum.rehearsal.face import face_png
from locum.rehearsal.faults import Fault
from locum.rehearsal.pikastream import PikaSettings, PikaStage, pikastream_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served
from tests.contract.sounds import tone_wav

if TYPE_CHECKING:
    import openai  # Takes a second to import: only where it is used.

KEY = "dk_rehearsal"
ROOM = "abc-defg-hij"
CLIENT = os.environ.get("LOCUM_PUBLIC_PIKA_CLIENT", "")

public_client = pytest.mark.skipif(
    not CLIENT, reason="LOCUM_PUBLIC_PIKA_CLIENT names no copy of PikaStream's public client"
)


def now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Witnessed:
    """A served stage in real time, and a folder for what a client leaves behind."""

    stage: PikaStage
    base_url: str
    folder: Path
    image: Path = field(init=False)

    def __post_init__(self) -> None:
        self.image = self.folder / "face.png"
        self.image.write_bytes(face_png())

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "PIKA_API_BASE_URL": self.base_url,
            "PIKA_VIDEO_API_BASE_URL": self.base_url,
            "PIKA_DEV_KEY": KEY,
        }

    def begin(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, CLIENT, *map(str, arguments)],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
        """Answer the exit code, what stood on stdout line by line, and stderr."""
        begun = self.begin(*arguments)
        try:
            said, complained = begun.communicate(timeout=60)
        except BaseException:
            begun.kill()
            raise
        return begun.returncode, [json.loads(line) for line in said.splitlines()], complained

    def joining(self, *more: str | Path) -> tuple[str | Path, ...]:
        address = f"https://meet.google.com/{ROOM}"
        who = ("--bot-name", "Robin", "--image", self.image)
        return ("join", "--meet-url", address, *who, *more)


@pytest.fixture
def witnessed(tmp_path: Path) -> Iterator[Witnessed]:
    stage = PikaStage(
        now=now,
        rooms=Rooms(now=now),
        settings=PikaSettings(ready_after=timedelta(seconds=0.5)),
    )
    with served(pikastream_app(stage)) as server:
        yield Witnessed(stage, server.base_url, tmp_path)


# ── OpenAI's ─────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def drawing_client(witnessed: Witnessed, **headers: str) -> Iterator[openai.OpenAI]:
    """Answer OpenAI's client, told nothing but what PikaStream's proxy wants of headers."""
    import openai

    wanted = {
        "Authorization": f"DevKey {KEY}",
        "X-Generation-Type": "image",
        "X-Model": "gpt-image-1-mini",
        **headers,
    }
    with openai.OpenAI(
        api_key="unused",
        base_url=f"{witnessed.base_url}/proxy/openai/v1",
        default_headers=wanted,
        max_retries=1,
    ) as client:
        yield client


def draw(client: openai.OpenAI, **changes: Any) -> openai.types.ImagesResponse:
    from openai.types import ImagesResponse

    wanted: dict[str, Any] = {
        "model": "gpt-image-1-mini",
        "prompt": "a friendly robin",
        "size": "1024x1024",
        "quality": "medium",
        "output_format": "png",
        "n": 1,
    }
    response = client.images.generate(**{**wanted, **changes})
    assert isinstance(response, ImagesResponse)
    return response


def test_openais_client_draws(witnessed: Witnessed) -> None:
    """Its own reader finds the picture, and when it was made."""
    with drawing_client(witnessed) as client:
        found = draw(client)
    assert found.data is not None
    [image] = found.data
    assert image.b64_json is not None
    assert base64.b64decode(image.b64_json).startswith(b"\x89PNG\r\n\x1a\n")
    assert abs(found.created - now().timestamp()) < 120


def test_openais_client_gets_an_address(witnessed: Witnessed) -> None:
    """The other shape, read by the same reader."""
    witnessed.stage.configure(image_as_url=True)
    with drawing_client(witnessed) as client:
        found = draw(client)
    assert found.data is not None
    assert found.data[0].url is not None
    assert httpx.get(found.data[0].url).content.startswith(b"\x89PNG")


def test_openais_client_understands_every_refusal(witnessed: Witnessed) -> None:
    """A bad parameter by name, a bad key, a call for payment; and what passes is tried again."""
    import openai

    with drawing_client(witnessed) as client:
        with pytest.raises(openai.BadRequestError) as bad:
            draw(client, size="1536x1024")
        assert (bad.value.param, bad.value.type) == ("size", "invalid_request_error")
        witnessed.stage.faults.add(Fault(path="/images/", status=402, body={"error": "pay"}))
        with pytest.raises(openai.APIStatusError) as unpaid:
            draw(client)
        assert unpaid.value.status_code == 402
        witnessed.stage.faults.add(
            Fault(path="/images/", status=429, headers={"Retry-After": "0"})
        )
        assert draw(client).data
    with (
        drawing_client(witnessed, Authorization="DevKey dk_other") as other,
        pytest.raises(openai.AuthenticationError),
    ):
        draw(other)


# ── PikaStream's own ─────────────────────────────────────────────────────────────────────


@public_client
def test_the_public_client_joins_and_leaves(witnessed: Witnessed) -> None:
    """Funded, created, ready; then out of the room, and billed one minute."""
    prompt = witnessed.folder / "prompt.txt"
    prompt.write_text("You are Robin. ☂", "utf-8")
    code, said, complained = witnessed.run(
        *witnessed.joining("--system-prompt-file", prompt, "--meeting-password", "x")
    )
    assert (code, said[0]["status"], said[-1]["status"]) == (0, "funded", "ready"), complained
    assert [visit.name for visit in witnessed.stage.rooms.present(ROOM)] == ["Robin"]
    [session] = witnessed.stage.live_sessions()
    assert session.request.system_prompt == "You are Robin. ☂"
    code, [left], complained = witnessed.run("leave", "--session-id", session.id)
    assert (code, left["closed"]) == (0, True), complained
    assert witnessed.stage.live_sessions() == ()
    assert witnessed.stage.rooms.present(ROOM) == ()
    assert witnessed.stage.bills[0].minutes == 1


@public_client
@pytest.mark.parametrize("as_url", [False, True])
def test_the_public_client_generates_an_avatar(witnessed: Witnessed, as_url: bool) -> None:  # noqa: FBT001 - A parameter of the test.
    """Saved as a file, whichever way the picture comes; and it can go to a meeting with it."""
    witnessed.stage.configure(image_as_url=as_url)
    face = witnessed.folder / "made" / "avatar.png"
    code, [said], complained = witnessed.run("generate-avatar", "--output", face)
    assert (code, said["size_bytes"]) == (0, face.stat().st_size), complained
    assert face.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    witnessed.image = face
    assert witnessed.run(*witnessed.joining())[0] == 0


@public_client
def test_the_public_client_clones_a_voice(witnessed: Witnessed) -> None:
    """Uploaded, cloned, and joined with; one too short, and one that isn't there, are refused."""
    sample = witnessed.folder / "me.wav"
    sample.write_bytes(tone_wav(12))
    code, [said], complained = witnessed.run(
        "clone-voice", "--audio", sample, "--name", "alex", "--noise-reduction"
    )
    assert code == 0, complained
    [voice] = witnessed.stage.voices
    assert (voice.voice_id, voice.noise_reduction) == (said["voice_id"], True)
    assert witnessed.run(*witnessed.joining("--voice-id", voice.voice_id))[0] == 0
    assert witnessed.run(*witnessed.joining("--voice-id", "voice_nobody_1"))[0] == 3
    sample.write_bytes(tone_wav(5))
    code, _, complained = witnessed.run("clone-voice", "--audio", sample, "--name", "alex")
    assert (code, "voice duration too short" in complained) == (3, True)


@public_client
def test_the_public_client_is_shown_where_to_pay(witnessed: Witnessed) -> None:
    """Too little left: it tells the checkout's link, waits, and joins once that is paid."""
    witnessed.stage.configure(balance=Decimal(50))
    joining = witnessed.begin(*witnessed.joining())
    try:
        assert joining.stdout is not None
        asked = json.loads(joining.stdout.readline())
        assert (asked["status"], asked["balance"]) == ("needs_topup", 50)
        assert asked["checkout_url"].startswith(f"{witnessed.base_url}/checkout/")
        assert witnessed.stage.sessions() == ()
        assert httpx.get(asked["checkout_url"]).status_code == 200
        said, complained = joining.communicate(timeout=60)
    finally:
        joining.kill()
    assert joining.returncode == 0, complained
    assert json.loads(said.splitlines()[0]) == {
        "status": "funded",
        "balance": 50 + asked["credits"],
    }
    assert len(witnessed.stage.live_sessions()) == 1


@public_client
def test_the_public_client_sees_what_goes_wrong(witnessed: Witnessed) -> None:
    """A session's error, a refusal and a timeout come out as its own exit codes."""
    witnessed.stage.configure(session_error="worker crashed")
    code, _, complained = witnessed.run(*witnessed.joining())
    assert (code, "worker crashed" in complained) == (4, True)
    witnessed.stage.configure(session_error=None, never_ready=True)
    assert witnessed.run(*witnessed.joining("--timeout-sec", "1"))[0] == 5
    witnessed.stage.faults.add(Fault(path="/developer/balance", status=503))
    assert witnessed.run(*witnessed.joining())[0] == 6
    assert witnessed.run("leave", "--session-id", "sess_never")[0] == 3
