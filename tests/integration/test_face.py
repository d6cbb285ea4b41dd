"""The face that a page draws: the same bytes for ever, nothing but mouth and eyes ever new."""

from __future__ import annotations

import io
import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from locum.cli.root import app
from locum.core.speech import Mouth
from locum.core.visemes import VISEMES
from locum.engines.chromium.easel import Easel, Mood, Shot, open_easel
from locum.persona.rigging.making import Wishes, make_rig
from locum.ports import Picture, Rig
from locum.rehearsal.face import face_png
from tests import needs
from tests.logs_rig import logging_restored

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("face"), needs.chromium]

WIDTH, HEIGHT = 640, 360
NOON = timedelta(days=20_000)  # As a page's clock has it: since 1970.
OTHER = "0f" * 32

Plane = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def easel() -> AsyncIterator[Easel]:
    async with open_easel() as made:
        yield made


@pytest.fixture(scope="module")
def face() -> Rig:
    return make_rig(Picture.of(face_png(512)), Wishes())


@pytest.fixture(scope="module")
def logo() -> Rig:
    """A round logo on nothing, whose user gave it a mouth."""
    image = Image.new("RGBA", (400, 400))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 380, 380), (230, 120, 60, 255))
    written = io.BytesIO()
    image.save(written, "PNG")
    return make_rig(Picture.of(written.getvalue()), Wishes(mouth=(200.0, 260.0, 120.0)))


def after(ms: float) -> timedelta:
    return NOON + timedelta(milliseconds=ms)


def conversation(count: int, step_ms: float = 1000 / 30) -> list[Shot]:
    """Answer shots of a face that listens, nods, and speaks."""
    shots = []
    for i in range(count):
        loud = max(0.0, math.sin(i / 2.7)) if i % 60 >= 25 else 0.0
        mouth = Mouth(jaw=0.8 * loud, upper=0.3 * loud, wide=0.4 * abs(math.sin(i / 5)) * loud)
        mood = Mood(attentive=i % 60 < 25, speaking=i % 60 >= 25, nod=i % 60 == 5)
        shots.append(Shot(after(i * step_ms), mouth, mood))
    return shots


def luma(frame: bytes, width: int = WIDTH, height: int = HEIGHT) -> Plane:
    return np.frombuffer(frame, np.uint8)[: width * height].reshape(height, width)


def plain(level: int, width: int = 1280, height: int = 720) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(written, "PNG")
    return written.getvalue()


def reach(rig: Rig, names: Sequence[str], margin: int) -> tuple[slice, slice]:
    """Answer the part of a frame where these shapes move anything, and a margin."""
    document = json.loads(rig.document)
    moved = {
        vertex
        for name in names
        for vertex, x, y in zip(
            document["shapes"][name]["vertices"],
            document["shapes"][name]["moves"][::2],
            document["shapes"][name]["moves"][1::2],
            strict=True,
        )
        if abs(x) + abs(y) > 0.02
    }
    at = np.array(document["vertices"]).reshape(-1, 2)
    touched = {
        corner
        for t in np.array(document["triangles"]).reshape(-1, 3).tolist()
        if moved & set(t)
        for corner in t
    }
    points = at[sorted(touched | moved)] * WIDTH / 1280
    (left, top), (right, bottom) = points.min(0) - margin, points.max(0) + margin
    return slice(max(int(top), 0), int(bottom) + 1), slice(max(int(left), 0), int(right) + 1)


# ── the same for ever ────────────────────────────────────────────────────────────────────


async def test_another_browser_draws_the_same_bytes(easel: Easel, face: Rig, logo: Rig) -> None:
    """A persona looks the same in every meeting: new process, new profile, not a bit differs."""
    shots = conversation(70)
    ours = [await (await easel.face(rig, WIDTH, HEIGHT)).digests(shots) for rig in (face, logo)]

    async with open_easel() as second:
        theirs = [
            await (await second.face(rig, WIDTH, HEIGHT)).digests(shots) for rig in (face, logo)
        ]

    assert theirs == ours
    assert all(len(set(digests)) > 60 for digests in ours)


