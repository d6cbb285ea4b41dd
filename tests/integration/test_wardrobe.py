"""As whom a persona appears: the same bytes every time, a consent on file, its own voice."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from locum.core.identity import Identity
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.persona import PersonaCard, Wardrobe
from locum.persona.consent import Scope, file_consent
from locum.persona.versions import newest_version, restore, versions_of
from locum.persona.voices import clones_of
from locum.persona.wardrobe import standing_of
from locum.rehearsal.face import face_png
from tests.integration.persona_rig import NOW, Household, edited, hash_of, statement

DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> Household:
    return Household(tmp_path / "state")


async def identity(home: Household, *, later: timedelta = timedelta(0)) -> Identity:
    found = await home.wardrobe.appear(home.card(), engine="pika", now=NOW + later)
    return found.identity


async def refusal(home: Household, *, later: timedelta = timedelta(0)) -> str:
    with pytest.raises(HumanNeededError) as caught:
        await home.wardrobe.appear(home.card(), engine="pika", now=NOW + later)
    return str(caught.value)


# ── the same persona ─────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_what_is_hashed_is_what_is_sent(home: Household) -> None:
    """The identity's hash of the image is that of the bytes that go to the engine."""
    folder = home.make()

    found = await home.wardrobe.appear(home.card(), engine="pika", now=NOW)

    assert found.face.image.content == (folder / "face.png").read_bytes()
    assert found.identity.image == found.face.image.sha256 == hash_of(folder / "face.png")
    assert found.identity.version == 1
    assert found.identity.tile == "Robin (AI stand-in for Alex)"


@pytest.mark.anyio
async def test_an_identity_survives_restarts_and_reformatting(home: Household) -> None:
    """Neither another process nor a comment in persona.toml makes another persona."""
    folder = home.make()
    before = await identity(home)
    edited(folder / "persona.toml", lambda text: f"# a word\n{text}")

    after = await Wardrobe(home.state).appear(home.card(), engine="pika", now=NOW + DAY)

    assert after.identity == before
    assert len(versions_of(folder)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("instructions.md", b"Be brief."),
        ("face.png", face_png(128, hue=0.1)),
        ("persona.toml", b'display_name = "Robyn"\nowner = "Alex"\nface = "drawn"\n'),
        ("persona.toml", b'display_name="Robin"\nowner="Alex"\nface="drawn"\nvoice="Man"\n'),
    ],
)
@pytest.mark.anyio
async def test_a_changed_file_is_a_new_version(
    home: Household, name: str, content: bytes
) -> None:
    """Whatever a meeting gets of a persona, a change of it is numbered and kept."""
    folder = home.make()
    before = await identity(home)
    (folder / name).write_bytes(content)

    after = await identity(home, later=DAY)

    assert after.digest != before.digest
    assert (before.version, after.version) == (1, 2)
    old, new = versions_of(folder)
    assert (old.identity, new.identity) == (before.digest, after.digest)
    assert new.at == NOW + DAY


@pytest.mark.anyio
async def test_an_earlier_version_can_be_restored(home: Household) -> None:
    """Going back gives the very identity of then, as a new version."""
    folder = home.make()
    before = await identity(home)
    (folder / "face.png").unlink()
    (folder / "face.jpg").write_bytes(b"\xff\xd8\xff" + b"\1" * 2000)
    assert (await identity(home)).version == 2

    restore(folder, 1, at=NOW + DAY)

    after = await identity(home)
    assert (after.digest, after.version) == (before.digest, 3)
    assert not (folder / "face.jpg").exists()


@pytest.mark.anyio
async def test_a_locked_persona_refuses_changes(home: Household) -> None:
    """A brand's face stays, whoever put another file in its place; going back mends it."""
    folder = home.make(locked=True)
    before = await identity(home)
    (folder / "face.png").write_bytes(face_png(128, hue=0.1))

    told = await refusal(home)

    assert "locked" in told
    assert "face.png" in told
    assert "locum persona restore robin" in told
    assert "locked" in standing_of(home.card(), home.state, NOW).refusal(NOW)
    assert len(versions_of(folder)) == 1
    restore(folder, None, at=NOW)
    assert await identity(home) == before


