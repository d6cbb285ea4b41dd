"""What no single setting can know: whether the settings fit each other, and the disk.

These read the values as they stand in the file, not the finished Config, so that they find
what they can even where some other setting is wrong. What has the wrong type is passed
over: validation says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from locum.config.calendars import Calendar
from locum.config.engines import ChromiumEngine, PikaStream
from locum.config.lines import KeyPath
from locum.config.model import Images
from locum.config.problems import MAX_SHOWN, Problem, meaning, suggest
from locum.config.talking import ElevenLabsTable, SpeechServiceTable
from locum.config.values import Places, is_loopback, parse_duration, shown, shown_path
from locum.core.names import PLACE
from locum.files import UnreadableError, read_regular

MIN_IMAGE_BYTES = 1024
MAX_IMAGE_BYTES = 16 * 1024 * 1024
LEAST_POLL = timedelta(seconds=5)

Table = Mapping[str, Any]


def cross_checks(
    values: Table, places: Places, *, engine_address: str | None = None
) -> Iterator[Problem]:
    """Find everything that doesn't fit together.

    Args:
        values: The file's values, as parsed.
        places: Where relative paths start.
        engine_address: What the environment puts in place of the engines' base_url, if so.
    """
    yield from _names(values)
    yield from _voices(values)
    yield from _accounts(values)
    yield from _browsers(values)
    yield from _duplicates(values)
    yield from _polls(values)
    yield from _push(values)
    yield from _caps(values)
    yield from _brain(values)
    yield from _sinks(values)
    yield from _stage(values, engine_address)
    yield from _personas(values)
    yield from _actions(values)
    yield from _images(values, places)


def _table(value: Any) -> Table:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[tuple[int, Table]]:
    """Answer an array's tables with their places, passing over what is none."""
    if not isinstance(value, list):
        return []
    return [(index, item) for index, item in enumerate(value) if isinstance(item, Mapping)]


def _account_items(values: Table) -> list[tuple[int, Table]]:
    return _items(_table(values.get("calendar")).get("accounts"))


# ── names that point somewhere ───────────────────────────────────────────────────────────


def _names(values: Table) -> Iterator[Problem]:
    for kind, tables in (("persona", "personas"), ("engine", "engines")):
        known = _table(values.get(tables))
        unknown = [(path, name) for path, name in _mentions(values, kind) if name not in known]
        for number, (path, name) in enumerate(unknown):
            wanted = f"there is no {kind} {shown(name)}."
            # No more than can be shown: a suggestion takes time.
            hint = suggest(name, known) if number < MAX_SHOWN else ""
            make = f" Make a [{tables}.NAME] table." if not known else ""
            yield Problem(path, f"{wanted}{hint}{make}")
        attend = values.get("attend")
        if len(known) > 1 and kind not in _table(attend):
            yield Problem(
                ("attend", kind),
                f"is missing. There are {len(known)} {tables} ({', '.join(list(known)[:8])}): "
                "say which is taken where nothing else names one",
                at=("attend",) if attend is not None else (tables, list(known)[1]),
            )


def _mentions(values: Table, kind: str) -> Iterator[tuple[KeyPath, str]]:
    spots: list[tuple[KeyPath, Table]] = [(("attend",), _table(values.get("attend")))]
    spots += [(("rules", index), rule) for index, rule in _items(values.get("rules"))]
    if kind == "persona":
        spots += [
            (("calendar", "accounts", index), item) for index, item in _account_items(values)
        ]
    for path, table in spots:
        name = table.get(kind)
        if isinstance(name, str):
            yield (*path, kind), name


def _voices(values: Table) -> Iterator[Problem]:
    known = _table(values.get("voices"))
    for name, persona in _table(values.get("personas")).items():
        voice = _table(persona).get("speaks_with")
        if isinstance(voice, str) and voice not in known:
            hint = suggest(voice, known) if known else " Make a [voices.NAME] table."
            path: KeyPath = ("personas", name, "speaks_with")
            yield Problem(path, f"there is no voice {shown(voice)}.{hint}")


def _duplicates(values: Table) -> Iterator[Problem]:
    accounts: KeyPath = ("calendar", "accounts")
    yield from _same_names(accounts, _account_items(values), "name")
    yield from _same_names(("sinks",), _items(values.get("sinks")), "type")


def _same_names(
    path: KeyPath, items: list[tuple[int, Table]], default: str
) -> Iterator[Problem]:
    """Find names taken twice; a table without a name goes by what stands in `default`."""
    first: dict[str, int] = {}
    for index, item in items:
        name = item.get("name", item.get(default))
        if not isinstance(name, str):
            continue
        if name in first:
            yield Problem(
                (*path, index, "name"),
                f"{shown(name)} is taken by number {first[name] + 1}; give it another name",
                at=(*path, index, "name") if "name" in item else (*path, index),
            )
        first.setdefault(name, index)


