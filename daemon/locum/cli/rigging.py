"""`locum persona avatar rig`: from a persona's picture to a face that moves, and its points."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locum.cli.ending import epilog
from locum.cli.places import ConfigOption, JsonOption
from locum.cli.terminal import out, out_json, say, working
from locum.cli.wardrobe import NameArgument, Place, place_of
from locum.errors import HumanNeededError, PermanentError

if TYPE_CHECKING:
    from locum.persona.rigging.making import FoundPoints, Wishes
    from locum.persona.rigging.points import Points
    from locum.persona.rigging.store import Kept, RigStore
    from locum.ports import Picture

RIG_EXAMPLES = epilog(
    "locum persona avatar rig robin",
    "locum persona avatar rig robin --edit",
    "locum persona avatar rig robin --points - > robin.json",
    "locum persona avatar rig robin --points robin.json",
    "locum persona avatar rig acme --mascot --mouth 512,640,180",
    exits="0 it has one, 1 none can be made of it, or its points make no face, "
    "3 the persona is locked, its rig is damaged, or the models are missing",
)
_SOURCES = {
    "landmarks": "its points were found by the landmark models",
    "points": "its points were given by hand",
    "drawn": "locum drew it, and knows its points",
    "none": "it moves as a whole",
}


def rig(
    name: NameArgument,
    *,
    points: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Take the points from this JSON or TOML; - prints those that are found.",
        ),
    ] = "",
    edit: Annotated[
        bool, typer.Option("--edit", help="Drag the points in a page on this machine.")
    ] = False,
    mascot: Annotated[
        bool, typer.Option("--mascot", help="Move the picture as a whole; look for no face.")
    ] = False,
    mouth: Annotated[
        str,
        typer.Option(
            metavar="X,Y,W",
            help="Give a mascot a mouth there: its middle and width, in the picture's pixels.",
        ),
    ] = "",
    anew: Annotated[
        bool, typer.Option("--anew", help="Make it once more, whatever there is.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a persona's picture into a face that speaks, blinks and breathes; once, for ever.

    A rig belongs to its picture, and is kept by the picture's hash: every meeting sees the same
    face. Only this command makes another one, and keeps the earlier one beside it. A face is
    found by models (`locum models pull face`); a picture without one, a logo, say, moves as a
    whole, and has a mouth only where you place one.
    """
    if sum([bool(points), edit, mascot or bool(mouth)]) > 1:
        raise typer.BadParameter("--points, --edit and --mascot exclude each other")
    place = place_of(config, name)
    store, picture = _store(place), _picture(place)
    if points == "-":
        _print_points(store, picture, name)
        return
    before = _before(store, picture, damaged_is_none=anew)
    if before is not None and not (points or edit or mascot or mouth or anew):
        _tell(before, name, json=json, was_there=True)
        return
    _refuse_if_locked(place, before)
    wishes = _wishes(store, picture, points=points, edit=edit, mascot=mascot, mouth=mouth)
    if wishes is None:
        say("Nothing was changed.")
        return
    if not (wishes.points or wishes.is_mascot or wishes.mouth or store.can_look(picture)):
        wishes = _faceless(wishes, place)
    with working(f"Making the face of {name} move"):
        kept, _ = store.remake(picture, wishes)
    _tell(kept, name, json=json)
    if kept.kind == "mascot" and not (wishes.is_mascot or wishes.mouth):
        say(
            f"No face was found in {place.card().image}: it moves as a whole. If there is one, "
            f"mark its points: `locum persona avatar rig {name} --edit`. A mouth for a mascot: "
            "--mouth X,Y,W."
        )


def _store(place: Place) -> RigStore:
    from locum import logs
    from locum.app.rigs import rig_store

    logs.configure(json=None, level="error")
    return rig_store(place.state)


def _picture(place: Place) -> Picture:
    from locum.files import UnreadableError, read_regular
    from locum.persona.folder import LARGEST_IMAGE
    from locum.ports import Picture

    image = place.card().image
    try:
        content, _ = read_regular(image, limit=LARGEST_IMAGE + 1)
    except UnreadableError as error:
        raise PermanentError(f"{image}: {error}.") from None
    if len(content) > LARGEST_IMAGE:
        raise PermanentError(f"{image}: more than {LARGEST_IMAGE:,} bytes.")
    return Picture.of(content)


