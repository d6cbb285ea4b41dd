"""A page's injected camera, microphone and ears, in a real Chromium with real WebRTC."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from importlib import resources
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from playwright.async_api import BrowserContext

from locum.engines.chromium import scripting
from locum.engines.chromium.media import DeviceState, MediaProof, MediaSettings, PageMedia
from locum.errors import TransientError
from locum.persona.rigging.making import Wishes, make_rig
from locum.ports import Picture
from locum.rehearsal.face import face_png
from tests import needs
from tests.integration.media_rig import (
    HEARD_HZ,
    LOUD,
    SMALL,
    Room,
    Samples,
    chromium,
    lips,
    loud_part,
    now,
    pages_served,
    pitch,
    room,
    speech,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("chromium_media"), needs.chromium]

TONES = (440, 620, 830)
LONG = 30.0  #: Seconds: nobody hears that to its end here.


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with pages_served() as url:
        yield url


@pytest.fixture(scope="module")
async def context(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BrowserContext]:
    async with chromium(tmp_path_factory.mktemp("profile")) as launched:
        yield launched


@pytest.fixture(scope="module")
async def proofs() -> list[MediaProof]:
    """What was proved before there was a connection, and what after."""
    return []


@pytest.fixture(scope="module")
async def connected(
    context: BrowserContext, base_url: str, proofs: list[MediaProof]
) -> AsyncIterator[Room]:
    async with room(context, base_url) as made:
        proofs.append(await made.media.proof())
        await made.connect(TONES)

        async def shown() -> bool:
            return bool((await made.picture())["frames"] > 5)

        await until(shown, "the other participant sees frames")
        proofs.append(await made.media.proof())
        yield made


# ── out ──────────────────────────────────────────────────────────────────────────────────


async def test_what_is_sent_arrives_in_its_size(connected: Room) -> None:
    """Frames come, whole ones, though the page lets no Worker be."""

    async def full() -> bool:
        seen = await connected.picture()
        return bool((seen["width"], seen["height"]) == (640, 360))

    await until(full, "the picture arrives as 640×360")
    assert not (await connected.media.stats()).in_worker


async def test_a_tone_arrives_as_it_was_said(connected: Room) -> None:
    """At another rate, in uneven pieces: the same pitch, the same length, and no seam."""
    late = -1
    while late != (late := (await connected.media.stats()).late_sounds):
        # Again where the machine was so busy that a piece came late: that gap is counted.
        await connected.sent.forget()
        await connected.heard.forget()
        said = await connected.media.say(speech(500, 1.5, rate=22_050))
        await connected.heard.becomes(loud=False)
        await connected.sent.fetch()

        assert said == timedelta(seconds=1.5)

    sent = loud_part(connected.sent.samples)
    assert len(sent) == pytest.approx(1.5 * HEARD_HZ, abs=480)
    assert unlike_a_tone(sent, 500) < 0.02
    assert pitch(loud_part(connected.heard.samples), HEARD_HZ) == pytest.approx(500, abs=3)


def unlike_a_tone(samples: Samples, frequency: float) -> float:
    """How much of it isn't that tone: 0 for nothing, 1 for all. A seam anywhere shows."""
    inner = samples[480:-480]
    turns = 2 * np.pi * frequency * np.arange(len(inner)) / HEARD_HZ
    basis = np.stack([np.sin(turns), np.cos(turns)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, inner, rcond=None)[0]
    return float(np.sqrt(np.mean((inner - fitted) ** 2) / np.mean(inner**2)))


async def test_the_room_is_never_digitally_silent(connected: Room) -> None:
    """A faint tone of the room goes out while nobody speaks, which nobody hears."""
    await connected.sent.becomes(loud=False)
    fresh = np.zeros(0)
    while fresh.size < 4800:
        fresh = np.concatenate([fresh, await connected.sent.fetch()])

    assert 0 < np.abs(fresh).max() < 33  # -60 dBFS.


async def test_hushed_speech_ends_at_once(connected: Room) -> None:
    """What waits in the page is dropped, also what waits for its turn; and we know how far it got."""
    await connected.sent.forget()
    saying = asyncio.ensure_future(connected.media.say(speech(500, LONG)))
    waiting = asyncio.ensure_future(connected.media.say(speech(900, LONG)))
    await connected.sent.becomes(loud=True)

    await connected.media.hush()

    heard = await saying
    assert timedelta() < heard < timedelta(seconds=LONG / 2)
    assert await waiting == timedelta()
    await connected.sent.becomes(loud=False)
    sent = len(loud_part(connected.sent.samples)) / HEARD_HZ
    assert heard.total_seconds() == pytest.approx(sent, abs=0.15)
    assert await connected.media.say(speech(500, 0.2)) == timedelta(seconds=0.2)


async def test_ducked_speech_goes_on_at_a_quarter_of_its_level(connected: Room) -> None:
    """While somebody may be about to interrupt it is 12 dB quieter; then it is as loud as before."""
    await connected.sent.forget()
    saying = asyncio.ensure_future(connected.media.say(speech(500, LONG)))
    await connected.sent.becomes(loud=True)
    before = await _level(connected, lambda level: level > LOUD)

    await connected.media.duck(down=True)
    ducked = await _level(connected, lambda level: level < before / 2)
    await connected.media.duck(down=False)
    after = await _level(connected, lambda level: level > before / 2)

    assert 20 * np.log10(ducked / before) == pytest.approx(-12, abs=1.5)
    assert after == pytest.approx(before, rel=0.1)
    # In one step of the ear: nowhere is there a level between the two for longer than that.
    moves = _levels(connected.sent.samples)
    between = (moves > ducked * 1.4) & (moves < before * 0.8)
    assert (
        max(map(len, "".join("x" if each else " " for each in between).split()), default=0) <= 4
    )
    await connected.media.hush()
    await saying


def _levels(samples: Samples) -> Samples:
    """The loudness of each 10 ms, as RMS."""
    whole = samples[: samples.size // 480 * 480].reshape(-1, 480)
    return np.asarray(np.sqrt((whole**2).mean(axis=1)))


async def _level(room: Room, holds: Callable[[float], bool]) -> float:
    """Wait for 300 ms in which a level holds, and answer it."""
    found: list[float] = []

    async def so() -> bool:
        await room.sent.fetch()
        last = _levels(room.sent.samples[-14_400:])
        found.append(float(np.median(last)))
        return last.size >= 29 and all(holds(float(each)) for each in last)

    await until(so, "the level that was wished for")
    return found[-1]


async def test_the_pages_own_button_mutes_us(connected: Room) -> None:
    """What is being said ends, and is told; nothing is asked of the voice until it is on again."""
    await connected.sent.forget()
    saying = asyncio.ensure_future(connected.media.say(speech(500, LONG)))
    await connected.sent.becomes(loud=True)

    await connected.near.evaluate("stream.getAudioTracks()[0].enabled = false")

    assert timedelta() < await saying < timedelta(seconds=LONG / 2)
    assert (await connected.media.proof()).microphone is DeviceState.MUTED
    asked = speech(500, 1)
    assert await connected.media.say(asked) == timedelta()
    assert len([piece async for piece in asked]) > 1  # Whole: nobody had begun it.

    await connected.near.evaluate("stream.getAudioTracks()[0].enabled = true")
    assert await connected.media.say(speech(500, 0.2)) == timedelta(seconds=0.2)
    assert (await connected.media.proof()).microphone is DeviceState.LIVE


async def test_the_pages_own_button_closes_the_camera(connected: Room) -> None:
    """Others see black then, and us again afterwards."""

    async def dark() -> bool:
        return float(await connected.far.evaluate("brightness()")) < 30

    async def bright() -> bool:
        return not await dark()

    await until(bright, "the picture is seen")
    await connected.near.evaluate("stream.getVideoTracks()[0].enabled = false")
    await until(dark, "the picture is black")
    assert (await connected.media.proof()).camera is DeviceState.MUTED
    await connected.near.evaluate("stream.getVideoTracks()[0].enabled = true")
    await until(bright, "the picture is seen again")


async def test_a_voice_that_breaks_off_is_heard_that_far(connected: Room) -> None:
    """What it had given is said to the end; then its error is ours."""

    async def breaking() -> AsyncIterator[Any]:
        async for piece in speech(500, 0.3):
            yield piece
        raise TransientError("out of breath")

    await connected.sent.forget()
    with pytest.raises(TransientError, match="out of breath"):
        await connected.media.say(breaking())
    await connected.sent.becomes(loud=False)

    assert len(loud_part(connected.sent.samples)) == pytest.approx(0.3 * HEARD_HZ, abs=480)


# ── in ───────────────────────────────────────────────────────────────────────────────────


async def test_each_track_is_heard_for_itself(connected: Room) -> None:
    """Three participants' tones come as three tracks of 16 kHz, each with its own."""
    heard: dict[str, list[Samples]] = defaultdict(list)
    async for sound in connected.media.sounds():
        assert (sound.sound.rate, sound.sound.duration) == (16_000, timedelta(milliseconds=20))
        samples = np.frombuffer(sound.sound.pcm, "<i2").astype(np.float64)
        if heard[sound.track] or np.abs(samples).max() > LOUD:
            heard[sound.track].append(samples)
        if len(heard) == 3 and all(len(pieces) >= 24 for pieces in heard.values()):
            break

    pitches = sorted(pitch(np.concatenate(pieces), 16_000) for pieces in heard.values())
    assert pitches == pytest.approx(TONES, abs=10)


# ── evidence ─────────────────────────────────────────────────────────────────────────────


async def test_the_proof_is_the_connections_own(
    connected: Room, proofs: list[MediaProof]
) -> None:
    """Nothing is proved before there is a connection, though the devices may have been asked for."""
    before, after = proofs

    assert not before.connected
    assert (before.frames_sent, before.sound_packets_sent) == (0, 0)
    assert (before.camera, before.microphone) == (DeviceState.UNASKED, DeviceState.UNASKED)
    assert after.connected
    assert after.frames_sent > 0
    assert (after.camera, after.microphone) == (DeviceState.LIVE, DeviceState.LIVE)

    async def all_goes() -> bool:
        is_now = await connected.media.proof()
        return (
            is_now.sound_packets_sent > after.sound_packets_sent
            and is_now.sound_energy_sent > after.sound_energy_sent
            and is_now.sound_packets_received > after.sound_packets_received
            and is_now.sound_energy_heard > after.sound_energy_heard
            and is_now.frame_height == 360
        )

    await until(all_goes, "picture and sound go out, and sound comes in")


async def test_nothing_of_ours_fails_or_shows(connected: Room) -> None:
    """No script of ours has failed so far, and a page finds nothing with our name on it."""
    names = await connected.near.evaluate(
        "[...Object.getOwnPropertyNames(window), ...Object.getOwnPropertySymbols(window)]"
        ".map(String).filter((name) => /locum/i.test(name))"
    )

    assert names == []
    assert (await connected.media.stats()).troubles == ()


# ── devices ──────────────────────────────────────────────────────────────────────────────

_SHAPE = """async () => {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const camera = devices.find((d) => d.kind === "videoinput");
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: true, video: { deviceId: { exact: camera.deviceId }, height: 270 } });
  const [video] = stream.getVideoTracks();
  const refused = async (video) => {
    try { await navigator.mediaDevices.getUserMedia({ video }); return "taken"; }
    catch (error) { return `${error.name} ${error.constraint}`; }
  };
  const copy = stream.clone().getVideoTracks()[0];
  const answer = {
    kinds: devices.map((d) => d.kind), named: devices.every((d) => d.label && d.deviceId),
    alike: camera instanceof InputDeviceInfo && camera.toJSON().deviceId === camera.deviceId,
    label: video.label, settings: video.getSettings(), most: video.getCapabilities().height.max,
    elsewhere: await refused({ deviceId: { exact: "another" } }),
    huge: await refused({ width: { min: 9000 } }),
    hoped: await refused({ deviceId: "another", width: { ideal: 9000 } }),
    applied: await video.applyConstraints({ frameRate: { exact: 500 } })
      .catch((error) => `${error.name} ${error.constraint}`),
    constraints: video.getConstraints(), copy: [copy.label, copy.getSettings().height],
    permission: (await navigator.permissions.query({ name: "camera" })).state,
    method: [MediaDevices.prototype.getUserMedia.name, Object.keys(navigator.mediaDevices)],
    bad: await navigator.mediaDevices.getUserMedia({}).catch((error) => error.name),
    legacy: await new Promise((done, failed) => navigator.webkitGetUserMedia
      ? navigator.webkitGetUserMedia({ audio: true }, (s) => done(s.getTracks()[0].label), failed)
      : done("Locum Microphone")),
  };
  video.stop();
  const state = video.readyState;
  const again = await navigator.mediaDevices.getUserMedia({ video: true });
  answer.again = [state, again.getVideoTracks()[0].readyState];
  return answer;
}"""


async def test_the_devices_look_like_devices(context: BrowserContext, base_url: str) -> None:
    """Lists, labels, settings, constraints and refusals are a browser's; a stopped one comes back."""
    page = await context.new_page()
    media = await PageMedia.install(page, SMALL, rig=None, lips=lips, now=now)
    await page.goto(f"{base_url}/open")

    shape = await page.evaluate(_SHAPE)

    assert sorted(set(shape["kinds"]) - {"audiooutput"}) == ["audioinput", "videoinput"]
    assert shape["named"] is shape["alike"] is True
    assert shape["label"] == "Locum Camera"
    assert (shape["settings"]["width"], shape["settings"]["height"]) == (480, 270)
    assert shape["settings"]["frameRate"] == 30
    assert shape["most"] == 360
    assert shape["elsewhere"] == "OverconstrainedError deviceId"
    assert shape["huge"] == "OverconstrainedError width"
    assert shape["hoped"] == "taken"
    assert shape["applied"] == "OverconstrainedError frameRate"
    assert shape["constraints"]["height"] == 270
    assert shape["copy"] == ["Locum Camera", 270]
    assert shape["permission"] == "granted"
    assert shape["method"] == ["getUserMedia", []]
    assert shape["bad"] == "TypeError"
    assert shape["legacy"] == "Locum Microphone"
    assert shape["again"] == ["ended", "live"]
    await media.aclose()
    await page.close()


async def test_a_camera_that_fails_is_a_broken_one(
    context: BrowserContext, base_url: str
) -> None:
    """An exception of ours is told to us; the page's error is one that cameras have."""
    page = await context.new_page()
    media = await PageMedia.install(page, SMALL, rig=None, lips=lips, now=now)
    await page.goto(f"{base_url}/open")
    await page.evaluate("MediaStreamTrackGenerator = undefined")

    error = await page.evaluate("begin({ video: true }).catch((error) => error.name)")

    assert error == "NotReadableError"
    (trouble,) = (await media.stats()).troubles
    assert trouble.startswith("getUserMedia: TypeError")
    await media.aclose()
    await page.close()


async def test_a_page_without_sound_hears_nothing_and_goes_on(
    context: BrowserContext, base_url: str
) -> None:
    """Where the browser lets no sound begin, the page gets its devices; speech is given up."""
    page = await context.new_page()
    media = await PageMedia.install(page, SMALL, rig=None, lips=lips, now=now)
    await page.goto(f"{base_url}/open")
    await page.evaluate(
        """() => {
          const Real = AudioContext;
          AudioContext = class extends Real {
            constructor(options) { super(options); this.suspend(); }
            resume() { return new Promise(() => undefined); }
          };
        }"""
    )

    assert await page.evaluate("begin({ audio: true })") == 1
    assert await media.say(speech(500, LONG)) == timedelta()

    troubles = (await media.stats()).troubles
    assert [trouble.split(":")[0] for trouble in troubles] == ["sound", "sound"]
    await media.aclose()
    await page.close()


async def test_the_camera_shows_the_rigs_face(context: BrowserContext, base_url: str) -> None:
    """From the first frame on, and nothing fails in drawing it."""
    rig = await asyncio.to_thread(make_rig, Picture.of(face_png(256)), Wishes())
    page = await context.new_page()
    media = await PageMedia.install(page, SMALL, rig=rig, lips=lips, now=now)
    await page.goto(f"{base_url}/meet")

    await page.evaluate("begin({ video: true })")
    await media.listen(attentive=True)
    await media.nod()
    colours = await page.evaluate(
        """async () => {
          const video = document.getElementById("self");
          await video.play();
          const canvas = document.createElement("canvas");
          const pencil = canvas.getContext("2d");
          pencil.drawImage(video, 0, 0, 64, 36);
          const { data } = pencil.getImageData(0, 0, 64, 36);
          return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )

    assert colours > 50  # The test pattern has four, and a blank picture one.
    stats = await media.stats()
    assert (stats.frames_failed, stats.troubles) == (0, ())
    await media.aclose()
    await page.close()


async def test_other_origins_keep_their_devices(context: BrowserContext, base_url: str) -> None:
    """Where it is named which pages get ours, no other does."""
    page = await context.new_page()
    settings = MediaSettings(640, 360, origins=("https://meet.example",))
    media = await PageMedia.install(page, settings, rig=None, lips=lips, now=now)
    await page.goto(f"{base_url}/open")

    await page.evaluate("begin({ video: true })")

    assert "fake" in str(await page.evaluate("stream.getVideoTracks()[0].label"))
    with pytest.raises(TransientError, match="being loaded"):
        await media.proof()
    await media.aclose()
    await page.close()


# ── a page that goes, a machine that is slow ─────────────────────────────────────────────


async def test_a_reload_drops_what_was_being_said(
    context: BrowserContext, base_url: str
) -> None:
    """Then all of it works again, in a Worker where the page has Google Meet's policy."""
    page = await context.new_page()
    media = await PageMedia.install(page, SMALL, rig=None, lips=lips, now=now)
    await page.goto(f"{base_url}/meet")
    await page.evaluate("begin()")
    saying = asyncio.ensure_future(media.say(speech(500, LONG)))

    async def begun() -> bool:
        return (await media.stats()).frames_drawn > 20

    await until(begun, "some frames are drawn")
    await page.reload()

    assert await saying < timedelta(seconds=LONG / 2)
    await page.evaluate("begin()")
    assert await media.say(speech(500, 0.2)) == timedelta(seconds=0.2)
    assert (await media.stats()).in_worker
    await media.aclose()
    await page.close()
    assert await media.say(speech(500, 0.2)) == timedelta()


async def test_a_slow_machine_gets_a_smaller_picture(
    context: BrowserContext, base_url: str
) -> None:
    """Where frames take too long to draw, fewer pixels are drawn."""
    page = await context.new_page()
    media = await PageMedia.install(page, SMALL, rig=None, lips=lips, now=now)
    await page.goto(f"{base_url}/meet")
    await page.evaluate("begin()")

    await media._channel.call("burden", 60)

    async def smaller() -> bool:
        return (await media.stats()).height < 360

    await until(smaller, "the picture is smaller")
    await media.aclose()
    await page.close()


async def evaluated(context: BrowserContext, expression: str) -> Any:
    """Run something with what painting.js defines, in an empty page."""
    page = await context.new_page()
    painting = (resources.files(scripting.__package__) / "scripts/painting.js").read_text()
    answer = await page.evaluate(f"(() => {{ {painting}; return {expression}; }})()")
    await page.close()
    return answer


async def test_a_larger_picture_is_tried_less_and_less(context: BrowserContext) -> None:
    """Down at once, up after a while, and much later where the larger one was too large again."""
    climbs = await evaluated(
        context,
        """(() => {
          const ladder = createLadder([[1280, 720], [960, 540], [640, 360]], 30, 20000);
          const tooLarge = () => ladder.size()[1] > 540;
          const climbs = [];
          let was = 720;
          for (let turn = 1; turn < 30 * 600; turn += 1) {
            ladder.judge((turn * 1000) / 30, !(tooLarge() && turn % 2), 5);
            const height = ladder.size()[1];
            if (height > was) climbs.push(Math.round(turn / 30));
            was = height;
          }
          return climbs;
        })()""",
    )

    waits = [after - before for before, after in pairwise(climbs)]
    assert 20 <= climbs[0] <= 30
    assert waits == sorted(waits)
    assert len(climbs) < 7


async def test_no_larger_picture_is_tried_that_takes_too_long(context: BrowserContext) -> None:
    """Where a frame takes most of its time already, it stays as small as it is."""
    height = await evaluated(
        context,
        """(() => {
          const ladder = createLadder([[1280, 720], [960, 540], [640, 360]], 30, 20000);
          for (let turn = 1; turn < 30 * 300; turn += 1) {
            ladder.judge((turn * 1000) / 30, !(ladder.size()[1] > 540 && turn % 2), 15);
          }
          return ladder.size()[1];
        })()""",
    )

    assert height == 540


async def test_the_mouth_moves_with_the_sound(context: BrowserContext) -> None:
    """Evenly between keyframes, shut before and after, and shut soon where it is hushed."""
    jaws = await evaluated(
        context,
        """(() => {
          const mouths = createMouths();
          mouths.say(1, 5000, [[0, 0, 0, 0, 0, 0, 0, 0], [100, 1, 0, 0, 0, 0, 0, 0]]);
          mouths.say(1, 5000, [[200, 0.5, 0, 0, 0, 0, 0, 0]]);
          const before = [4900, 5050, 5100, 5150, 5200].map((at) => mouths.at(at).jaw);
          mouths.finish(5200);
          return [...before, mouths.at(5245).jaw, mouths.at(5300).jaw, mouths.speaking(5300)];
        })()""",
    )

    assert jaws == pytest.approx([0, 0.5, 1, 0.75, 0.5, 0.25, 0, False], abs=0.01)


def test_nothing_is_shipped_that_a_page_could_refuse() -> None:
    """No eval, no innerHTML: pages with trusted types run it as it is."""
    text = scripting.bundle({"origins": []})

    assert "eval(" not in text
    assert "innerHTML" not in text
