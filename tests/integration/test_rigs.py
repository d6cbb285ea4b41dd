"""From a picture to a rig: where its lips and eyes are, and that nothing else ever moves."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from locum.core.identity import sha256
from locum.errors import HumanNeededError, LocumError, PermanentError
from locum.models import is_pulled
from locum.models.kept import folder_of
from locum.models.pulling import pull
from locum.persona.rigging.document import FACE_SHAPES, MOUTH_SHAPES, parsed
from locum.persona.rigging.drawn import drawn_outline
from locum.persona.rigging.making import Wishes, find_points, make_rig
from locum.persona.rigging.mesh import areas, face_mesh, ring_of
from locum.persona.rigging.outline import from_points, named
from locum.persona.rigging.pack import packed, unpacked
from locum.persona.rigging.store import RigStore
from locum.ports import Picture, Rig
from locum.rehearsal.face import face_png
from tests.integration.painted import CHIN, EYES, MOUTH, SIDE, as_png, painted_face
from tests.integration.rig_render import REST, Frame, Pose, drawn, texture

ROBIN, OTHER = Picture.of(face_png(512)), Picture.of(face_png(200, hue=0.1))
EYES_BOX = (520, 260, 760, 420)
"""Round both eyes of the drawn face, in the frame."""

pytestmark = pytest.mark.xdist_group("rigs")


@pytest.fixture(scope="module")
def robin() -> Rig:
    """Answer the rig of the face that everybody sees first, made without any model."""
    return make_rig(ROBIN, Wishes())


@pytest.fixture(scope="module")
def robin_at_rest(robin: Rig) -> Frame:
    return drawn(robin)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer the landmark models, fetched once and kept; skips where they can't be had."""
    kept = Path(os.environ.get("LOCUM_TEST_MODELS", Path.home() / ".cache/locum-tests"))
    try:
        kept.mkdir(parents=True, exist_ok=True)
        return pull(kept, "face").folder
    except (LocumError, OSError) as error:
        pytest.skip(f"the landmark models can't be had here: {error}")


def document_of(rig: Rig) -> Any:
    return json.loads(rig.document)


def at_frame(share: tuple[float, float]) -> tuple[int, int]:
    """Answer the frame's pixel where a point of the drawing (in units of its side) lies."""
    return round(280 + share[0] * 720), round(share[1] * 720)


def changed(first: Frame, second: Frame) -> Any:
    """Answer which pixels differ visibly."""
    return np.abs(first - second).max(2) > 12


# ── the drawn face ───────────────────────────────────────────────────────────────────────


def test_the_drawings_own_pixels_are_where_its_outline_says() -> None:
    """The smile's stroke is ink from edge to edge, and each lid runs round its white."""
    side = 1024
    image = np.asarray(Image.open(io.BytesIO(face_png(side))).convert("RGB"), np.float64)
    outline = drawn_outline(side)

    def colour(point: Any) -> Any:
        return image[round(point[1] - 0.5), round(point[0] - 0.5)]

    for point in outline.inner_upper[1:-1]:
        assert colour(point).max() < 80
    for edge, beside in ((outline.outer_upper, -1), (outline.outer_lower, 1)):
        middle = edge[5]
        assert colour(middle + np.array([0, beside * -4])).max() < 80
        assert colour(middle + np.array([0, beside * 4])).min() > 150
    for eye in outline.eyes:
        assert colour(eye.iris).max() < 80
        for lid, inwards in ((eye.upper[4], 6), (eye.lower[4], -6)):
            assert colour(lid + np.array([0, inwards])).min() > 245
            assert colour(lid - np.array([0, inwards])).min() < 200


def test_the_drawn_face_gets_a_face_without_any_model(robin: Rig) -> None:
    """Its mouth and eyes are where it was drawn, and the rig has all that speech needs."""
    document = document_of(robin)

    assert (robin.kind, document["source"]) == ("face", "drawn")
    assert set(document["shapes"]) == set(FACE_SHAPES)
    assert document["mouth"]["gap"] == 0
    assert document["mouth"]["width"] > 0.08 * 720
    x, y = document["mouth"]["centre"]
    assert (abs(x - 640) < 1, 425 < y < 435) == (True, True)
    for eye, across in zip(document["eyes"], (0.408, 0.592), strict=True):
        assert eye["iris"] == pytest.approx(at_frame((across, 0.475)), abs=1)
    assert 30_000 < len(robin.document) < 120_000