# ── signing in ───────────────────────────────────────────────────────────────────────────


def _accounts(values: Table) -> Iterator[Problem]:
    for index, account in _account_items(values):
        path: KeyPath = ("calendar", "accounts", index)
        is_personal = "client_secrets" in account or "token_file" in account
        is_service = "service_account" in account
        if is_personal and is_service:
            yield Problem(
                (*path, "service_account"),
                "an account signs in by client_secrets or token_file, or by service_account, "
                "not by both; take one out",
            )
        if not is_personal and not is_service:
            yield Problem(
                path,
                "nothing to sign in with. Name client_secrets (for `locum auth login`), "
                "a token_file, or a service_account",
            )
        if "subject" in account and not is_service:
            yield Problem(
                (*path, "subject"), "is for a service_account only; take it out, or name one"
            )


def _browsers(values: Table) -> Iterator[Problem]:
    """Find engines of our own that don't know as whom they go."""
    accounts = [item.get("name") for _, item in _account_items(values)]
    names = [each for each in accounts if isinstance(each, str)]
    for name, engine in _table(values.get("engines")).items():
        table = _table(engine)
        if table.get("type") != "chromium":
            continue
        path: KeyPath = ("engines", name)
        account, guest = table.get("account"), table.get("guest") is True
        if guest and "account" in table:
            yield Problem(
                (*path, "guest"),
                "a guest isn't signed in as anybody; take guest or account out",
            )
        elif isinstance(account, str) and account not in names:
            hint = suggest(account, names)
            yield Problem((*path, "account"), f"there is no account {shown(account)}.{hint}")
        elif not guest and "account" not in table and len(names) != 1:
            those = f"There are {len(names)} accounts" if names else "There is no account"
            yield Problem(
                (*path, "account"),
                f"is missing. {those}: name the one that is in the room (of "
                "[[calendar.accounts]]), or write guest = true",
                at=path,
            )


# ── times ────────────────────────────────────────────────────────────────────────────────


def _polls(values: Table) -> Iterator[Problem]:
    if "stage" in values:
        return
    calendar = _table(values.get("calendar"))
    for key in ("poll_near", "poll_idle"):
        try:
            interval = parse_duration(calendar.get(key))
        except ValueError:
            continue
        if interval < LEAST_POLL:
            yield Problem(
                ("calendar", key),
                f"{shown(calendar[key])} is too often for Google; 5s is the least",
            )


# ── push ─────────────────────────────────────────────────────────────────────────────────


def _push(values: Table) -> Iterator[Problem]:
    if "stage" in values:
        return  # There it must be on this machine: see `_stage`.
    address = _table(_table(values.get("calendar")).get("push")).get("public_url")
    if isinstance(address, str) and is_loopback(address):
        yield Problem(
            ("calendar", "push", "public_url"),
            f"{shown(address)} is this machine, where Google can't send anything. Name the "
            "https address at which your reverse proxy is reached from the internet",
        )


# ── money ────────────────────────────────────────────────────────────────────────────────

_WIDER = {
    "per_meeting": ("per_day", "per_organizer_month", "per_month"),
    "per_day": ("per_month",),
    "per_organizer_month": ("per_month",),
}


def _caps(values: Table) -> Iterator[Problem]:
    """Find caps that never count, because a wider one is lower: one of the two is a slip."""
    budget = {
        key: amount
        for key, amount in _table(values.get("budget")).items()
        if isinstance(amount, int | float) and not isinstance(amount, bool)
    }
    for key in sorted(_WIDER.keys() & budget.keys()):
        lower = [each for each in _WIDER[key] if budget.get(each, math.inf) < budget[key]]
        if lower:
            yield Problem(
                ("budget", key),
                f"${budget[key]:g} is more than budget.{lower[0]} (${budget[lower[0]]:g}), "
                "so it would never count; lower it, or raise that",
            )


# ── the brain ────────────────────────────────────────────────────────────────────────────


def _brain(values: Table) -> Iterator[Problem]:
    brain = _table(values.get("brain"))
    model = brain.get("model")
    if "base_url" in brain or not isinstance(model, str):
        return
    provider, _, name = model.partition(":")
    if not provider or not name:
        yield Problem(
            ("brain", "model"),
            f'{shown(model)} names no provider; write it like "openai:NAME", or name the '
            "address of a server of your own as base_url",
        )


# ── where summaries go ───────────────────────────────────────────────────────────────────


