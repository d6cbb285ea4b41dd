"""Faces and voices from a PikaStream with state and faults: what is made, refused, and said."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.core.secret import Secret
from locum.engines.pikastream_answers import LARGEST_DRAWING
from locum.engines.pikastream_images import PikaStreamImages
from locum.engines.pikastream_voice import LARGEST_SAMPLE, PikaStreamVoices
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.rehearsal.face import face_png
from locum.rehearsal.faults import Fault
from tests.contract.sounds import tone_wav
from tests.integration.pikastream_rig import KEY, Rig, rigged, settings_for

IMAGES = "/proxy/openai/v1/images/generations"
UPLOAD = "/proxy/minimax/v1/files/upload"
CLONE = "/proxy/minimax/v1/voice_clone"
SAMPLE = tone_wav(12)


@dataclass
class Makers:
    rig: Rig
    images: PikaStreamImages
    voices: PikaStreamVoices

    def break_next(self, path: str, **how: Any) -> None:
        self.rig.stage.faults.add(Fault(path=path, **how))

    async def clone(self, **changes: Any) -> str:
        wanted = {"name": "alex", "noise_reduction": False, **changes}
        filename = wanted.pop("filename", "Me at home.wav")
        return await self.voices.clone(wanted.pop("sample", SAMPLE), filename, **wanted)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def makers(tmp_path: Path) -> AsyncIterator[Makers]:
    async with rigged(tmp_path) as rig:
        settings = settings_for(base_url=rig.base_url)
        made = Makers(
            rig, PikaStreamImages(settings), PikaStreamVoices(settings, clock=rig.clock)
        )
        try:
            yield made
        finally:
            await made.images.aclose()
            await made.voices.aclose()


def drawn(image: bytes) -> dict[str, Any]:
    return {"data": [{"b64_json": base64.b64encode(image).decode()}]}


# ── faces ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_face_is_drawn(makers: Makers) -> None:
    """The picture comes as a file; the stage, which is strict, was asked once."""
    image = await makers.images.generate("  A friendly robin.  ")
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert makers.rig.calls(IMAGES) == 1


@pytest.mark.anyio
async def test_an_address_is_shown_and_never_opened(makers: Makers) -> None:
    """Even one on the service's own host: nothing is fetched, and a person is told where it is."""
    makers.rig.stage.configure(image_as_url=True)
    with pytest.raises(PermanentError, match=f"{makers.rig.base_url}/images/") as caught:
        await makers.images.generate("a robin")
    assert "save it" in str(caught.value)
    assert makers.rig.calls("/images/") == makers.rig.calls(IMAGES) == 1


@pytest.mark.anyio
async def test_a_description_that_no_model_takes_is_not_sent(makers: Makers) -> None:
    """Nothing is asked of the service."""
    for text in ("", " \n", "x" * 32_001):
        with pytest.raises(PermanentError, match="A description has"):
            await makers.images.generate(text)
    assert makers.rig.stage.log.requests == []


HOSTILE_DRAWINGS: tuple[tuple[Any, str], ...] = (
    ({}, "data holds no picture"),
    ({"data": []}, "data holds no picture"),
    ({"data": {"b64_json": "x"}}, "data holds no picture"),
    ({"data": [7]}, "data holds no picture"),
    ({"data": [{}]}, "b64_json is None"),
    ({"data": [{"b64_json": 7}]}, "b64_json is 7"),
    ({"data": [{"b64_json": "%%%"}]}, "isn't base64"),
    (drawn(b"<svg/>"), "neither PNG nor JPEG"),
    (drawn(b"GIF89a"), "neither PNG nor JPEG"),
    ({"data": [{"url": "file:///etc/passwd"}]}, "not an https link"),
    ({"data": [{"url": "https://good.example@evil.example/x"}]}, "not an https link"),
    ({"data": [{"url": "https://x.example/\u202e"}]}, "no link does"),
    ({"data": [{"url": 7}]}, "url is 7"),
    ("[" * 50_000, "nested too deeply"),
    ("nonsense", "not JSON"),
)


@pytest.mark.anyio
async def test_a_hostile_drawing_is_refused(makers: Makers) -> None:
    """Whatever comes instead of a picture is named, briefly, and nothing follows from it."""
    for body, says in HOSTILE_DRAWINGS:
        makers.break_next(IMAGES, body=body)
        with pytest.raises(TransientError, match=says) as caught:
            await makers.images.generate("a robin")
        assert len(str(caught.value)) < 500
    assert makers.rig.calls("") == len(HOSTILE_DRAWINGS)