@pytest.mark.parametrize("kind", ["face", "mascot"])
async def test_what_is_kept_of_a_frame_is_what_would_be_drawn(
    easel: Easel, face: Rig, logo: Rig, kind: str
) -> None:
    """Only what has moved is drawn, and no frame shows it: each is as if drawn from nothing."""
    rig = face if kind == "face" else logo
    shots = [
        Shot(after(i * 41), Mouth(jaw=0.5, wide=abs(math.sin(i)), close=abs(math.cos(i / 2))))
        for i in range(40)
    ]
    drawn = await easel.face(rig, 320, 180)

    kept = await drawn.digests(shots)
    assert kept[4::7] == await drawn.digests(shots[4::7], anew=True)


async def test_an_hour_leaves_no_trace(easel: Easel, face: Rig) -> None:
    """After an hour's frames the face is, to the bit, the one that has just begun."""
    drawn = await easel.face(face, 320, 180)
    hour = [Shot(after(10_000 * i), VISEMES["E"], Mood(speaking=True)) for i in range(360)]
    await drawn.digests(hour)
    later = [Shot(after(3_600_000 + 1500 * i), VISEMES["O"]) for i in range(5)]

    fresh = await easel.face(face, 320, 180)
    assert await drawn.digests(later) == await fresh.digests(later)


async def test_speaking_changes_the_mouth_and_nothing_else(easel: Easel, face: Rig) -> None:
    """Beyond what the mouth's shapes move, not one pixel differs from the silent face."""
    drawn = await easel.face(face, WIDTH, HEIGHT)
    frames = await drawn.frames([Shot(NOON, mouth) for mouth in VISEMES.values()])
    silent, *others = [luma(frame) for frame in frames]
    rows, columns = reach(
        face, ("jaw", "upper", "lower", "wide", "pucker", "press", "close"), 3
    )
    apart = np.zeros((HEIGHT, WIDTH), bool)
    for other in others:
        apart |= other != silent

    assert apart[rows, columns].any()
    apart[rows, columns] = False
    assert not apart.any()


async def test_no_hour_shifts_who_it_is(easel: Easel, face: Rig) -> None:
    """Seen as a thumbnail, the face's picture stays within its small sway, early and late."""
    drawn = await easel.face(face, 320, 180)
    shots = [Shot(after(40_000 * i), VISEMES["aa" if i % 2 else "sil"]) for i in range(91)]
    small = [
        luma(frame, 320, 180).reshape(18, 10, 32, 10).mean((1, 3)).astype(float)
        for frame in await drawn.frames(shots)
    ]
    distances = [float(np.abs(each - small[0]).mean()) for each in small]

    assert max(distances) < 4
    assert abs(np.mean(distances[-30:]) - np.mean(distances[1:31])) < 0.6


# ── how it looks ─────────────────────────────────────────────────────────────────────────


async def test_every_sound_has_a_mouth_of_its_own(easel: Easel, face: Rig) -> None:
    """Fifteen shapes are fifteen pictures; the wider the jaw, the more of the inside is seen."""
    drawn = await easel.face(face, WIDTH, HEIGHT)
    frames = await drawn.frames([Shot(NOON, mouth) for mouth in VISEMES.values()])

    assert len(set(frames)) == len(VISEMES)
    by_name = dict(zip(VISEMES, (luma(frame).astype(int) for frame in frames), strict=True))
    changed = {
        name: int((np.abs(seen - by_name["sil"]) > 24).sum()) for name, seen in by_name.items()
    }
    assert changed["aa"] > changed["nn"] > changed["sil"]


async def test_no_crack_opens_between_triangles(easel: Easel, face: Rig) -> None:
    """A white face before black never shows a black speck, however it turns and speaks."""
    document = {**json.loads(face.document), "inside": []}
    textures = {**face.textures, "fg": plain(255), "bg": plain(0)}
    white = replace(face, document=json.dumps(document).encode(), textures=textures)
    drawn = await easel.face(white, WIDTH, HEIGHT)
    for frame in await drawn.frames(conversation(60, step_ms=170)):
        dark = (luma(frame) < 225).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
        # What is dark is the ground, in a piece or two; specks would be cracks.
        assert stats[:, cv2.CC_STAT_AREA].min() > 200