def _before(store: RigStore, picture: Picture, *, damaged_is_none: bool) -> Kept | None:
    """Answer the rig that the picture has, once it was read and held to its hash."""
    try:
        store.load(picture)
        return store.known(picture.sha256)
    except HumanNeededError:
        if not damaged_is_none:
            raise
        return None


def _faceless(wishes: Wishes, place: Place) -> Wishes:
    """Answer the wishes for a picture in which no face need be looked for.

    Raises:
        HumanNeededError: Its owner hasn't said that it shows a mascot or a logo.
    """
    from locum.persona.folder import FaceKind, read_snapshot

    folder = place.card().folder
    kinds = {FaceKind.MASCOT, FaceKind.LOGO}
    if folder is not None and read_snapshot(folder).settings.face in kinds:
        return replace(wishes, is_mascot=True)
    raise HumanNeededError(
        f"Where the face of {place.name} is can't be told: the landmark models aren't here.",
        hint="Fetch them: `locum models pull face`. Or mark the points yourself (--edit), or "
        "say --mascot.",
    )


def _refuse_if_locked(place: Place, before: Kept | None) -> None:
    """A locked persona's face stays what it is; a first rig, or a damaged one's, may be made."""
    if before is None or not place.report()["locked"]:
        return
    raise HumanNeededError(
        f"The persona {place.name} is locked, and its face has a rig.",
        hint=f"To change it, set locked = false in {place.folder / 'persona.toml'} first.",
    )


def _wishes(
    store: RigStore, picture: Picture, *, points: str, edit: bool, mascot: bool, mouth: str
) -> Wishes | None:
    from locum.persona.rigging.making import Wishes
    from locum.persona.rigging.points import read_points

    if points:
        return Wishes(points=read_points(Path(points)))
    if edit:
        edited = _edited(store, picture)
        return None if edited is None else Wishes(points=edited)
    return Wishes(is_mascot=mascot, mouth=_mouth(mouth) if mouth else None)


def _mouth(given: str) -> tuple[float, float, float]:
    try:
        x, y, width = (float(part) for part in given.split(","))
    except ValueError:
        raise typer.BadParameter(
            f'a mouth is X,Y,W, three numbers of pixels, not "{given[:40]}"'
        ) from None
    return x, y, width


def _found(store: RigStore, picture: Picture) -> FoundPoints:
    with working("Looking for a face"):
        return store.points(picture)


def _print_points(store: RigStore, picture: Picture, name: str) -> None:
    from locum.persona.rigging.points import as_json

    found = _found(store, picture)
    if not found.points:
        raise PermanentError(
            f"No face was found in the picture of {name}"
            + ("." if store.can_look(picture) else ": the models aren't here.")
            + " Mark its points: --edit; or let them be found: `locum models pull face`."
        )
    out(as_json(found.points, found.source).decode().rstrip("\n"))


def _edited(store: RigStore, picture: Picture) -> Points | None:
    import asyncio

    from locum.persona.avatar import upright_png
    from locum.persona.rigging.editor import Editor
    from locum.persona.rigging.points import usual_points

    found = _found(store, picture)
    editor = Editor(
        upright_png(picture.content, named="The picture"),
        found.size,
        found.points or usual_points(found.size),
    )

    def opened(address: str) -> None:
        say(f"Open {address}\nIt ends when you save; Ctrl-C ends it too.")
        _show(address)

    return asyncio.run(editor.run(opened))


def _show(address: str) -> None:
    """Open a browser where one would open in a window; the address was told anyway."""
    import os
    import webbrowser

    if sys.platform == "darwin" or any(
        os.environ.get(each) for each in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    ):
        webbrowser.open(address)


def _tell(kept: Kept, name: str, *, json: bool, was_there: bool = False) -> None:
    if json:
        out_json(
            {
                "name": name,
                "rig": kept.rig,
                "kind": kept.kind,
                "source": kept.source,
                "earlier": list(kept.earlier),
                "was_there": was_there,
            }
        )
        return
    what = "a face that speaks" if kept.kind == "face" else "a mascot's motion"
    out(f"{name} has {what}: {_SOURCES[kept.source]}. Rig {kept.rig[:16]}.")
    if kept.earlier and not was_there:
        say(f"The one before, {kept.earlier[-1][:16]}, is kept beside it.")
