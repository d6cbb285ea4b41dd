"""`locum persona voice`: a persona's voice, cloned from a recording or one of the engine's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locum.cli.ending import epilog
from locum.cli.places import ConfigOption, JsonOption, read_config
from locum.cli.terminal import out, out_json, say, working
from locum.cli.wardrobe import NameArgument, Place, place_of, tell_daemon
from locum.errors import HumanNeededError, PermanentError

if TYPE_CHECKING:
    from locum.config.model import Config
    from locum.core.speech import Sound
    from locum.persona.recording import Recording
    from locum.persona.voices import Clone
    from locum.ports import Voice

_CLONE = epilog(
    "locum persona voice clone robin me.m4a",
    "locum persona voice clone robin me.wav --noise-reduction --later",
    "locum persona voice clone robin              from the recording that is kept",
    exits="0 cloned (or kept, with --later), 1 the recording can't be used, 3 a consent, a key "
    "or credits are missing, or the persona is locked, 78 the config can't be used",
)
_SET = epilog(
    "locum persona voice set robin English_radiant_girl",
    exits="0 it is the voice now, 1 that is no name of a voice, 3 the persona is locked",
)

_TRY = epilog(
    "locum persona voice try robin --out robin.wav",
    'locum persona voice try robin --voice joe --text "Good morning." --out joe.wav',
    exits="0 it is in the file, 1 it can't speak, 3 a consent, a key or credits are missing, "
    "78 the config can't be used",
)
_HELLO = (
    "Good morning. I am here in somebody's place today, and I will take your questions along."
)
_LONGEST_TRY = 1000


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="voice",
        help="Give a persona a voice.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_CLONE, short_help="Clone a voice from a recording of one person.")(
        clone
    )
    group.command("set", epilog=_SET)(set_voice)
    group.command("try", epilog=_TRY, short_help="Let a persona say something, into a file.")(
        try_voice
    )
    app.add_typer(group)


def clone(
    name: NameArgument,
    audio: Annotated[
        Path | None,
        typer.Argument(metavar="[AUDIO]", help="A recording. [default: the one that is kept]"),
    ] = None,
    *,
    noise_reduction: Annotated[
        bool, typer.Option("--noise-reduction", help="Take a steady noise out of it.")
    ] = False,
    later: Annotated[
        bool, typer.Option("--later", help="Only keep it; the next meeting clones it.")
    ] = False,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="Where. [default: every engine that can]")
    ] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Clone a voice from a recording of one person: 10 s to 5 min of speech.

    Any format that ffmpeg reads. Speech, silence, clipping and loudness are measured; what is
    kept, as a new version, is the speech at an even loudness. It is uploaded only once its
    owner's consent is on file. A clone that nobody uses for seven days is deleted by the
    service; from the recording it is made anew before the next meeting.
    """
    place = place_of(config, name)
    place.card()
    found = None if audio is None else _prepared(audio, noise_reduction=noise_reduction)
    if found is not None and audio is not None:
        _keep(place, found, audio)
    tell_daemon(config)
    used = None if later else read_config(config).config
    clones = [] if used is None else _cloned(place, used, engine)
    if json:
        out_json({"recording": found and _as_json(found), "clones": [_row(c) for c in clones]})
        return
    for each in clones:
        out(f"{name} speaks with {each.voice_id} at {each.place}.")
    if later:
        say("It is cloned before the next meeting, once the consent is on file.")


def _prepared(audio: Path, *, noise_reduction: bool) -> Recording:
    from locum.persona.recording import prepare

    with working(f"Listening to {audio}"):
        return prepare(audio, noise_reduction=noise_reduction)


def _keep(place: Place, found: Recording, audio: Path) -> None:
    from locum.cli.terminal import one_line
    from locum.persona.making import change

    made = change(
        place.folder,
        at=place.now,
        why=f"voice clone {one_line(audio.name)} (SHA-256 {found.original_sha256})",
        files={found.filename: found.content},
        settings={"voice": "cloned"},
    )
    rows = [
        ("kept", str(place.folder / found.filename)),
        ("length", f"{found.duration_s:.0f} s"),
    ]
    if found.speech_s is not None:
        silence = max(found.duration_s - found.speech_s, 0.0)
        rows += [
            ("speech", f"{found.speech_s:.0f} s"),
            ("no speech", f"{silence:.0f} s"),
            ("loudness", f"{found.loudness_lufs:.1f} LUFS, brought to -18"),
            ("clipped", f"{found.clipped:.2%}"),
        ]
    say(f"{place.name} is version {made.number} now.")
    for key, value in rows:
        say(f"  {key:<10} {value}")
    for remark in found.remarks:
        say(f"Note: {remark}.")