async def test_lips_have_a_soft_edge(easel: Easel, face: Rig) -> None:
    """Between light lips and the dark of the mouth lie pixels that are part of both."""
    textures = {**face.textures, "fg": plain(255), "mouth": plain(0), "teeth": plain(0)}
    drawn = await easel.face(replace(face, textures=textures), WIDTH, HEIGHT)
    (frame,) = await drawn.frames([Shot(NOON, VISEMES["aa"])])
    rows, columns = reach(face, ("upper", "lower"), 2)
    mouth = luma(frame)[rows, columns]

    dark, between = int((mouth < 40).sum()), int(((mouth > 60) & (mouth < 200)).sum())
    assert dark > 200
    assert between > 40


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (960, 540), (320, 180)])
async def test_a_face_is_the_same_at_every_size(
    easel: Easel, face: Rig, width: int, height: int
) -> None:
    """A camera that becomes smaller shows the same picture, as a scaled one would."""
    shots = [Shot(NOON, VISEMES["E"])]
    (frame,) = await (await easel.face(face, width, height)).frames(shots)
    (usual,) = await (await easel.face(face, WIDTH, HEIGHT)).frames(shots)
    seen = Image.fromarray(luma(frame, width, height)).resize((160, 90), Image.Resampling.BOX)
    wanted = Image.fromarray(luma(usual)).resize((160, 90), Image.Resampling.BOX)

    assert len(frame) == width * height * 3 // 2
    assert float(np.abs(np.asarray(seen, float) - np.asarray(wanted, float)).mean()) < 1.5


async def test_a_mascot_glows_and_stretches_with_the_voice(easel: Easel, logo: Rig) -> None:
    """It has no face to move: a voice is seen in the light round it, and in its height."""
    drawn = await easel.face(logo, WIDTH, HEIGHT)
    silent = Shot(NOON + timedelta(hours=1))
    loud = Shot(NOON, Mouth(jaw=0.9), Mood(speaking=True))
    before, during = [luma(frame).astype(int) for frame in await drawn.frames([silent, loud])]

    assert during[10, WIDTH // 2] > before[10, WIDTH // 2] or during[:, :200].mean() > (
        before[:, :200].mean() + 1
    )
    assert (during[:40] > 90).sum() > (before[:40] > 90).sum()


async def test_a_piece_from_elsewhere_is_laid_over_and_leaves_nothing(
    easel: Easel, face: Rig
) -> None:
    """A neural renderer's patch fades into the frame; without one the rig's frame is back."""
    drawn = await easel.face(face, WIDTH, HEIGHT)
    shot = Shot(NOON, VISEMES["E"])
    (before,) = await drawn.frames([shot])
    patched = luma(await drawn.patched(shot, (560, 300, 160, 160), 40)).astype(int)
    (after_it,) = await drawn.frames([shot])
    without = luma(before).astype(int)
    changed = np.abs(patched - without)

    assert after_it == before
    assert patched[190, 320] == pytest.approx(50, abs=3)
    # In the fading rim it is part of both; beyond the head's own sway nothing changes.
    assert 0 < changed[190, 284] < np.abs(patched[190, 320] - without[190, 284])
    assert not changed[:130].any()
    assert not changed[:, :260].any()


# ── how it moves ─────────────────────────────────────────────────────────────────────────


async def test_it_lives_without_fidgeting(easel: Easel, face: Rig) -> None:
    """Five minutes: blinks as people blink, glances that come back, never a jerk of the head."""
    shots = [Shot(after(i * 33.4)) for i in range(9000)]
    seen = await easel.motion(face.picture_sha256, shots)
    lids = np.array([each["lids"] for each in seen])
    gaze = np.hypot([each["gazeX"] for each in seen], [each["gazeY"] for each in seen])
    blinks = int(((lids[1:] > 0.5) & (lids[:-1] <= 0.5)).sum())

    assert 40 <= blinks <= 160
    assert float((gaze < 0.3).mean()) > 0.7
    assert float(gaze.max()) > 0.4
    for name, furthest, step in (
        ("yaw", 0.12, 0.006),
        ("pitch", 0.12, 0.006),
        ("roll", 0.06, 0.004),
    ):
        course = np.array([each[name] for each in seen])
        assert float(np.abs(course).max()) < furthest
        assert float(np.abs(np.diff(course)).max()) < step


async def test_everybody_has_a_rhythm_of_their_own(easel: Easel, face: Rig) -> None:
    """Two personas in one meeting don't blink together."""
    shots = [Shot(after(i * 50)) for i in range(1200)]
    ours = await easel.motion(face.picture_sha256, shots)
    others = await easel.motion(OTHER, shots)

    assert [each["lids"] for each in ours] != [each["lids"] for each in others]
    assert [each["yaw"] for each in ours] != [each["yaw"] for each in others]