def test_at_rest_a_rig_shows_its_picture(robin: Rig, robin_at_rest: Frame) -> None:
    """Nothing is bent: what is seen is the picture, laid into the frame."""
    shown, flat = robin_at_rest, texture(robin, "fg")
    alpha = flat[:, :, 3:] / 255
    wanted = np.asarray(flat[:, :, :3] * alpha + texture(robin, "bg") * (1 - alpha), np.float32)

    assert np.abs(shown - wanted).mean() < 0.3
    assert changed(shown, wanted).mean() < 2e-4


def test_the_jaw_opens_the_mouth(robin: Rig, robin_at_rest: Frame) -> None:
    """Between the lips teeth and the tongue come into sight, and the lower lip goes down."""
    opened = drawn(robin, Pose({"jaw": 1.0}), box=(500, 420, 780, 620))
    x, y = at_frame((0.5, 0.67))
    between = opened[y : y + 32, x]

    assert (between.min(1) > 170).any()  # A tooth.
    assert ((between[:, 0] > 90) & (between[:, 1] < 90)).any()  # The tongue.
    lowest = opened[y : y + 60, x].max(1)
    assert (lowest < 80).any()  # The lower half of the stroke has come down.
    assert changed(robin_at_rest, opened)[y : y + 40, x - 40 : x + 40].mean() > 0.3


@pytest.mark.parametrize("shape", MOUTH_SHAPES)
def test_every_motion_of_the_mouth_stays_round_it(robin: Rig, shape: str) -> None:
    """Each shape moves pixels near the mouth, where it moves any, and none of the eyes'."""
    document = document_of(robin)
    ids = document["shapes"][shape]["vertices"]
    moved = np.array(document["vertices"]).reshape(-1, 2)[ids]
    x, y = document["mouth"]["centre"]

    assert len(ids) > 8 or shape == "close"  # These lips are shut anyway.
    for across, down in moved:
        assert abs(across - x) < 200
        assert y - 85 < down < y + 235


def test_an_eye_shuts_to_a_line(robin: Rig, robin_at_rest: Frame) -> None:
    """No white is left of it, and a dark line is; the other eye stays open."""
    shut = drawn(robin, Pose({"blink0": 1.0}), box=EYES_BOX)

    def eye(frame: Frame, across: float) -> Frame:
        x, y = at_frame((across, 0.47))
        return frame[y - 36 : y + 40, x - 34 : x + 34]

    left, right = eye(shut, 0.405), eye(shut, 0.595)
    rest = eye(robin_at_rest, 0.405)
    assert (rest.min(2) > 245).sum() > 1500
    assert (left.min(2) > 245).sum() < 110
    assert (left.max(2) < 110).sum() > 60
    assert (right.min(2) > 245).sum() > 1500


def test_gaze_moves_the_pupil_and_leaves_the_lids(robin: Rig, robin_at_rest: Frame) -> None:
    """Looking right moves the dark of the eye by some pixels; its rim stays."""
    rest = robin_at_rest
    aside = drawn(robin, Pose({"gazex0": 1.0, "gazex1": 1.0}), box=EYES_BOX)
    x, y = at_frame((0.405, 0.47))
    before, after = (
        np.nonzero(frame[y + 5, x - 28 : x + 28].max(1) < 80)[0].mean()
        for frame in (rest, aside)
    )

    assert 3 < after - before < 12
    assert not changed(rest, aside)[y - 60 : y - 34, x - 34 : x + 34].any()


def test_a_turned_head_leaves_its_ground(robin: Rig, robin_at_rest: Frame) -> None:
    """What is behind stays still, and no edge of the mesh comes into sight."""
    pose = Pose(yaw=0.1, pitch=0.05, roll=0.04, shift=(5, 3))
    ground = texture(robin, "bg")

    for box in ((0, 0, 300, 200), (980, 0, 1280, 200), (0, 300, 250, 420)):
        part = np.s_[box[1] : box[3], box[0] : box[2]]
        assert np.abs(drawn(robin, pose, box=box)[part] - ground[part]).max() < 3
    eyes = np.s_[EYES_BOX[1] : EYES_BOX[3], EYES_BOX[0] : EYES_BOX[2]]
    assert changed(robin_at_rest, drawn(robin, pose, box=EYES_BOX))[eyes].sum() > 500