@pytest.mark.anyio
async def test_a_picture_beyond_all_measure_is_refused(makers: Makers) -> None:
    """One that decodes to too much, and an answer that never ends; the largest one passes."""
    start = face_png(64)
    largest = start + b"\0" * (LARGEST_DRAWING - len(start))
    makers.break_next(IMAGES, body=drawn(largest))
    assert await makers.images.generate("a robin") == largest
    makers.break_next(IMAGES, body=drawn(largest + b"\0" * 1024))
    with pytest.raises(TransientError, match="over 8388608 bytes"):
        await makers.images.generate("a robin")
    makers.break_next(IMAGES, endless=True)
    with pytest.raises(TransientError, match="the answer is over"):
        await makers.images.generate("a robin")


# ── voices ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_voice_is_cloned_and_can_join(makers: Makers) -> None:
    """Named by whose it is and the second in UTC; what was asked of it is what was made."""
    voice_id = await makers.clone(name="alex.work", noise_reduction=True)
    assert voice_id == "voice_alex-work_20261123090000"
    [voice] = makers.rig.stage.voices
    assert (voice.voice_id, voice.noise_reduction) == (voice_id, True)
    face = makers.rig.request().face
    session = await makers.rig.engine.join(
        makers.rig.request(face=replace(face, voice_id=voice_id))
    )
    assert session.handle


@pytest.mark.anyio
async def test_the_files_own_name_stays_here(makers: Makers) -> None:
    """It may say more than one wants to tell, and could end the header that it stands in."""
    sent: list[bytes] = []
    api = makers.voices._api
    upload = api.upload_sample

    async def seen(payload: Any, **more: Any) -> Any:
        sent.extend(payload.chunks)
        return await upload(payload, **more)

    api.upload_sample = seen  # type: ignore[method-assign]  # Looks on; the call goes through.
    await makers.clone(filename='Bo"\r\nX: y.wav')
    assert b"Bo" not in b"".join(sent)
    assert b'filename="sample.wav"' in sent[0]


@pytest.mark.anyio
async def test_what_no_service_takes_is_not_sent(makers: Makers) -> None:
    """A clear word, and no upload."""
    unusable: tuple[tuple[dict[str, Any], str], ...] = (
        ({"filename": "me.ogg"}, r"\.mp3, \.m4a or \.wav"),
        ({"filename": "wav"}, r"\.mp3, \.m4a or \.wav"),
        ({"sample": b""}, "more than none"),
        ({"sample": b"\0" * (LARGEST_SAMPLE + 1)}, "at most"),
        ({"name": ""}, "name has"),
        ({"name": "x" * 201}, "name has"),
    )
    for changes, says in unusable:
        with pytest.raises(PermanentError, match=says):
            await makers.clone(**changes)
    assert makers.rig.stage.log.requests == []


@pytest.mark.anyio
async def test_a_sample_of_the_wrong_length_is_refused_for_good(makers: Makers) -> None:
    """The service's own measure, with what it takes."""
    with pytest.raises(PermanentError, match=r"2037.*10 seconds to 5 minutes"):
        await makers.clone(sample=tone_wav(3))


@pytest.mark.anyio
async def test_two_clones_in_one_second_have_two_names(makers: Makers) -> None:
    """The second takes the next second's; a service that finds all taken ends it."""
    assert [await makers.clone() for _ in range(2)] == [
        "voice_alex_20261123090000",
        "voice_alex_20261123090001",
    ]
    before = makers.rig.calls(CLONE)
    taken = {"base_resp": {"status_code": 2039, "status_msg": "duplicate"}}
    makers.break_next(CLONE, times=None, body=taken)
    with pytest.raises(PermanentError, match="No name is free"):
        await makers.clone()
    assert makers.rig.calls(CLONE) == before + 5