async def test_who_listens_looks_and_nods(easel: Easel, face: Rig) -> None:
    """Attentive eyes stay on who looks at them, and the head nods of its own accord."""
    at = [after(i * 60) for i in range(3000)]
    idle = await easel.motion(face.picture_sha256, [Shot(each) for each in at])
    attentive = [Shot(each, mood=Mood(attentive=True)) for each in at]
    listening = await easel.motion(face.picture_sha256, attentive)

    def aside(seen: list[dict[str, float]]) -> float:
        return float(np.mean([abs(each["gazeX"]) > 0.3 for each in seen]))

    assert aside(listening) < aside(idle) / 2
    assert max(each["nod"] for each in idle) == 0
    nods = np.array([each["nod"] for each in listening]) > 0
    assert 5 <= int((nods[1:] & ~nods[:-1]).sum()) <= 40


async def test_a_nod_that_is_asked_for_is_one_nod(easel: Easel, face: Rig) -> None:
    """It begins at once, goes down and up again within a second, and isn't begun anew."""
    shots = [Shot(after(i * 33), mood=Mood(nod=i in {3, 6})) for i in range(60)]
    seen = await easel.motion(face.picture_sha256, shots)
    nods = [each["nod"] for each in seen]

    assert nods[3] == 0
    assert max(nods[4:14]) > 0.9
    assert nods[35:] == [0] * 25


async def test_moods_come_gradually(easel: Easel, face: Rig) -> None:
    """Turning to who speaks takes a moment: but for nods, no frame jumps."""
    shots = [
        Shot(after(i * 33.4), mood=Mood(attentive=i >= 30, speaking=i >= 70))
        for i in range(120)
    ]
    seen = await easel.motion(face.picture_sha256, shots)

    still = np.array([each["nod"] for each in seen]) == 0
    for name in ("yaw", "pitch", "roll"):
        steps = np.abs(np.diff([each[name] for each in seen]))
        assert float(steps[still[1:] & still[:-1]].max()) < 0.006


async def test_mouths_out_of_bounds_are_taken_as_far_as_they_go(
    easel: Easel, face: Rig
) -> None:
    """What a page is sent may be nonsense; a face never is."""
    drawn = await easel.face(face, 320, 180)
    wild, whole, silly, none = await drawn.digests(
        [
            Shot(NOON, Mouth(jaw=40.0, lower=-7.0)),
            Shot(NOON, Mouth(jaw=1.0, lower=-1.0)),
            Shot(NOON, Mouth(jaw=math.nan)),
            Shot(NOON, Mouth()),
        ]
    )

    assert wild == whole
    assert silly == none


# ── the sheet ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def robin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a persona with a drawn face, in a home of its own; answers where to write."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words = ["persona", "new", "robin", "--display-name", "Robin", "--owner", "Alex"]
    with logging_restored():
        made = CliRunner().invoke(app, words, prog_name="locum")
    assert made.exit_code == 0, made.output
    return tmp_path / "sheet.png"


def test_a_preview_shows_all_that_a_face_does(robin: Path) -> None:
    """The command's sheet has a tile for every sound, and for what the face does by itself."""
    done = _preview(robin)

    assert done.exit_code == 0, done.output
    with Image.open(robin) as sheet:
        assert sheet.size == (5 * 328 + 8, 5 * 266 + 8)
        tiles = {
            sheet.crop((8 + x * 328, 8 + y * 266, 328 + x * 328, 248 + y * 266)).tobytes()
            for x in range(5)
            for y in range(5)
        }
    assert len(tiles) == 25


def test_without_a_browser_one_is_told_how_to_get_one(
    robin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sheet needs a Chromium; where there is none the command says what to install."""
    monkeypatch.setenv("PATH", str(robin.parent))
    done = _preview(robin)

    assert done.exit_code != 0
    assert "There is no Chromium" in done.output
    assert "apt install chromium" in done.output
    assert not robin.exists()


def _preview(to: Path) -> Any:
    words = ["persona", "avatar", "preview", "robin", "--out", str(to)]
    with logging_restored():
        return CliRunner().invoke(app, words, prog_name="locum")