def test_the_mesh_covers_the_frame_once() -> None:
    """All triangles and the mouth's hole together are the frame and its rim, nothing twice."""
    outline = drawn_outline(512).moved(1.40625, np.array([280.0, 0.0]))
    opened = dataclasses.replace(
        outline, inner_lower=outline.inner_lower + np.array([[0.0, 4.0]])
    )
    opened.inner_lower[[0, -1]] = outline.inner_upper[[0, -1]]
    mesh = face_mesh(opened)
    hole = ring_of(opened.inner_upper, opened.inner_lower)
    x, y = hole.T
    size = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2

    sizes = areas(mesh.points, mesh.triangles)
    assert sizes.min() > 0
    assert sizes.sum() + size == pytest.approx((1280 + 64) * (720 + 64), rel=2e-4)


def test_the_same_picture_gives_the_same_bytes(robin: Rig) -> None:
    """A rig can be made again, to the byte, by another process."""
    again = make_rig(ROBIN, Wishes())

    assert packed(again) == packed(robin)
    assert unpacked(packed(robin)) == robin


# ── a face that models find ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("turned", [0.0, 12.0])
def test_landmarks_find_the_face(models: Path, turned: float) -> None:
    """Eyes and lips are found within 2% of the face's height, on a tilted head too."""
    picture = Picture.of(as_png(painted_face(turned=turned)))
    found = find_points(picture, models)
    angle = np.radians(turned)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def where(point: tuple[int, int]) -> Any:
        return turn @ (np.array(point) - SIDE / 2) + SIDE / 2

    wanted = {
        "left_pupil": EYES[0], "right_pupil": EYES[1], "mouth_left": MOUTH[0],
        "mouth_right": MOUTH[1], "chin": CHIN,
    }  # fmt: skip
    for name, point in wanted.items():
        assert found.points[name] == pytest.approx(where(point), abs=9), name
    assert (found.source, found.size) == ("landmarks", (SIDE, SIDE))


def test_a_found_face_speaks(models: Path) -> None:
    """Its lips part in the dark of the mouth, and its eye's white goes under the lid."""
    rig = make_rig(Picture.of(as_png(painted_face())), Wishes(models))
    document = document_of(rig)
    x, y = (round(v) for v in document["mouth"]["centre"])
    left = document["eyes"][0]
    a, b = (round(v) for v in left["iris"])

    def whites(pose: Pose) -> int:
        eye = drawn(rig, pose, box=(a - 30, b - 12, a + 30, b + 12))
        part = eye[b - 12 : b + 12, a - 30 : a + 30]
        return int(((part.min(2) > 150) & (part.max(2) - part.min(2) < 35)).sum())

    opened = drawn(rig, Pose({"jaw": 1.0}), box=(x - 2, y - 20, x + 2, y + 50))
    assert document["source"] == "landmarks"
    assert (opened[y - 10 : y + 40, x].mean(1) < 70).any()
    assert whites(REST) > 100
    assert whites(Pose({"blink0": 1.0})) < whites(REST) / 3


def test_no_face_is_seen_where_there_is_none(models: Path) -> None:
    """A logo and noise are mascots, and a mouth is not guessed."""
    for content in (logo(), as_png(Image.effect_noise((400, 400), 120).convert("RGB"))):
        rig = make_rig(Picture.of(content), Wishes(models))

        assert (rig.kind, document_of(rig)["mouth"], set(rig.textures)) == (
            "mascot", None, {"fg", "bg"},
        )  # fmt: skip


# ── points of a person ───────────────────────────────────────────────────────────────────