def _sinks(values: Table) -> Iterator[Problem]:
    accounts = [item.get("name") for _, item in _account_items(values)]
    for index, sink in _items(values.get("sinks")):
        path: KeyPath = ("sinks", index)
        account, host = sink.get("account"), sink.get("host")
        is_doc = sink.get("type") == "google_doc"
        if is_doc and isinstance(account, str) and account not in accounts:
            hint = suggest(account, [each for each in accounts if isinstance(each, str)])
            yield Problem((*path, "account"), f"there is no account {shown(account)}.{hint}")
        if sink.get("type") == "email" and isinstance(host, str):
            if sink.get("encryption") == "none" and not is_loopback(f"smtp://{_bare(host)}"):
                yield Problem(
                    (*path, "encryption"),
                    f'"none" would show the mails to the network; {shown(host)} isn\'t this '
                    'machine. Write "starttls" or "tls"',
                )
            if "password_file" in sink and not sink.get("username"):
                yield Problem(
                    (*path, "username"),
                    "is missing: a password goes with it",
                    at=(*path, "password_file"),
                )


def _bare(host: str) -> str:
    return f"[{host}]" if ":" in host else host


# ── the stage ────────────────────────────────────────────────────────────────────────────


def _stage(values: Table, engine_address: str | None) -> Iterator[Problem]:
    if "stage" not in values:
        return
    stage = _table(values["stage"])
    for given, other in (("epoch", "epoch_host"), ("epoch_host", "epoch")):
        if given in stage and other not in stage:
            yield Problem(
                ("stage", other), f"is missing; it goes with {given}", at=("stage", given)
            )
    for path, address, is_written in _addresses(values, engine_address):
        if isinstance(address, str) and not is_loopback(address):
            yield Problem(
                path,
                f"{shown(address)} isn't on this machine, and a [stage] must have nothing else: "
                "write an address on 127.0.0.1, or take [stage] out",
                at=path if is_written else ("stage",),
            )


def _addresses(
    values: Table, engine_address: str | None
) -> Iterator[tuple[KeyPath, Any, bool]]:
    """Answer every address that will be used: its path, itself, and whether it is written."""
    calendar = _table(values.get("calendar"))
    for key in ("api_root", "token_uri"):
        default = Calendar.model_fields[key].default
        yield ("calendar", key), calendar.get(key, default), key in calendar
    if "images" in values:
        images = _table(values["images"])
        address = images.get("base_url", Images.model_fields["base_url"].default)
        yield ("images", "base_url"), address, "base_url" in images
    if "brain" in values:
        brain = _table(values["brain"])
        address = brain.get("base_url", "the address of the model's provider")
        yield ("brain", "base_url"), address, "base_url" in brain
    if "public_url" in _table(calendar.get("push")):
        yield ("calendar", "push", "public_url"), calendar["push"]["public_url"], True
    yield from _listed_addresses(values)
    yield from _voice_addresses(values)
    yield from _engine_addresses(values, engine_address)


def _voice_addresses(values: Table) -> Iterator[tuple[KeyPath, Any, bool]]:
    usual: dict[object, Any] = {
        "openai": SpeechServiceTable.model_fields["base_url"].default,
        "elevenlabs": ElevenLabsTable.model_fields["base_url"].default,
    }
    for name, voice in _table(values.get("voices")).items():
        table = _table(voice)
        kind = table.get("type")
        if isinstance(kind, str) and kind in usual:
            written = table.get("base_url", usual[kind])
            yield ("voices", name, "base_url"), written, "base_url" in table


def _engine_addresses(
    values: Table, engine_address: str | None
) -> Iterator[tuple[KeyPath, Any, bool]]:
    for name, engine in _table(values.get("engines")).items():
        table = _table(engine)
        if table.get("type") == "chromium":
            written = table.get("meet_url", ChromiumEngine.model_fields["meet_url"].default)
            yield ("engines", name, "meet_url"), written, "meet_url" in table
        else:
            written = table.get("base_url", PikaStream.model_fields["base_url"].default)
            path: KeyPath = ("engines", name, "base_url")
            yield path, engine_address or written, "base_url" in table


def _listed_addresses(values: Table) -> Iterator[tuple[KeyPath, Any, bool]]:
    for index, server in _items(values.get("mcp")):
        if "url" in server:
            yield ("mcp", index, "url"), server["url"], True
    for index, sink in _items(values.get("sinks")):
        spot: KeyPath = ("sinks", index)
        if sink.get("type") == "webhook":
            yield (*spot, "url"), sink.get("url"), True
        if sink.get("type") == "email" and isinstance(sink.get("host"), str):
            yield (*spot, "host"), f"smtp://{_bare(sink['host'])}", True


