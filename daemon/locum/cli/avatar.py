"""`locum persona avatar`: a persona's face, from a file or drawn, and what a meeting sees of it."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locum.cli.ending import epilog
from locum.cli.places import ConfigOption, read_config
from locum.cli.rigging import RIG_EXAMPLES, rig
from locum.cli.terminal import out, say, working
from locum.cli.wardrobe import NameArgument, Place, place_of, tell_daemon
from locum.errors import PermanentError

if TYPE_CHECKING:
    from locum.config.model import Config
    from locum.persona.folder import FaceKind

_SET = epilog(
    "locum persona avatar set robin me.jpg",
    "locum persona avatar set robin logo.png --kind logo",
    exits="0 it is the face now, 1 the picture can't be used, 3 the persona is locked",
)
_GENERATE = epilog(
    'locum persona avatar generate robin "a friendly robin in a blue scarf, flat drawing"',
    'locum persona avatar generate robin "a robin" --keep',
    'locum persona avatar generate robin "a robin" --output robin.png',
    exits="0 kept, or written with --output, 1 nothing was drawn or kept, 3 a key or credits "
    "are missing, or the persona is locked, 78 the config can't be used",
)
_PREVIEW = epilog(
    "locum persona avatar preview robin --out sheet.png",
    "locum persona avatar preview robin",
    "locum persona avatar preview robin --output tile.png",
    exits="0 written, 1 the face can't be used, 3 there is no Chromium, or the rig is damaged",
)
_MOST_TRIES = 10


class Kind(str, Enum):
    """What a picture shows. Only a photograph is somebody's, who has to consent."""

    photo = "photo"
    drawn = "drawn"
    generated = "generated"
    mascot = "mascot"
    logo = "logo"