def hand_points() -> dict[str, tuple[float, float]]:
    """Answer the painted face's points, as a person marks them."""
    found: dict[str, tuple[float, float]] = {
        "mouth_left": MOUTH[0], "mouth_right": MOUTH[1], "lip_top": (320, 440),
        "lips_upper": (320, 455), "lips_lower": (320, 456), "lip_bottom": (320, 480),
        "chin": CHIN,
    }  # fmt: skip
    for side, (x, y) in zip(("left", "right"), EYES, strict=True):
        found |= {
            f"{side}_eye_left": (x - 36, y), f"{side}_eye_right": (x + 36, y),
            f"{side}_eye_top": (x, y - 16), f"{side}_eye_bottom": (x, y + 15),
        }  # fmt: skip
    return found


def test_points_alone_make_a_face_that_speaks() -> None:
    """Fifteen points do, without any model, in a grey picture too."""
    picture = Picture.of(as_png(painted_face().convert("L")))
    rig = make_rig(picture, Wishes(points=hand_points()))
    document = document_of(rig)
    x, y = (round(v) for v in document["mouth"]["centre"])

    assert (rig.kind, document["source"]) == ("face", "points")
    assert (
        drawn(rig, Pose({"jaw": 1.0}), box=(x - 9, y - 20, x + 9, y + 50))[
            y - 10 : y + 40, x
        ].mean(1)
        < 75
    ).any()
    assert named(from_points(hand_points()))["chin"] == (320, 540)


def test_a_corrected_point_moves_what_is_near_it(robin: Rig) -> None:
    """Of a known face one point is moved: its lips follow, and its eyes stay."""
    picture = ROBIN
    known = find_points(picture, None).points
    x, y = known["lip_bottom"]
    moved = make_rig(picture, Wishes(points={"lip_bottom": (x, y + 8)}))
    before, after = document_of(robin), document_of(moved)

    assert (before["source"], after["source"]) == ("drawn", "points")
    assert after["eyes"] == before["eyes"]
    rim, changed_rim = (
        np.array(each["vertices"]).reshape(-1, 2)[30:40] for each in (before, after)
    )
    assert (changed_rim[:, 1] - rim[:, 1]).max() == pytest.approx(8 * 1.40625, abs=1.5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"chin": (320.0, 9000.0)}, "Outside of the picture"),
        ({"chin": (320.0, 100.0)}, "lip_bottom must be above chin"),
        ({"mouth_left": (500.0, 455.0)}, "mouth_left must be left of lip_top"),
        ({"right_eye_left": (100.0, 300.0)}, "left_eye_right must be left of right_eye_left"),
    ],
)
def test_points_that_make_no_face_are_refused(change: Any, told: str) -> None:
    """Each with what is wrong with it."""
    with pytest.raises(PermanentError, match=told):
        make_rig(Picture.of(as_png(painted_face())), Wishes(points={**hand_points(), **change}))


def test_missing_points_are_named() -> None:
    """Where no model can find the rest, all of a face's points are needed."""
    with pytest.raises(PermanentError, match=r"missing: .*left_eye_left.*models pull face"):
        make_rig(Picture.of(as_png(painted_face())), Wishes(points={"chin": (1.0, 1.0)}))


# ── mascots ──────────────────────────────────────────────────────────────────────────────