# ── personas ─────────────────────────────────────────────────────────────────────────────

_INLINE = ("display_name", "owner", "image")


def _personas(values: Table) -> Iterator[Problem]:
    """Find personas that are half of each kind."""
    for name, persona in _table(values.get("personas")).items():
        table = _table(persona)
        given = [key for key in (*_INLINE, "voice_id", "instructions") if key in table]
        path: KeyPath = ("personas", name)
        if "folder" in table and given:
            yield Problem(
                (*path, given[0]),
                "stands beside folder, where the persona's own files say it; take one out",
            )
        elif not given and name.startswith("."):
            # Its name is its folder's, and ".." would be another one.
            yield Problem(path, "a persona in a folder has a name that begins with no dot")
        elif given:
            for key in _INLINE:
                if key not in table:
                    missing = (*path, key)
                    yield Problem(missing, f"is missing.{meaning(missing, values)}", at=path)


# ── what personas may do ─────────────────────────────────────────────────────────────────

_BUILT_IN = ("calendar", "contacts", "workspace", "memory", "skills")


def _actions(values: Table) -> Iterator[Problem]:
    """Find tools that nobody could call, and names that name none."""
    tools, servers = _items(values.get("tools")), _items(values.get("mcp"))
    yield from _same_names(("tools",), tools, "name")
    yield from _same_names(("mcp",), servers, "name")
    known = [str(item["name"]) for _, item in (*tools, *servers) if "name" in item]
    for kind, items in (("tools", tools), ("mcp", servers)):
        for index, item in items:
            name = item.get("name")
            if name in _BUILT_IN or (kind == "mcp" and known.count(str(name)) > 1):
                why = "is taken by another tool" if name not in _BUILT_IN else "is locum's own"
                yield Problem((kind, index, "name"), f"{shown(str(name))} {why}; rename it")
    for name, persona in _table(values.get("personas")).items():
        wanted = _table(persona).get("tools")
        for tool in wanted if isinstance(wanted, list) else ():
            if isinstance(tool, str) and tool not in {*known, *_BUILT_IN}:
                path: KeyPath = ("personas", name, "tools")
                hint = suggest(tool, (*known, *_BUILT_IN))
                yield Problem(path, f"there is no tool {shown(tool)}.{hint}")
    for index, item in tools:
        yield from _places(("tools", index), item)
    for index, item in servers:
        given = [key for key in ("argv", "url") if item.get(key)]
        if len(given) != 1:
            yield Problem(("mcp", index), "takes either argv or url: a program, or an address")


def _places(path: KeyPath, tool: Table) -> Iterator[Problem]:
    """Find places of an argv without a parameter, and parameters without a place."""
    argv, parameters = tool.get("argv"), _table(tool.get("parameters"))
    if not isinstance(argv, list) or not all(isinstance(each, str) for each in argv):
        return
    places = set(PLACE.findall("\0".join(argv)))
    if argv and PLACE.search(argv[0]):
        yield Problem((*path, "argv"), "the program itself is never filled in; name it")
    for name in sorted(places - parameters.keys()):
        yield Problem(
            (*path, "argv"), f"{{{name}}} has no [tools.parameters.{name}]; describe it there"
        )
    for name, parameter in parameters.items():
        if name not in places:
            yield Problem((*path, "parameters", name), "stands nowhere in argv; take it out")
        pattern = _table(parameter).get("pattern")
        if isinstance(pattern, str):
            try:
                re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                yield Problem((*path, "parameters", name, "pattern"), f"is no pattern: {error}")


# ── faces ────────────────────────────────────────────────────────────────────────────────


def _images(values: Table, places: Places) -> Iterator[Problem]:
    for name, persona in _table(values.get("personas")).items():
        written = _table(persona).get("image")
        if not isinstance(written, str):
            continue
        try:
            path = places.resolve(written)
        except ValueError:
            continue
        trouble = image_trouble(path)
        if trouble is not None:
            yield Problem(("personas", name, "image"), trouble)


def image_trouble(path: Path) -> str | None:
    """Answer why this file can't be a face, by its size and first bytes; None if it can."""
    named = f'"{shown_path(path)}"'
    try:
        start, status = read_regular(path, limit=8)
    except UnreadableError as error:
        return f"{named}: {error}; name a PNG or JPEG file"
    if not start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return f"{named} is neither PNG nor JPEG by its first bytes; convert it to one of them"
    if not MIN_IMAGE_BYTES < status.st_size <= MAX_IMAGE_BYTES:
        return (
            f"{named} has {status.st_size:,} bytes; more than 1 KB and at most 16 MB are taken"
        )
    return None