def test_a_damaged_copy_is_never_restored(home: Household) -> None:
    """A kept file whose bytes have changed is refused by its hash."""
    folder = home.make()
    newest = newest_version(folder)
    assert newest is not None
    blob = folder / "blobs" / newest.files["face.png"]
    blob.chmod(0o600)
    blob.write_bytes(b"other")

    with pytest.raises(PermanentError, match="damaged"):
        restore(folder, 1, at=NOW)


@pytest.mark.anyio
async def test_a_folder_that_can_t_be_written_keeps_nobody_away(home: Household) -> None:
    """A version that can't be kept costs a warning; the digest still says who went."""
    folder = home.make()
    (folder / "instructions.md").write_text("Changed.")
    (folder / ".lock").unlink()
    (folder / ".lock").mkdir()

    found = await identity(home)

    assert (found.version, found.digest) == (None, home.snapshot().digest)


# ── files that others may have prepared ──────────────────────────────────────────────────

HOSTILE = {
    "no settings": ("persona.toml", None, "locum persona new"),
    "no face": ("face.png", None, "locum persona avatar set"),
    "not TOML": ("persona.toml", b"display_name = ", "not valid TOML"),
    "too deep": ("persona.toml", b"x = " + b"[" * 4000, "not valid TOML"),
    "a huge file": ("persona.toml", b"#" * 5000, "more than 4,096 bytes"),
    "an unknown key": ("persona.toml", b'display_name="A"\nowner="B"\nfase="logo"', "fase"),
    "another kind": ("persona.toml", b'display_name="A"\nowner="B"\nface="me"', "face"),
    "a hidden sign": ("persona.toml", b'display_name="A\\u202e"\nowner="B"', "U+202E"),
    "somebody's voice": (
        "persona.toml",
        b'display_name="A"\nowner="B"\nvoice="voice_eve_1"',
        "persona voice clone",
    ),
    "cloned without a recording": (
        "persona.toml",
        b'display_name="A"\nowner="B"\nvoice="cloned"',
        "voice.wav",
    ),
    "no picture": ("face.png", b"<svg>" * 999, "isn't what its name says"),
    "half a picture": ("face.png", b"\x89PNG\r\n\x1a\n", "more than 1 KB"),
    "two faces": ("face.jpg", b"\xff\xd8\xff" + b"0" * 2000, "there is face.png too"),
    "no text": ("instructions.md", b"\xff\xfe", "UTF-8"),
    "a long text": ("instructions.md", b"a" * 8001, "8,000 characters"),
}


@pytest.mark.parametrize(("name", "content", "told"), list(HOSTILE.values()), ids=list(HOSTILE))
def test_what_can_t_be_used_is_named(
    home: Household, name: str, content: bytes | None, told: str
) -> None:
    """A file that can't be used keeps its persona from joining, with the file and the step."""
    folder = home.make()
    card = home.card()
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)

    refused = standing_of(card, home.state, NOW).refusal(NOW)

    assert told in refused
    assert "robin" in refused


@pytest.mark.parametrize("kind", ["a link", "a pipe", "a folder"])
def test_what_is_no_file_is_never_waited_for(home: Household, kind: str) -> None:
    """Links, pipes and folders in a file's place are refused at once."""
    folder = home.make()
    card = home.card()
    path = folder / "face.png"
    path.rename(folder / "elsewhere.png")
    if kind == "a link":
        path.symlink_to(folder / "elsewhere.png")
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.mkdir()

    refused = standing_of(card, home.state, NOW).refusal(NOW)

    assert "face.png: it is a" in refused


# ── consent ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("face", ["drawn", "generated", "mascot", "logo"])
@pytest.mark.anyio
async def test_nobody_s_face_needs_no_consent(home: Household, face: str) -> None:
    """What was drawn is nobody's; a stock voice isn't either."""
    home.make(face=face)

    assert (await identity(home)).consents == ()


@pytest.mark.anyio
async def test_a_photograph_needs_consent(home: Household) -> None:
    """Without a statement on file nobody goes; with one its hash is in the record."""
    home.make(face="photo")

    told = await refusal(home)
    assert "nobody's consent" in told
    assert "locum persona consent robin --scope face" in told

    home.consent()
    assert len((await identity(home)).consents) == 1


