"""`locum persona`: who goes to meetings, made and kept on disk, version by version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from locum.cli import avatar, consenting, voice
from locum.cli.ending import FAILED, HUMAN_NEEDED, epilog
from locum.cli.places import ConfigOption, JsonOption
from locum.cli.terminal import day_and_time, out, out_json, say, table, working
from locum.cli.wardrobe import NameArgument, Place, all_places, place_of, tell_daemon
from locum.errors import PermanentError

_NEW = epilog(
    'locum persona new robin --display-name Robin --owner "Alex Example"',
    "locum persona new robin --display-name Robin --owner Alex --face me.jpg --kind photo",
    "locum persona new acme --display-name Ada --owner Acme --face logo.png --kind logo --locked",
    exits="0 made, 1 there is one already, or its picture can't be used",
)
_SHOW = epilog(
    "locum persona show robin",
    "locum persona show robin --json | jq -r .identity",
    exits="0, 1 there is none of that name",
)
_LIST = epilog("locum persona list", "locum persona list --json", exits="0")
_CHECK = epilog(
    "locum persona check robin",
    "locum persona check robin --json | jq .hashes",
    exits="0 it may join (warnings aside), 1 it can't be used, or there is none of that name, "
    "3 it needs a person: a consent, or a decision about a change",
)
_RESTORE = epilog(
    "locum persona restore robin --version 2",
    "locum persona restore robin              undo edits by hand, or `locum persona rm`",
    exits="0, 1 there is no such version, 3 the persona is locked",
)
_RM = epilog(
    "locum persona rm robin",
    "locum persona restore robin              bring it back",
    exits="0 it is in the trash, 1 there is none of that name",
)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="persona",
        help="Make and keep the personas that go to meetings.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_NEW, short_help="Make a persona, in a folder of its own.")(new)
    group.command(epilog=_SHOW, short_help="Show who a persona is, and whether it may join.")(
        show
    )
    group.command("list", epilog=_LIST, short_help="List those in use and those kept.")(
        list_all
    )
    group.command(epilog=_CHECK, short_help="Say whether a persona may join, and its hashes.")(
        check
    )
    avatar.add_to(group)
    voice.add_to(group)
    consenting.add_to(group)
    group.command(epilog=_RESTORE)(restore)
    group.command(epilog=_RM)(rm)
    app.add_typer(group)


# ── making ───────────────────────────────────────────────────────────────────────────────


def new(  # noqa: PLR0913 - One option a word of persona.toml.
    name: NameArgument,
    *,
    display_name: Annotated[
        str,
        typer.Option(metavar="TEXT", help="Its own name; the tile always says whose it is."),
    ] = "",
    owner: Annotated[str, typer.Option(metavar="TEXT", help="Whom it stands in for.")] = "",
    face: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its picture. [default: a drawn placeholder]"),
    ] = None,
    kind: avatar.KindOption = avatar.Kind.photo,
    voice: Annotated[
        str, typer.Option(metavar="ID", help="One of the engine's own voices.")
    ] = "English_radiant_girl",
    instructions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How to behave, and what to know, as plain text."),
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Refuse every later change (a brand's face).")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a persona: a folder with its names, face, voice and instructions.

    Prints the folder's path. What is missing is asked for on a terminal. A photograph needs its
    owner's consent before it may go (`locum persona consent`).
    """
    from locum.persona.folder import FaceKind
    from locum.persona.making import create, settings_of

    place = place_of(config, name)
    if place.inline:
        raise PermanentError(
            f"[personas.{name}] stands in {place.config_path}, with its face and names. Take "
            "these out there first (an empty [personas.NAME] means the folder)."
        )
    shown = FaceKind.DRAWN if face is None else FaceKind(kind.value)
    settings = settings_of(
        name,
        display_name=display_name or _asked("Its own name, as others see it"),
        owner=owner or _asked("Whom it stands in for"),
        face=shown,
        voice=voice,
        locked=locked,
    )
    words = _read_text(instructions) if instructions is not None else "Be brief and friendly.\n"
    picture = _drawn(name) if face is None else avatar.face_from(face, shown)
    create(place.folder, settings, face=picture, instructions=words, at=place.now)
    tell_daemon(config)
    out(str(place.folder))
    if face is None:
        say("Its face is a drawn placeholder: `locum persona avatar set` gives it another one.")
    if shown.is_somebodys:
        say(f"Next: `locum persona consent {name} --scope face`; nobody goes without.")
    if not place.is_configured:
        say(
            f"To let it go to meetings, write into {place.config_path}:\n\n  [personas.{name}]\n"
        )


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise PermanentError("Both --display-name and --owner are needed.")
    return str(typer.prompt(question, err=True)).strip()


def _drawn(name: str) -> tuple[str, bytes]:
    import hashlib

    from locum.rehearsal.face import face_png

    hue = hashlib.sha256(name.encode()).digest()[0] / 256
    return "face.png", face_png(512, hue=hue)


