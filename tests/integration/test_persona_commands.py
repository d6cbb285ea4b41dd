"""`locum persona …` from making one to throwing it away, as a user gives the commands."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import locum
from locum.cli.root import app
from locum.core.secret import Secret
from locum.persona.voices import Clone, keep_clone
from locum.rehearsal.clock import HandClock
from locum.rehearsal.face import face_png
from locum.rehearsal.pikastream import PikaSettings, PikaStage, pikastream_app
from locum.rehearsal.rooms import Rooms
from locum.rehearsal.serving import served
from tests.integration.persona_rig import NOW, hash_of

KEY = "dk_planted-0123456789-canary"
WORDS = ("--display-name", "Robin", "--owner", "Alex")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing of the caller's own set-up be found, nor touched."""
    for name in list(os.environ):
        if name.startswith(("LOCUM_", "XDG_", "PIKA_")) or name.endswith("_DIRECTORY"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


def does(*arguments: str | Path, code: int = 0, said: str = "") -> Any:
    done = CliRunner().invoke(
        app, ["persona", *(str(each) for each in arguments)], input=said, prog_name="locum"
    )
    assert done.exit_code == code, done.output
    return done


def told(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(does(*arguments, "--json", code=code).stdout)


def photo(path: Path, colour: str = "red") -> Path:
    image = Image.effect_noise((400, 400), 90).convert("RGB")
    image.paste(colour, (0, 0, 200, 200))
    out = io.BytesIO()
    image.save(out, "JPEG")
    path.write_bytes(out.getvalue())
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        width, height = image.size
    return int(width), int(height)


@pytest.fixture
def folder(own_home: Path) -> Path:
    """Answer the folder of robin, who was made just now."""
    made = Path(does("new", "robin", *WORDS).stdout.strip())
    assert made == own_home / ".local/state/locum/personas/robin"
    return made


def test_a_new_persona_can_go_at_once(folder: Path) -> None:
    """Without a picture it gets a drawn one; nothing of it needs a consent."""
    found = told("check", "robin")

    assert found["may_join"]
    assert found["tile"] == "Robin (AI stand-in for Alex)"
    assert found["version"] == 1
    assert found["hashes"]["face.png"] == hash_of(folder / "face.png")
    assert found["hashes"]["persona.toml"] == hash_of(folder / "persona.toml")
    assert len(found["hashes"]["identity"]) == 64
    assert {each["health"] for each in found["findings"]} == {"ok"}
    assert told("show", "robin")["identity"] == found["hashes"]["identity"]


def test_nothing_is_made_twice_or_by_half(folder: Path, tmp_path: Path) -> None:
    """A name that is taken, a bad picture and a bad name leave everything as it was."""
    before = hash_of(folder / "persona.toml")
    (tmp_path / "bad.png").write_bytes(b"no picture")

    assert "already" in does("new", "robin", *WORDS, code=1).stderr
    assert "no PNG" in does("new", "wren", *WORDS, "--face", "bad.png", code=1).stderr
    assert "no name" in does("new", "../wren", *WORDS, code=1).stderr
    assert "--display-name" in does("new", "wren", code=1).stderr
    assert (
        "U+202E"
        in does("new", "wren", "--display-name", "a\u202e", "--owner", "b", code=1).stderr
    )
    assert hash_of(folder / "persona.toml") == before
    assert [path.name for path in folder.parent.iterdir()] == ["robin"]


def test_a_photograph_and_its_consent(folder: Path, tmp_path: Path) -> None:
    """A photograph keeps its persona at home until the consent is on file, and after it ends."""
    identity = told("check", "robin")["hashes"]["identity"]
    does("avatar", "set", "robin", photo(tmp_path / "me.jpg"))
    refused = told("check", "robin", code=3)
    assert not refused["may_join"]
    assert refused["version"] == 2
    assert refused["hashes"]["identity"] != identity

    assert (
        "--yes"
        in does("consent", "robin", "--person", "Alex", "--how", "in writing", code=1).stderr
    )
    [given] = told("consent", "robin", "--person", "Alex", "--how", "in writing", "--yes")

    assert given["ok"]
    assert given["statement"]["asset"] == hash_of(folder / "face.jpg")
    found = told("check", "robin")
    assert found["may_join"]
    assert found["hashes"]["consent-face.toml"] == given["sha256"]
    does("consent", "robin", "--revoke")
    assert not told("check", "robin", code=3)["may_join"]


def test_consent_has_an_end(folder: Path, tmp_path: Path) -> None:
    """An end is a date or a number of days, after today and not for ever."""
    does("avatar", "set", "robin", photo(tmp_path / "me.jpg"))
    words = ("consent", "robin", "--person", "Alex", "--how", "so", "--yes", "--expires")

    for end in ("0d", "9999d", "2020-01-01", "soon", "-5d"):
        assert "is no end" in does(*words, end, code=1).stderr
    [given] = told(*words, "30d")
    assert given["ok"]
    soon = told("check", "robin")["findings"]
    assert [each["health"] for each in soon if each["subject"] == "consent to the face"] == [
        "warning"
    ]


def test_a_spoken_passcode_is_kept_for_a_human(folder: Path, tmp_path: Path) -> None:
    """The phrase and its recording stand in the statement; nothing pretends to have heard it."""
    does("avatar", "set", "robin", photo(tmp_path / "me.jpg"))
    words = ("consent", "robin", "--person", "Alex", "--how", "spoken", "--yes")
    (tmp_path / "said.m4a").write_bytes(b"\1" * 4000)
    assert "--passcode" in does(*words, "--recording", "said.m4a", code=1).stderr

    phrase = does("consent", "robin", "--passcode").stdout.strip()
    [given] = told(*words, "--recording", "said.m4a")

    statement = given["statement"]
    assert (statement["passcode"], statement["heard_by"]) == (phrase, "")
    assert statement["passcode_recording"] == hash_of(tmp_path / "said.m4a")
    assert "nobody has listened" in json.dumps(told("check", "robin"))
    [heard] = told("consent", "robin", "--heard-by", "Bo")
    assert heard["statement"]["heard_by"] == "Bo"
    assert "nobody has listened" not in json.dumps(told("check", "robin"))


def test_a_locked_persona_takes_no_changes(tmp_path: Path, own_home: Path) -> None:
    """A brand's face refuses every command that would change it, until it is unlocked by hand."""
    folder = Path(does("new", "acme", *WORDS, "--locked").stdout.strip())
    (tmp_path / "logo.png").write_bytes(face_png(256, hue=0.9))
    change = ("avatar", "set", "acme", "logo.png", "--kind", "logo")

    assert "locked" in does(*change, code=3).stderr
    assert "locked" in does("voice", "set", "acme", "Man", code=3).stderr
    assert told("check", "acme")["version"] == 1
    settings = folder / "persona.toml"
    settings.write_text(settings.read_text().replace("locked = true", "locked = false"))
    does(*change)
    assert told("check", "acme")["version"] == 2


def test_edits_by_hand_can_be_undone(folder: Path) -> None:
    """`check` tells what was changed; `restore` brings the last version back."""
    identity = told("check", "robin")["hashes"]["identity"]
    (folder / "instructions.md").write_text("Promise everything.")
    changed = told("check", "robin")
    assert changed["version"] is None
    assert "instructions.md" in json.dumps(changed["findings"])

    does("restore", "robin")

    assert told("check", "robin")["hashes"]["identity"] == identity
    assert "no version 9" in does("restore", "robin", "--version", "9", code=1).stderr


def test_comments_survive_a_command(folder: Path) -> None:
    """What a person wrote into persona.toml stays when a command sets a value there."""
    settings = folder / "persona.toml"
    settings.write_text(f"# mine\n{settings.read_text()}")

    does("voice", "set", "robin", "Calm_man")

    assert settings.read_text().startswith("# mine\n")
    assert 'voice = "Calm_man"' in settings.read_text()


def test_a_change_that_can_t_be_used_is_undone(folder: Path, tmp_path: Path) -> None:
    """A folder whose instructions are damaged by hand refuses commands, and loses nothing."""
    (folder / "instructions.md").write_bytes(b"\xff")
    before = hash_of(folder / "face.png")

    assert "UTF-8" in does("avatar", "set", "robin", photo(tmp_path / "a.jpg"), code=3).stderr
    assert hash_of(folder / "face.png") == before
    assert told("check", "robin", code=1)["may_join"] is False


def test_what_is_thrown_away_comes_back(folder: Path) -> None:
    """`rm` moves it to the trash, and `restore` brings it back whole."""
    identity = told("check", "robin")["hashes"]["identity"]

    assert "locum persona restore robin" in does("rm", "robin").stdout
    assert not folder.exists()
    assert "locum persona new robin" in does("check", "robin", code=1).stderr
    assert told("list") == []

    does("restore", "robin")
    assert told("check", "robin")["hashes"]["identity"] == identity
    does("rm", "wren", code=1)


def test_the_list_names_who_is_in_use(folder: Path, own_home: Path) -> None:
    """Personas of the config stand beside those that are only kept."""
    config = own_home / ".config/locum/locum.toml"
    config.parent.mkdir(parents=True)
    (config.parent / "a.png").write_bytes(face_png(256))
    config.write_text(
        '[attend]\npersona = "robin"\n[personas.robin]\n[personas.ada]\n'
        'display_name = "Ada"\nowner = "Bo"\nimage = "a.png"\n'
    )
    does("new", "wren", *WORDS)

    found = {each["name"]: (each["in_config"], each["may_join"]) for each in told("list")}

    assert found == {"ada": (True, True), "robin": (True, True), "wren": (False, True)}
    assert "stands in" in does("rm", "ada", code=1).stderr


def test_a_preview_is_a_picture(folder: Path, tmp_path: Path) -> None:
    """What a meeting sees is written as a PNG, and nothing pretends to be a clip."""
    done = does("avatar", "preview", "robin", "-o", "tile.png")

    assert size_of(tmp_path / "tile.png") == (1280, 720)
    assert "avatar preview robin --out FILE" in done.stderr


# ── drawing and cloning, at the stage ────────────────────────────────────────────────────


@pytest.fixture
def stage(own_home: Path) -> Iterator[PikaStage]:
    """Serve PikaStream's stage, named by the config of this home."""
    clock = HandClock(NOW)
    made = PikaStage(
        now=clock.now, rooms=Rooms(now=clock.now), settings=PikaSettings(api_key=KEY)
    )
    with served(pikastream_app(made)) as server:
        config = own_home / ".config/locum/locum.toml"
        config.parent.mkdir(parents=True)
        key = own_home / "pika.key"
        key.write_text(Secret(KEY).reveal())
        key.chmod(0o600)
        config.write_text(
            "[personas.robin]\n[engines.pika]\ntype = 'pikastream'\n"
            f"base_url = '{server.base_url}'\napi_key_file = '{key}'\n"
        )
        yield made


def test_a_face_is_drawn_and_kept(stage: PikaStage, own_home: Path) -> None:
    """What the engine draws becomes the face, as one that is nobody's."""
    does("new", "robin", *WORDS)

    assert "--keep" in does("avatar", "generate", "robin", "a robin", code=1).stderr
    does("avatar", "generate", "robin", "a robin in a scarf", "--keep")

    assert told("check", "robin")["version"] == 2
    assert (
        'face = "generated"'
        in (own_home / ".local/state/locum/personas/robin/persona.toml").read_text()
    )
    does("avatar", "generate", "robin", "a wren", "--output", "wren.png")
    assert size_of(Path("wren.png")) == (1024, 1024)


@pytest.mark.parametrize(
    ("answers", "version", "draws"), [("a\nk\n", 2, 2), ("q\n", 1, 1)], ids=["keep", "quit"]
)
def test_a_drawn_face_is_looked_at_first(
    stage: PikaStage, own_home: Path, answers: str, version: int, draws: int
) -> None:
    """At a terminal one sees each picture, and keeps it, has another one drawn, or leaves it."""
    does("new", "robin", *WORDS)
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "locum",
        "persona",
        "avatar",
        "generate",
        "robin",
        "a robin",
    ]
    try:
        os.write(ours, answers.encode())
        done = subprocess.run(
            command,
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(locum.__file__).parents[1])},
        )
    finally:
        os.close(ours)
        os.close(theirs)

    assert done.returncode == (0 if version == 2 else 1), done.stderr
    assert size_of(own_home / ".local/state/locum/personas/robin/preview.png") == (1280, 720)
    assert told("check", "robin")["version"] == version
    assert len(stage.log.matching("/proxy/openai/v1/images/generations", "POST")) == draws