@pytest.mark.anyio
async def test_consent_ends(home: Household) -> None:
    """On its last day a consent stops counting; meetings after it are refused ahead of time."""
    home.make(face="photo")
    home.consent(days=30)

    assert (await identity(home, later=29 * DAY)).version == 1
    assert "Alex's consent ended on 2026-12-23" in await refusal(home, later=30 * DAY)
    standing = standing_of(home.card(), home.state, NOW)
    assert standing.refusal(NOW + 29 * DAY) == ""
    assert "ends on 2026-12-23, before this meeting" in standing.refusal(NOW + 31 * DAY)


@pytest.mark.anyio
async def test_consent_is_for_that_very_picture(home: Household) -> None:
    """Another photograph in its place isn't covered."""
    folder = home.make(face="photo")
    home.consent()
    (folder / "face.png").write_bytes(face_png(128, hue=0.9))

    assert "another face than this one" in await refusal(home)


@pytest.mark.parametrize(
    "change",
    [
        ("2027", "2037"),
        ('person = "Alex"', 'person = "Eve"'),
        ('signature = "', 'signature = "A'),
    ],
    ids=["date", "person", "signature"],
)
@pytest.mark.anyio
async def test_a_changed_statement_is_worthless(
    home: Household, change: tuple[str, str]
) -> None:
    """Not one word of a signed statement can be changed."""
    folder = home.make(face="photo")
    home.consent()
    edited(folder / "consent-face.toml", lambda text: text.replace(*change))

    assert "isn't signed by this installation" in await refusal(home)


@pytest.mark.anyio
async def test_a_statement_of_another_installation_doesn_t_count(
    home: Household, tmp_path: Path
) -> None:
    """A folder that was copied here brings no consent along."""
    folder = home.make(face="photo")
    other = Household(tmp_path / "other")
    asset = home.snapshot().face.sha256
    file_consent(folder, statement("robin", Scope.FACE, asset), other.key)

    assert "isn't signed by this installation" in await refusal(home)


@pytest.mark.anyio
async def test_a_statement_doesn_t_serve_another_persona(home: Household) -> None:
    """A consent that names one persona is none for its neighbour with the same face."""
    home.make(face="photo")
    home.make("wren", face="photo")
    home.consent("wren")
    (home.folder("wren") / "consent-face.toml").rename(home.folder() / "consent-face.toml")

    assert "about something else" in await refusal(home)


# ── voices ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def speaking(home: Household) -> Household:
    home.make(voice="cloned")
    home.consent()
    return home


@pytest.mark.anyio
async def test_no_voice_is_uploaded_without_consent(home: Household) -> None:
    """The recording stays here until its owner's word is on file."""
    home.make(voice="cloned")

    assert "this voice" in await refusal(home)
    assert home.cloner.samples == []


@pytest.mark.anyio
async def test_a_voice_is_cloned_once_and_kept_in_use(speaking: Household) -> None:
    """Used every few days, a clone lasts for ever; it is known after a restart."""
    home = speaking
    for day in range(0, 40, 5):
        at = NOW + day * DAY
        wardrobe = Wardrobe(home.state, {"pika": home.cloner})
        found = await wardrobe.appear(home.card(), engine="pika", now=at)
        assert found.face.voice_id == "voice_robin_1"
        await wardrobe.used(found.identity, found.card, engine="pika", now=at)
    assert home.cloner.samples == [(home.folder() / "voice.wav").read_bytes()]


@pytest.mark.anyio
async def test_a_voice_that_may_be_gone_is_cloned_anew(speaking: Household) -> None:
    """After seven days without use the next join gets a fresh clone of the same recording."""
    first = await identity(speaking)
    second = await identity(speaking, later=7 * DAY)

    assert (first.voice_id, second.voice_id) == ("voice_robin_1", "voice_robin_2")
    assert first.digest == second.digest
    assert speaking.cloner.samples[0] == speaking.cloner.samples[1]


