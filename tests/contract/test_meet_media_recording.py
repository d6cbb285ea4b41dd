"""A recording holds what the others saw and heard, whatever becomes of who made it."""

from __future__ import annotations

import asyncio
import shutil
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from locum.rehearsal.meet.media.room import MediaRoom
from tests.contract.meet_media_rig import Peer, Told, a_room, syllables, until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("meet_media")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def staged(anyio_backend: str) -> AsyncIterator[tuple[MediaRoom, Told]]:
    room, told = a_room()
    yield room, told
    await room.aclose()


def look(file: Path) -> dict[str, Any]:
    """A file's codecs, its length as its header has it, its pictures' light, its sound's level."""
    with av.open(str(file)) as opened:
        codecs = sorted(each.codec_context.name for each in opened.streams)
        length = None if opened.duration is None else opened.duration / 1e6
        light: list[float] = []
        sound: list[Any] = []
        frames: Any = opened.decode(*opened.streams)
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                light.append(float(frame.to_ndarray(format="gray").mean()))
            elif isinstance(frame, av.AudioFrame):
                sound.append(frame.to_ndarray().astype(np.float64).ravel())
    samples = np.concatenate(sound) if sound else np.zeros(1)
    return {
        "codecs": codecs,
        "length": length,
        "light": light,
        "sounds": len(samples) / 48_000,
        "rms": float(np.sqrt(np.mean(np.square(samples)))),
    }


async def test_picture_of_one_and_sound_of_all(
    staged: tuple[MediaRoom, Told], tmp_path: Path
) -> None:
    """WebM with VP8 as it came and one Opus track; as long as it lasted; not black, not silent."""
    room, _ = staged
    file = tmp_path / "seen.webm"
    peer = Peer(room, "ann")
    await peer.join()
    ben = await room.add_person("ben")
    performing = asyncio.create_task(peer.perform(30.0, loud=syllables))
    await until(lambda: room.stats("ann").sends_video_frames > 10)
    recorder = await room.record("ann", file)
    await ben.say("I am heard as well.")
    asked = peer.key_frames_asked
    seconds = await recorder.stop()
    performing.cancel()
    seen = look(file)
    assert seen["codecs"] == ["libvpx", "opus"] or seen["codecs"] == ["opus", "vp8"]
    assert asked > 0
    assert seen["length"] == pytest.approx(seconds, abs=0.3)
    assert seen["sounds"] == pytest.approx(seconds, abs=0.3)
    assert max(seen["light"]) > 200  # Both its black and its white are there.
    assert min(seen["light"]) < 60
    assert seen["rms"] > 0.05
    await peer.close()


async def test_a_killed_recording_plays(staged: tuple[MediaRoom, Told], tmp_path: Path) -> None:
    """What is on disk in the middle of it, without an end, is all there but the last seconds."""
    room, _ = staged
    ann = await room.add_person("ann")
    recorder = await room.record("ann", tmp_path / "whole.webm")
    saying = asyncio.create_task(ann.say("This is being said while the machine dies. " * 3))
    await until(lambda: recorder.seconds > 4)
    torn = tmp_path / "torn.webm"
    shutil.copyfile(recorder.file, torn)
    had = recorder.seconds
    saying.cancel()
    await recorder.stop()
    seen = look(torn)
    assert seen["sounds"] > had - 3
    assert len(seen["light"]) > 10


async def test_it_ends_at_its_bounds(staged: tuple[MediaRoom, Told], tmp_path: Path) -> None:
    """At the time it may last, and at the size it may have, by itself."""
    room, _ = staged
    await room.add_person("ann")
    short = await room.record("ann", tmp_path / "short.webm", max_seconds=2)
    small = await room.record("ann", tmp_path / "small.webm", max_bytes=20_000)
    await until(lambda: short.ended and small.ended)
    assert await short.stop() == pytest.approx(2, abs=0.3)
    await small.stop()
    assert look(short.file)["length"] == pytest.approx(2, abs=0.5)
    assert (tmp_path / "small.webm").stat().st_size < 80_000


async def test_nothing_came_nothing_is_left(
    staged: tuple[MediaRoom, Told], tmp_path: Path
) -> None:
    """Without sound and picture there is no file; where none can be written, that is said."""
    room, _ = staged
    recorder = await room.record("nobody", tmp_path / "empty.webm")
    assert await recorder.stop() == 0.0
    assert not recorder.file.exists()
    with pytest.raises(OSError, match="nowhere"):
        await room.record("nobody", tmp_path / "nowhere" / "x.webm")


async def test_a_person_says_a_recording(
    staged: tuple[MediaRoom, Told], tmp_path: Path
) -> None:
    """A WAV file of any rate is said as loud as it is; what is none is refused by name."""
    room, told = staged
    ann = await room.add_person("ann")
    file = tmp_path / "hello.wav"
    tone = (np.sin(np.arange(16_000) * 0.1) * 9_000).astype("<i2")
    with wave.open(str(file), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(16_000)
        opened.writeframes(tone.tobytes())
    await ann.say(recording=file)
    assert told.speaking[0] == ("ann", True)
    assert room.stats("ann").sends_audio_packets > 45
    await until(lambda: told.speaking[-1] == ("ann", False))
    file.write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"hello\.wav can't be read"):
        await ann.say(recording=file)
    with pytest.raises(ValueError, match="nothing to say"):
        await ann.say()