def test_a_voice_waits_for_its_consent(
    stage: PikaStage, own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A recording is kept at once, and uploaded only when its owner has agreed."""
    from locum.persona import recording

    monkeypatch.setattr(recording, "has_ffmpeg", lambda: False)
    does("new", "robin", *WORDS)
    tone(tmp_path / "me.wav")

    assert "nobody's consent" in does("voice", "clone", "robin", "me.wav", code=3).stderr
    assert stage.log.matching("/proxy/minimax/v1/files/upload", "POST") == []
    does("consent", "robin", "--person", "Alex", "--how", "said so", "--yes")
    [cloned] = told("voice", "clone", "robin")["clones"]

    assert cloned["engine"] == "pika"
    assert cloned["sample"] == hash_of(own_home / ".local/state/locum/personas/robin/voice.wav")
    assert told("show", "robin")["voices"][0]["voice_id"] == cloned["voice_id"]


def test_a_voice_that_is_taken_back_leaves_no_state(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a model read of the recording is deleted with the consent, and what stays is said."""
    from locum.persona import recording

    monkeypatch.setattr(recording, "has_ffmpeg", lambda: False)
    folder = Path(does("new", "robin", *WORDS).stdout.strip())
    tone(tmp_path / "me.wav")
    does("voice", "clone", "robin", "me.wav", "--later")
    sample = hash_of(folder / "voice.wav")
    voices = own_home / ".local/state/locum/voices"
    voices.mkdir()
    kept = voices / f"pocket-0123456789abcdef-{sample}.safetensors"
    kept.touch()
    does("consent", "robin", "--person", "Alex", "--how", "said so", "--yes")
    does("consent", "robin", "--show")
    assert kept.exists()
    clone = Clone("pika", "voice_robin_1", sample, cloned_at=NOW, used_at=NOW)
    keep_clone(folder, clone)

    said = does("consent", "robin", "--revoke").stderr

    assert not kept.exists()
    assert "(1 in all)" in said
    assert f"The recording stays, with its versions, until you delete {folder}" in said
    assert "The clone voice_robin_1 at pika" in said
    kept.touch()
    does("consent", "robin", "--show", code=3)
    assert not kept.exists()


def tone(path: Path, seconds: int = 12, rate: int = 16_000) -> None:
    import array
    import math
    import wave

    samples = array.array("h", (int(9000 * math.sin(n / 9)) for n in range(rate * seconds)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
