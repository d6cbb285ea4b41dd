"""One file to one frozen Config: everything that is wrong with it is said at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from locum.config.calendars import Calendar
from locum.config.checks import cross_checks
from locum.config.engines import Engine, PikaStream
from locum.config.lines import dotted
from locum.config.model import Config
from locum.config.problems import report, take_out_unfit, validate
from locum.config.reading import parse_source, read_source
from locum.config.values import Places, home_directory, parse_address, redact, shown
from locum.core.pacing import Limits, Periods, paces
from locum.errors import ConfigError

ENGINE_ADDRESS_VARIABLE = "PIKA_API_BASE_URL"


@dataclass(frozen=True)
class LoadedConfig:
    """A config that can be used. `digest` is the SHA-256 of `source`, the file's bytes."""

    config: Config
    path: Path
    digest: str
    warnings: tuple[str, ...] = ()
    source: bytes = field(default=b"", repr=False)


def load(path: Path, *, environ: Mapping[str, str] = os.environ) -> LoadedConfig:
    """Read the config at `path`, in well under a second whatever lies there.

    Relative paths in it come out resolved against the file's folder, "~" against $HOME.

    Raises:
        ConfigError: It can't be used; `problems` has every finding that there is, each as
            `locum.toml:14: rules[2].persna: unknown key. Did you mean "persona"?`
    """
    path = path.absolute()
    source = read_source(path)
    places = Places(path.parent, home_directory(environ.get("HOME"), os.getuid()))
    source.values.pop("$schema", None)  # Editors' own: where the schema is.
    problems = take_out_unfit(source.values)
    address, trouble = _engine_address(environ)
    checked = validate(source.values, places)
    if isinstance(checked, list):
        problems += checked
    problems += cross_checks(source.values, places, engine_address=address)
    lines = report(path.name, problems, source.positions)
    if lines or trouble or isinstance(checked, list):
        raise ConfigError(lines + trouble)
    config, notes = _with_engine_address(checked, address)
    return LoadedConfig(
        config=config,
        path=path,
        digest=hashlib.sha256(source.data).hexdigest(),
        warnings=notes + _warnings(config, path, source.mode),
        source=source.data,
    )


def load_taken(path: Path, source: bytes, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Make of `source`, once read at `path`, the config that it was taken for then.

    Whatever has become of the file since, and of the files that it names.

    Raises:
        ConfigError: It can't be used, so it never was.
    """
    parsed = parse_source(path, source)
    values = parsed.values
    places = Places(path.parent, home_directory(environ.get("HOME"), os.getuid()))
    values.pop("$schema", None)
    take_out_unfit(values)
    checked = validate(values, places)
    if isinstance(checked, list):
        raise ConfigError(report(path.name, checked, parsed.positions))
    address, trouble = _engine_address(environ)
    if trouble:
        raise ConfigError(trouble)
    config, _ = _with_engine_address(checked, address)
    return config


def _engine_address(environ: Mapping[str, str]) -> tuple[str | None, tuple[str, ...]]:
    """Answer the engines' address from the environment, and what is wrong with it."""
    address = environ.get(ENGINE_ADDRESS_VARIABLE, "").strip()
    if not address:
        return None, ()
    try:
        return parse_address(address), ()
    except ValueError as error:
        return None, (redact(f"{ENGINE_ADDRESS_VARIABLE} in the environment: {error}"),)


def _with_engine_address(config: Config, address: str | None) -> tuple[Config, tuple[str, ...]]:
    if address is None:
        return config, ()
    engines: dict[str, Engine] = dict(config.engines)
    notes = []
    for name, engine in config.engines.items():
        if not isinstance(engine, PikaStream):
            continue
        engines[name] = engine.model_copy(update={"base_url": address})
        if engine.base_url != address:
            key = dotted(("engines", name, "base_url"))
            notes.append(
                redact(
                    f"{key} is {shown(address)}, by {ENGINE_ADDRESS_VARIABLE} in the environment"
                )
            )
    return config.model_copy(update={"engines": engines}), tuple(notes)


def _warnings(config: Config, path: Path, mode: int) -> tuple[str, ...]:
    """Say what can be used as it is, and yet is hardly meant."""
    found = []
    if mode & 0o022:
        found.append(f"{path.name}: others may write to it; `chmod go-w {path}`")
    if not config.calendar.accounts:
        found.append(f"{path.name}: no [[calendar.accounts]]: nothing is watched")
    found += _quota_warnings(config.calendar, path)
    if not config.personas:
        found.append(f"{path.name}: no [personas.NAME]: nobody can go to a meeting")
    if not config.engines:
        found.append(f"{path.name}: no [engines.NAME]: nothing carries a persona there")
    if not config.sinks:
        found.append(f"{path.name}: no [[sinks]]: summaries go to the state directory")
    found += _engine_warnings(config, path)
    if find_spec("apprise") is None:
        install = "`pip install 'locum[notify]'`, or `uv sync --extra notify`"
        if config.notify is not None:
            found.append(
                f"{path.name}: [notify] needs apprise, which isn't installed: nothing is told. "
                f"{install}"
            )
        found += [
            f"{path.name}: sink {sink.name} needs apprise, which isn't installed. {install}"
            for sink in config.sinks
            if sink.type == "apprise"
        ]
    return tuple(found)


def _engine_warnings(config: Config, path: Path) -> Iterator[str]:
    """Say of our own engine what it lacks, and what it can't be on this machine."""
    own = [name for name, engine in config.engines.items() if engine.type == "chromium"]
    missing = [each for each in _OWN_ENGINE_NEEDS if find_spec(each) is None]
    if own and missing:
        yield (
            f"{path.name}: engines.{own[0]} needs {' and '.join(missing)}, which isn't "
            "installed: nobody can go with it. `pip install 'locum[chromium]'`, or `uv sync "
            "--extra chromium`"
        )


_OWN_ENGINE_NEEDS = ("cv2", "numpy", "playwright")


def _quota_warnings(calendar: Calendar, path: Path) -> Iterator[str]:
    """Say where a quota is too small, though no calendar had a meeting near.

    That some of them do is for the daemon to see, and to say.
    """
    counts = {each.name: (0, len(set(each.calendars))) for each in calendar.accounts}
    wanted = Periods(calendar.poll_near, calendar.poll_idle)
    limits = Limits(
        per_minute=calendar.requests_per_minute, project_per_day=calendar.requests_per_day
    )
    stretched = {
        name: pace for name, pace in paces(counts, wanted, limits).items() if pace.is_stretched
    }
    if not stretched:
        return
    name, slowest = max(stretched.items(), key=lambda item: item[1].periods.idle)
    others = f" and {len(stretched) - 1} more" if len(stretched) > 1 else ""
    yield (
        f"{path.name}: calendar.poll_idle: account {name}{others}: for Google's quota, "
        f"calendars are read every {slowest.periods.idle.total_seconds():.0f} s "
        f"instead of every {calendar.poll_idle.total_seconds():.0f} s; raise poll_idle, or "
        "requests_per_minute and requests_per_day if Google allows you more"
    )