OUTCOMES: tuple[tuple[Any, type[LocumError], str], ...] = (
    (
        {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
        TransientError,
        "rate",
    ),
    ({"base_resp": {"status_code": 2049, "status_msg": "key"}}, TransientError, "2049"),
    (
        {"base_resp": {"status_code": 1008, "status_msg": "x"}},
        HumanNeededError,
        "Top up at",
    ),
    ({"base_resp": {"status_code": 1026, "status_msg": None}}, PermanentError, "no reason"),
    ({"base_resp": {"status_code": 10**4000}}, PermanentError, "-1"),
    ({"base_resp": {"status_code": True}}, TransientError, "no base_resp.status_code"),
    ({"base_resp": 7}, TransientError, "no base_resp.status_code"),
    ({}, TransientError, "no base_resp.status_code"),
)


@pytest.mark.anyio
@pytest.mark.parametrize("path", [UPLOAD, CLONE])
async def test_what_minimax_says_in_a_200_counts(makers: Makers, path: str) -> None:
    """A 200 alone is no voice: its code decides whether to try again, pay, or give up."""
    for body, kind, says in OUTCOMES:
        makers.break_next(path, body=json.dumps(body))
        with pytest.raises(kind, match=says):
            await makers.clone()
    assert makers.rig.stage.voices == ()


@pytest.mark.anyio
async def test_a_hostile_file_id_goes_nowhere(makers: Makers) -> None:
    """It is handed back to the service, so it must be one that could be its own."""
    for file_id in (None, True, -1, 2**63, 1.5, "../x", "", {"a": 1}):
        body = {"file": {"file_id": file_id}, "base_resp": {"status_code": 0}}
        makers.break_next(UPLOAD, body=body)
        with pytest.raises(TransientError, match="file_id is"):
            await makers.clone()
    assert makers.rig.calls(CLONE) == 0


# ── what all of them share ───────────────────────────────────────────────────────────────


async def tried(makers: Makers, path: str) -> LocumError:
    with pytest.raises(LocumError) as caught:
        await (makers.images.generate("a robin") if path == IMAGES else makers.clone())
    return caught.value


FAILURES: tuple[tuple[dict[str, Any], type[LocumError]], ...] = (
    ({"status": 400, "body": {"error": {"message": "no"}}}, PermanentError),
    ({"status": 401}, HumanNeededError),
    ({"status": 404}, PermanentError),
    ({"status": 413}, PermanentError),
    ({"status": 302, "headers": {"Location": "https://evil.example/"}}, PermanentError),
    ({"status": 429}, TransientError),
    ({"status": 500}, TransientError),
    ({"status": 503}, TransientError),
    ({"drop": True}, TransientError),
    ({"after": True}, TransientError),
    ({"endless": True}, TransientError),
)


@pytest.mark.anyio
@pytest.mark.parametrize("path", [IMAGES, UPLOAD, CLONE])
async def test_failures_say_whether_to_try_again(makers: Makers, path: str) -> None:
    """One call, never repeated by itself, and the error that says what helps."""
    for number, (how, kind) in enumerate(FAILURES, start=1):
        makers.break_next(path, **how)
        error = await tried(makers, path)
        assert isinstance(error, kind), how
        assert makers.rig.calls(path) == number
        assert KEY not in repr(error)


@pytest.mark.anyio
@pytest.mark.parametrize("path", [IMAGES, UPLOAD, CLONE])
async def test_a_call_for_payment_comes_with_the_link(makers: Makers, path: str) -> None:
    """402 says where to pay; where no link is to be had, it still says to."""
    for _ in range(2):
        makers.break_next(path, status=402, body={"error": "insufficient credits"})
    error = await tried(makers, path)
    assert isinstance(error, HumanNeededError)
    assert f"{makers.rig.base_url}/checkout/" in error.hint
    makers.break_next("/developer/topup/products", status=500)
    assert "Top up the PikaStream account." in str(await tried(makers, path))


@pytest.mark.anyio
async def test_a_missing_key_and_a_silent_host_are_told_apart(makers: Makers) -> None:
    """The first needs a person, the second passes; neither hangs."""

    def no_key() -> Secret:
        raise HumanNeededError("There is no PikaStream key.", hint="Give it one.")

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        here = f"http://127.0.0.1:{silent.getsockname()[1]}"
        soon = timedelta(seconds=0.2)
        for settings, kind in (
            (settings_for(base_url=here, key=no_key), HumanNeededError),
            (settings_for(base_url=here, image_deadline=soon), TransientError),
        ):
            images = PikaStreamImages(settings)
            with pytest.raises(kind):
                await images.generate("a robin")
            await images.aclose()