@pytest.mark.anyio
async def test_a_voice_is_readied_for_when_the_meeting_begins(speaking: Household) -> None:
    """What lasts now, and not until the start, is cloned ahead of time."""
    await identity(speaking)
    at = NOW + 7 * DAY - timedelta(minutes=90)

    await speaking.wardrobe.appear(
        speaking.card(), engine="pika", now=at, begins=at + timedelta(minutes=45)
    )

    assert clones_of(speaking.folder())["pika"].voice_id == "voice_robin_2"


@pytest.mark.parametrize("error", [TransientError("busy"), PermanentError("too short")])
@pytest.mark.anyio
async def test_no_other_voice_takes_its_place(speaking: Household, error: LocumError) -> None:
    """If it can't be cloned, nobody goes: never silently with a stock voice."""
    speaking.cloner.fails = error

    with pytest.raises(LocumError, match=str(error)):
        await identity(speaking)


@pytest.mark.anyio
async def test_an_engine_that_can_t_clone_is_named(speaking: Household) -> None:
    """Another engine without cloning refuses, with what to do instead."""
    with pytest.raises(HumanNeededError, match="other can't clone"):
        await speaking.wardrobe.appear(speaking.card(), engine="other", now=NOW)


@pytest.mark.anyio
async def test_another_recording_is_another_voice(speaking: Household) -> None:
    """A clone is only used for the recording that it was made from."""
    before = await identity(speaking)
    (speaking.folder() / "voice.wav").write_bytes(b"RIFF" + b"\2" * 4000)
    speaking.consent()

    after = await identity(speaking)

    assert after.voice_id == "voice_robin_2"
    assert after.digest != before.digest


# ── personas in the config ───────────────────────────────────────────────────────────────


def inline(image: Path, voice_id: str = "English_radiant_girl") -> PersonaCard:
    return PersonaCard("robin", "Robin", "Alex", image, voice_id)


@pytest.mark.anyio
async def test_a_persona_in_the_config_has_an_identity_too(
    home: Household, tmp_path: Path
) -> None:
    """It has no versions, but the record names its bytes; a new file is read anew."""
    image = tmp_path / "face.png"
    image.write_bytes(face_png(128))
    first = await home.wardrobe.appear(inline(image), engine="pika", now=NOW)
    assert first.identity.version is None
    assert first.identity.image == hash_of(image)

    image.write_bytes(face_png(128, hue=0.1))
    second = await home.wardrobe.appear(inline(image), engine="pika", now=NOW)

    assert second.face.image.content == image.read_bytes()
    assert second.identity.digest != first.identity.digest


@pytest.mark.anyio
async def test_an_image_behind_a_link_is_followed(home: Household, tmp_path: Path) -> None:
    """The config may name a link; what it points to is read anew when it changes."""
    target, image = tmp_path / "target.png", tmp_path / "face.png"
    image.symlink_to(target)
    for hue in (0.2, 0.7):
        target.write_bytes(face_png(128, hue=hue))
        found = await home.wardrobe.appear(inline(image), engine="pika", now=NOW)
        assert found.face.image.content == target.read_bytes()


@pytest.mark.anyio
async def test_a_clone_in_the_config_is_refused(home: Household, tmp_path: Path) -> None:
    """Nobody's voice without their consent on file, and the config has no place for one."""
    image = tmp_path / "face.png"
    image.write_bytes(face_png(128))
    card = inline(image, "voice_alex_20261101")

    assert "consent" in standing_of(card, home.state, NOW).refusal(NOW)
    with pytest.raises(HumanNeededError, match="locum persona new"):
        await home.wardrobe.appear(card, engine="pika", now=NOW)


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "no such file"), (b"\x89PNG", "more than 1 KB"), (b"<svg>" * 999, "PNG nor JPEG")],
)
@pytest.mark.anyio
async def test_an_image_that_can_t_be_used_is_named(
    home: Household, tmp_path: Path, content: bytes | None, told: str
) -> None:
    """A file that was replaced by something else is refused, by its path."""
    image = tmp_path / "face.png"
    if content is not None:
        image.write_bytes(content)

    with pytest.raises(PermanentError, match=told) as caught:
        await home.wardrobe.appear(inline(image), engine="pika", now=NOW)
    assert str(image) in str(caught.value)