def _cloned(place: Place, config: Config, engine: str) -> list[Clone]:
    import asyncio

    able = [name for name, table in config.engines.items() if table.type == "pikastream"]
    if not able and not engine:
        say("The config has no engine that could clone it; it is kept.")
        return []
    if engine and engine not in config.engines:
        raise PermanentError(f"There is no engine {engine} in the config.")
    engines = [engine] if engine else able
    with working("Having it cloned"):
        return asyncio.run(_clone_at(place, config, engines))


async def _clone_at(place: Place, config: Config, engines: list[str]) -> list[Clone]:
    from locum.app.parts import Workshop, clock_of
    from locum.persona import Wardrobe

    workshop = Workshop(clock_of(config), place.state, os.environ)
    try:
        wardrobe = Wardrobe(place.state, workshop.cloners(config))
        return [
            await wardrobe.clone_anew(place.folder, engine=each, now=place.now)
            for each in engines
        ]
    finally:
        await workshop.aclose()


def _row(clone: Clone) -> dict[str, str]:
    return {"engine": clone.place, "voice_id": clone.voice_id, "sample": clone.sample}


def _as_json(found: Recording) -> dict[str, object]:
    return {
        "file": found.filename,
        "original_sha256": found.original_sha256,
        "duration_s": round(found.duration_s, 2),
        "speech_s": None if found.speech_s is None else round(found.speech_s, 2),
        "loudness_lufs": found.loudness_lufs,
        "true_peak_dbfs": found.peak_dbfs,
        "clipped": round(found.clipped, 6),
        "remarks": found.remarks,
    }


def set_voice(
    name: NameArgument,
    voice_id: Annotated[str, typer.Argument(metavar="ID", help="The engine's name for it.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Take one of the engine's own voices. A recording that is kept stays with its version."""
    from locum.persona.folder import is_clone, is_voice
    from locum.persona.making import change

    place = place_of(config, name)
    place.card()
    if is_clone(voice_id) or voice_id == "cloned":
        raise HumanNeededError(
            f"{voice_id} is a cloned voice.", hint=f"`locum persona voice clone {name} AUDIO`."
        )
    if not is_voice(voice_id):
        raise PermanentError(f"{voice_id[:80]!r} is no name of a voice.")
    made = change(
        place.folder, at=place.now, why=f"voice set {voice_id}", settings={"voice": voice_id}
    )
    tell_daemon(config)
    out(f"{name} is version {made.number} now, with the voice {voice_id}.")


def try_voice(
    name: NameArgument,
    *,
    out_file: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the sound goes, as WAV.")
    ],
    text: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="What it says. [default: a greeting]", show_default=False
        ),
    ] = _HELLO,
    voice: Annotated[
        str, typer.Option(metavar="VOICE", help="One of [voices]. [default: the persona's own]")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Let a persona say something, with the voice that it has in meetings of our own engine.

    Nothing takes over where that voice fails: the error is what a meeting's record would say.
    """
    import asyncio

    from locum.app.voices import VoiceMaker, voice_name

    place = place_of(config, name)
    card = place.card()
    used = read_config(config).config
    own = [each for each, table in used.engines.items() if table.type == "chromium"]
    if voice and voice not in used.voices:
        known = ", ".join(used.voices) or "none"
        raise PermanentError(f"There is no voice {voice} in the config; there is: {known}.")
    chosen = voice or voice_name(used, own[0] if own else "", name)
    maker = VoiceMaker(used, place.state, lambda: place.now, card, os.environ)
    with working(f"Listening to {chosen}"):
        sound, said_by, first_ms = asyncio.run(_heard(maker.named(chosen), text[:_LONGEST_TRY]))
    _write_wav(out_file, sound)
    out(str(out_file))
    lasting = sound.duration.total_seconds()
    say(f"{lasting:.1f} s by {said_by}; the first sound came after {first_ms:.0f} ms.")


async def _heard(voice: Voice, text: str) -> tuple[Sound, str, float]:
    """Answer all of what is said, by whom, and how long its first sound took, once it is warm."""
    import time

    from locum.core.speech import Sound

    try:
        await voice.warm()
        began, first, pcm, rate = time.monotonic(), 0.0, bytearray(), 0
        async for piece in voice.speak(text):
            first = first or time.monotonic() - began
            rate = piece.sound.rate
            pcm += piece.sound.pcm
        if not pcm:
            raise PermanentError(f"{voice.name} says nothing of that text.")
        return Sound(rate, bytes(pcm)), voice.name, first * 1000
    finally:
        await voice.aclose()


def _write_wav(path: Path, sound: Sound) -> None:
    import io
    import wave

    from locum.files import replace_file

    content = io.BytesIO()
    with wave.open(content, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(sound.rate)
        made.writeframes(sound.pcm)
    try:
        replace_file(path, content.getvalue(), mode=0o644)
    except OSError as error:
        raise PermanentError(f"{path} can't be written: {error.strerror}.") from error