KindOption = Annotated[
    Kind, typer.Option(help="What the picture shows; a photo needs its owner's consent.")
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="avatar",
        help="Give a persona a face, and see it as a meeting will.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("set", epilog=_SET)(set_face)
    group.command(epilog=_GENERATE, short_help="Have a face drawn, and keep it if you like.")(
        generate
    )
    group.command(
        epilog=RIG_EXAMPLES, short_help="Make the picture into a face that speaks and blinks."
    )(rig)
    group.command(epilog=_PREVIEW)(preview)
    app.add_typer(group)


def face_from(file: Path, kind: FaceKind) -> tuple[str, bytes]:
    """Make a face of a file; answers its name in a persona's folder, and its bytes."""
    from locum.persona.avatar import make_face, read_picture

    return make_face(read_picture(file), kind, named=str(file))


def set_face(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, JPEG or WebP.")],
    *,
    kind: KindOption = Kind.photo,
    config: ConfigOption = None,
) -> None:
    """Make a picture the persona's face, as a new version.

    It is turned upright, cut or set to a square of at most 1024 pixels, and encoded anew: where
    and with what it was taken is left behind. 16 megapixels are the most; animations and SVG are
    refused. A photograph is cut around its upper middle, anything drawn stays whole.
    """
    from locum.persona.folder import FaceKind

    place = place_of(config, name)
    place.card()
    shown = FaceKind(kind.value)
    with working(f"Looking at {file}"):
        face = face_from(file, shown)
    _wear(place, face, shown, why=f"avatar set {file.name}")
    tell_daemon(config)


def _wear(place: Place, face: tuple[str, bytes], kind: FaceKind, *, why: str) -> None:
    from locum.cli.terminal import one_line
    from locum.persona.making import change

    made = change(
        place.folder,
        at=place.now,
        why=one_line(why),
        files={face[0]: face[1]},
        settings={"face": kind.value},
    )
    out(f"{place.name} is version {made.number} now: {place.folder / face[0]}")
    if kind.is_somebodys:
        say(f"Next: `locum persona consent {place.name} --scope face`; nobody goes without.")


# ── drawing ──────────────────────────────────────────────────────────────────────────────


def generate(
    name: NameArgument,
    description: Annotated[str, typer.Argument(metavar="DESCRIPTION", help="What to draw.")],
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Take the first one, without asking.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Only write it there, as it came."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Have a face drawn, look at it, and keep it or have another one drawn.

    The config's [images] draws, or else its PikaStream engine; each picture may cost money
    there. Without a terminal, --keep or --output says what becomes of it.
    """
    import asyncio

    loaded = read_config(config)
    place = place_of(config, name)
    place.card()
    if not (keep or output) and not sys.stdin.isatty():
        raise PermanentError("Nobody can be asked here: say --keep, or --output FILE.")
    for _ in range(_MOST_TRIES):
        with working("Having it drawn"):
            drawn = asyncio.run(_draw(loaded.config, description))
        if output is not None:
            _write(output, drawn)
            out(str(output))
            return
        if keep or _wanted(place, drawn):
            _keep(place, drawn, description)
            tell_daemon(config)
            return
    raise PermanentError(f"Nothing was kept after {_MOST_TRIES} pictures.")


async def _draw(config: Config, description: str) -> bytes:
    from locum.app.parts import image_maker

    maker = image_maker(config, os.environ)
    try:
        return await maker.generate(description)
    finally:
        await maker.aclose()


def _wanted(place: Place, drawn: bytes) -> bool:
    from locum.persona.avatar import make_face, tile_png
    from locum.persona.folder import FaceKind

    _, face = make_face(drawn, FaceKind.GENERATED, named="What was drawn")
    shown = place.folder / "preview.png"
    _write(shown, tile_png(face, place.card().tile))
    say(f"See {shown}")
    answer = (
        str(typer.prompt("Keep it, another one, or quit? [k/a/q]", err=True)).strip().lower()
    )
    if answer.startswith("q"):
        raise PermanentError("Nothing was kept.")
    return answer.startswith("k")


def _keep(place: Place, drawn: bytes, description: str) -> None:
    from locum.persona.avatar import make_face
    from locum.persona.folder import FaceKind

    face = make_face(drawn, FaceKind.GENERATED, named="What was drawn")
    _wear(place, face, FaceKind.GENERATED, why=f"avatar generated: {description[:200]}")


# ── looking ──────────────────────────────────────────────────────────────────────────────


def preview(
    name: NameArgument,
    *,
    sheet: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write a sheet of all that it does."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="[default: preview.png in its folder]"
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write what a meeting sees of it, as a PNG.

    With --out, a sheet of the moving face that this machine's Chromium shows in a meeting: its
    mouth for every sound, blinks, glances, a nod; drawn as in a meeting. Else the still tile:
    the face, and the name below it.
    """
    from locum.files import UnreadableError, read_regular
    from locum.persona.avatar import tile_png
    from locum.persona.folder import LARGEST_IMAGE

    if sheet is not None and output is not None:
        raise typer.BadParameter("--out and --output exclude each other")
    place = place_of(config, name)
    card = place.card()
    try:
        face, _ = read_regular(card.image, limit=LARGEST_IMAGE)
    except UnreadableError as error:
        raise PermanentError(f"{card.image}: {error}.") from None
    if sheet is not None:
        _write(sheet, _sheet_of(place, face))
        out(str(sheet))
        return
    target = output or (
        Path(f"{name}-preview.png") if place.inline else place.folder / "preview.png"
    )
    _write(target, tile_png(face, card.tile))
    out(str(target))
    say(f"A still picture. How it speaks: `locum persona avatar preview {name} --out FILE`.")


def _sheet_of(place: Place, face: bytes) -> bytes:
    import asyncio

    from locum import logs
    from locum.app.chromium import drawing_browser
    from locum.app.rigs import rig_store
    from locum.engines.chromium.sheet import picture_sheet
    from locum.ports import Picture

    with working(f"Making the face of {place.name} move"):
        logs.configure(json=None, level="error")
        rig = rig_store(place.state).get(Picture.of(face))
        return asyncio.run(picture_sheet(rig, drawing_browser(place.config)))


def _write(path: Path, content: bytes) -> None:
    from locum.files import replace_file

    try:
        replace_file(path.absolute(), content, mode=0o644)
    except OSError as error:
        raise PermanentError(f"{path} can't be written: {error.strerror}.") from error