def logo(*, alpha: bool = False) -> bytes:
    """Draw a ring with a white middle, on white or on nothing."""
    image = Image.new("RGBA", (600, 500), (255, 255, 255, 0 if alpha else 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse((150, 100, 450, 400), fill=(20, 120, 220, 255))
    draw.ellipse((230, 180, 370, 320), fill=(255, 255, 255, 255))
    return as_png(image if alpha else image.convert("RGB"))


@pytest.mark.parametrize("alpha", [False, True])
def test_a_logo_is_cut_out_of_its_ground(alpha: bool) -> None:  # noqa: FBT001
    """By its own alpha or by its even ground; the white in its middle is no hole."""
    rig = make_rig(Picture.of(logo(alpha=alpha)), Wishes(is_mascot=True))
    cut = texture(rig, "fg")[:, :, 3]
    document = document_of(rig)
    rows, columns = np.nonzero(cut > 128)
    low, high = rows.min(), rows.max() + 1
    middle = (columns.min() + columns.max() + 1) / 2

    assert cut[(low + high) // 2, 640] == 255
    assert cut[5, 5] == 0
    assert middle == pytest.approx(640, abs=2)
    assert document["pivot"] == pytest.approx([middle, high], abs=1)
    assert document["glow"]["colour"][2] > document["glow"]["colour"][0]
    assert (high - low) / 720 < 0.84


def test_a_mascots_mouth_is_where_its_user_put_it() -> None:
    """It opens there and nowhere else, and is shut at rest."""
    rig = make_rig(Picture.of(logo()), Wishes(mouth=(300.0, 350.0, 90.0)))
    document = document_of(rig)
    x, y = (round(v) for v in document["mouth"]["centre"])
    box = (x - 200, y - 150, x + 200, y + 150)
    rest, opened = drawn(rig, box=box), drawn(rig, Pose({"jaw": 1.0}), box=box)
    rows, columns = np.nonzero(changed(rest, opened))

    assert rig.kind == "mascot"
    assert x == pytest.approx(640, abs=2)
    assert (opened[y : y + 30, x].max(1) < 120).any()
    assert abs(rows.mean() - y) < 60
    assert columns.min() > x - 1.5 * document["mouth"]["width"]
    assert columns.max() < x + 1.5 * document["mouth"]["width"]


@pytest.mark.parametrize(
    "mouth", [(5.0, 300.0, 90.0), (300.0, 900.0, 90.0), (300.0, 300.0, 3.0)]
)
def test_a_mouth_outside_or_too_small_is_refused(mouth: tuple[float, float, float]) -> None:
    """It says how large the picture is, or how large a mouth must be."""
    with pytest.raises(PermanentError, match=r"600 × 500|24 are the least"):
        make_rig(Picture.of(logo()), Wishes(mouth=mouth))


def test_a_busy_picture_moves_less_towards_its_edges() -> None:
    """It can't be cut out, so it fills the frame and its edges stay where they are."""
    noise = as_png(Image.effect_noise((500, 500), 120).convert("RGB"))
    document = document_of(make_rig(Picture.of(noise), Wishes(is_mascot=True)))
    points = np.array(document["vertices"]).reshape(-1, 2)
    head = np.array(document["head"])

    assert head[np.abs(points[:, 0] - 640) > 635].max() == 0
    assert head[np.hypot(*(points - [640, 500]).T) < 80].min() > 0.9


# ── hostile pictures ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA"])
def test_every_usual_picture_can_be_looked_at(mode: str) -> None:
    """Whatever its colours are kept as; none of these has a face that is known."""
    found = find_points(Picture.of(as_png(painted_face().convert(mode))), None)

    assert (found.points, found.size) == ({}, (SIDE, SIDE))


def test_a_picture_is_turned_upright_first(models: Path) -> None:
    """A camera's word on which way is up counts before a face is looked for."""
    turned_back = painted_face().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    turned_back.save(out, "JPEG", exif=exif, quality=95)

    found = find_points(Picture.of(out.getvalue()), models)

    assert found.points["left_pupil"] == pytest.approx(EYES[0], abs=9)


@pytest.mark.parametrize("content", [b"", b"hello" * 1000, b"\x89PNG\r\n\x1a\n" + b"\0" * 2000])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    """With the reason, and never with a traceback."""
    with pytest.raises(PermanentError, match="The picture can't be used"):
        make_rig(Picture.of(content), Wishes())


# ── kept for ever ────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def two_rigs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a state directory with the rigs of two pictures, to be copied."""
    state = tmp_path_factory.mktemp("rigs")
    for picture in (ROBIN, OTHER):
        RigStore(state).get(picture)
    return state


@pytest.fixture
def store(tmp_path: Path, two_rigs: Path) -> RigStore:
    """Answer a store that holds both rigs already."""
    shutil.copytree(two_rigs / "rigs", tmp_path / "rigs")
    return RigStore(tmp_path)


def test_a_rig_once_made_is_the_same_for_ever(store: RigStore, tmp_path: Path) -> None:
    """It is read, not made again, and its file can't be written."""
    picture = ROBIN
    first = store.get(picture)
    kept = store.known(picture.sha256)
    assert kept is not None
    file = tmp_path / "rigs" / f"{kept.rig}.rig"
    stamp = file.stat().st_mtime_ns

    again = RigStore(tmp_path).get(picture)

    assert again == first
    assert file.stat().st_mtime_ns == stamp
    assert file.stat().st_mode & 0o777 == 0o400
    assert sha256(file.read_bytes()) == kept.rig
    assert parsed(first.document).picture == picture.sha256


def test_rig_of_makes_it_beside_the_loop(store: RigStore) -> None:
    """The loop goes on while a rig is made; two who ask at once get one rig."""
    picture = Picture.of(face_png(220))

    async def both() -> tuple[Rig, Rig, int]:
        beats = 0
        made = asyncio.gather(store.rig_of(picture), store.rig_of(picture))
        while not made.done():
            beats += 1
            await asyncio.sleep(0.005)
        first, second = await made
        return first, second, beats

    first, second, beats = asyncio.run(both())

    assert first == second
    assert beats > 10
    assert store.known(picture.sha256) is not None


@pytest.mark.parametrize("damage", ["rig", "short", "gone", "pointer", "another"])
def test_a_damaged_rig_is_an_error_with_the_next_step(
    store: RigStore, tmp_path: Path, damage: str
) -> None:
    """It is never built differently in silence; `--anew` is its user's own word."""
    picture = ROBIN
    store.get(picture)
    kept = store.known(picture.sha256)
    assert kept is not None
    file = tmp_path / "rigs" / f"{kept.rig}.rig"
    pointer = tmp_path / "rigs" / f"{picture.sha256}.json"
    content = file.read_bytes()
    file.chmod(0o600)
    if damage == "rig":
        file.write_bytes(content[:5000] + b"x" + content[5001:])
    elif damage == "short":
        file.write_bytes(content[:5000])
    elif damage == "gone":
        file.unlink()
    elif damage == "pointer":
        pointer.write_text("{")
    else:
        pointer.write_bytes((tmp_path / "rigs" / f"{OTHER.sha256}.json").read_bytes())

    with pytest.raises(HumanNeededError, match=r"can't be used.*avatar rig NAME --anew"):
        store.get(picture)


def test_a_damaged_rig_is_made_anew_on_its_users_word(store: RigStore, tmp_path: Path) -> None:
    """Where libraries and models are the same, it comes out as it was."""
    kept = store.known(ROBIN.sha256)
    assert kept is not None
    (tmp_path / "rigs" / f"{kept.rig}.rig").unlink()

    made, rig = store.remake(ROBIN, Wishes())

    assert made.rig == kept.rig
    assert store.get(ROBIN) == rig


def test_another_rig_is_its_users_word_and_keeps_the_earlier(
    store: RigStore, tmp_path: Path
) -> None:
    """Corrected points make another rig; the first one stays beside it."""
    picture = ROBIN
    store.get(picture)
    first = store.known(picture.sha256)
    assert first is not None
    x, y = store.points(picture).points["lip_bottom"]

    second, rig = store.remake(picture, Wishes(points={"lip_bottom": (x, y + 6)}))

    assert second.earlier == (first.rig,)
    assert store.get(picture) == rig
    assert (tmp_path / "rigs" / f"{first.rig}.rig").exists()


def test_without_models_a_photograph_moves_as_a_mascot_and_that_is_not_kept(
    store: RigStore, models: Path, tmp_path: Path
) -> None:
    """Nobody is kept out of a meeting; once the models are there its face is found."""
    picture = Picture.of(as_png(painted_face()))

    assert store.get(picture).kind == "mascot"
    assert store.known(picture.sha256) is None
    assert RigStore(tmp_path, models).get(picture).kind == "face"
    assert store.known(picture.sha256) is not None


def test_the_models_are_held_to_their_hashes(models: Path, tmp_path: Path) -> None:
    """A model with one wrong byte isn't used."""
    folder = folder_of(tmp_path, "face")
    folder.mkdir(parents=True)
    for file in models.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert is_pulled(tmp_path, "face")

    part = folder / "face_landmark.tflite"
    content = bytearray(part.read_bytes())
    content[1000] ^= 1
    part.write_bytes(content)

    assert not is_pulled(tmp_path, "face")