def _read_text(path: Path) -> str:
    from locum.files import UnreadableError, read_regular

    try:
        content, _ = read_regular(path, limit=32 * 1024 + 1)
        return content.decode("utf-8-sig")
    except UnreadableError as error:
        raise PermanentError(f"{path}: {error}.") from None
    except UnicodeDecodeError:
        raise PermanentError(f"{path}: it isn't written in UTF-8.") from None


# ── looking ──────────────────────────────────────────────────────────────────────────────


def show(name: NameArgument, *, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a persona: who it is, its version and identity, its voices, whether it may join."""
    from locum.persona.versions import versions_of

    place = place_of(config, name)
    found = place.report()
    versions: list[dict[str, Any]] = [
        {
            "version": each.number,
            "at": each.at.isoformat(),
            "why": each.why,
            "identity": each.identity,
        }
        for each in versions_of(place.folder)
    ]
    if json:
        out_json({**found, "versions": versions})
        return
    out(found["tile"])
    rows = [
        ("may join", "yes" if found["may_join"] else f"no: {found['trouble']}"),
        ("folder", found["folder"] or f"none: it stands in {place.config_path}"),
        ("identity", found["identity"] or ""),
        ("locked", "yes" if found["locked"] else "no"),
        *([("rig", found["rig"])] if found["rig"] else []),
        *(
            (
                "voice",
                f"{each['voice_id']} at {each['engine']}, unused {each['unused_days']} days",
            )
            for each in found["voices"]
        ),
    ]
    table(rows, indent=2)
    table(
        [
            (f"version {v['version']}", day_and_time(v["at"]), v["why"], v["identity"][:16])
            for v in versions
        ],
        indent=2,
    )


def list_all(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the personas that the config names, and those that are kept but not in use."""
    found = [(place, place.report()) for place in all_places(config) if _is_there(place)]
    if json:
        out_json([{**each, "in_config": place.is_configured} for place, each in found])
        return
    if not found:
        say("There are no personas yet: `locum persona new NAME`.")
    rows = []
    for place, each in found:
        version = f"version {each['version']}" if each["version"] else "in the config"
        told = each["trouble"] or ("" if place.is_configured else "not in the config")
        rows.append(
            ("ok" if each["may_join"] else "broken", each["name"], each["tile"], version, told)
        )
    table(rows)


def _is_there(place: Place) -> bool:
    return bool(place.inline or place.is_configured or place.folder.is_dir())


def check(name: NameArgument, *, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Say whether a persona may join, with the hash of everything that makes it up.

    Nothing is changed, and nobody is asked. The identity is one SHA-256 over all that a meeting
    gets of a persona; `locum status` and each summary name the one that joined.
    """
    from locum.app.persona_check import checked

    place = place_of(config, name)
    with working(f"Looking at {name}"):
        found = checked(place.name, place.card(), place.state, place.now)
    if json:
        out_json(found.as_json())
    else:
        _show_check(found.as_json())
    if not found.is_usable:
        raise typer.Exit(FAILED)
    if not found.may_join:
        raise typer.Exit(HUMAN_NEEDED)


def _show_check(found: dict[str, Any]) -> None:
    version = f", version {found['version']}" if found["version"] else ""
    out(f"{found['tile']}{version}")
    table([(key, value) for key, value in found["hashes"].items() if value], indent=2)
    table([(f["health"], f["subject"], f["detail"]) for f in found["findings"]])
    steps = [f["next_step"] for f in found["findings"] if f["next_step"]]
    if steps:
        out()
        out("What to do:")
        for step in dict.fromkeys(steps):
            out(f"  {step}")


# ── away, and back ───────────────────────────────────────────────────────────────────────


def restore(
    name: NameArgument,
    *,
    version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Which one. [default: the last recorded]"),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Bring an earlier version back, or a persona that was thrown away.

    The version becomes the newest one; nothing that was recorded is lost.
    """
    from locum.persona.making import bring_back
    from locum.persona.versions import restore as restored

    place = place_of(config, name)
    if not place.folder.exists():
        if bring_back(place.folder) is None:
            raise PermanentError(f"There is no persona {name}, and none in the trash.")
        out(f"{name} is back in {place.folder}.")
    else:
        try:
            made = restored(place.folder, version, at=place.now)
        except OSError as error:
            raise PermanentError(
                f"{place.folder} can't be written: {error.strerror}."
            ) from error
        out(f"{name} is version {made.number} now: {made.why}.")
    tell_daemon(config)


def rm(name: NameArgument, *, config: ConfigOption = None) -> None:
    """Put a persona away, into a trash folder beside the others.

    Its consents and recordings stay there until you delete that folder; a cloned voice at a
    service is deleted there after seven days without use.
    """
    from locum.persona.making import throw_away

    place = place_of(config, name)
    if place.inline:
        raise PermanentError(
            f"[personas.{name}] stands in {place.config_path}: take it out there."
        )
    there = throw_away(place.folder, at=place.now)
    tell_daemon(config)
    out(f"{name} is in {there} now. To bring it back: `locum persona restore {name}`.")
    if place.is_configured:
        say(f"[personas.{name}] in {place.config_path} names it still: it joins nothing.")
