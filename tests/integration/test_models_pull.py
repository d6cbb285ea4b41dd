"""`locum models pull` against an index and a registry on loopback that have faults.

Nothing wrong is ever used.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from locum.core.identity import sha256
from locum.errors import LocumError, PermanentError, TransientError
from locum.models.asking import shown
from locum.models.catalogue import Archive, Model, Part, Source, catalogue
from locum.models.index import index_addresses
from locum.models.kept import folder_of, remove, trouble_with
from locum.models.pulling import pull
from locum.models.registry import registry_address

CONTENT = bytes(range(256)) * 3000
MEMBER = "tiny/modules/tiny.tflite"
WHEEL = "tiny-1.0-py3-none-any.whl"
TARBALL = "tiny-js-2.0.tgz"
LICENCE = b"MIT"


def wheel(content: bytes = CONTENT) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), content)
        archive.writestr(zipfile.ZipInfo("tiny/__init__.py"), b"raise SystemExit('was run')")
    return out.getvalue()


def model(archive: bytes, content: bytes = CONTENT) -> dict[str, Model]:
    made = Model(
        title="a test", needed_for="a test", version="1.0", licence="MIT", origin="here",
        sources=(source(archive, content),),
    )  # fmt: skip
    return {"tiny": made}


def source(archive: bytes, content: bytes = CONTENT) -> Source:
    return Source(
        kind="pip", package="tiny", version="1.0",
        files=(Part(name="tiny.tflite", member=MEMBER, size=len(content), sha256=sha256(content)),),
        archives=(Archive(name=WHEEL, size=len(archive), sha256=sha256(archive)),),
    )  # fmt: skip


def tarball(content: bytes = LICENCE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=0) as archive:
        for name, each in (("filler", CONTENT), ("LICENSE", content)):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return out.getvalue()


TGZ = tarball()


def of_two() -> dict[str, Model]:
    """Answer a model of which one file lies in a registry, and one in an index."""
    [wheels] = model(wheel())["tiny"].sources
    sha = sha256(LICENCE)
    package = Source(
        kind="npm", package="@small/tiny-js", version="2.0",
        files=(Part(name="LICENSE", member="package/LICENSE", size=3, sha256=sha),),
        archives=(Archive(name=TARBALL, size=len(TGZ), sha256=sha256(TGZ)),),
    )  # fmt: skip
    made = model(wheel())["tiny"].model_copy(update={"sources": (package, wheels)})
    return {"tiny": made}


@dataclass
class Index:
    """A package index, and a registry. `breaks_after` bytes of a file it hangs up, once.

    `tarball` is what the registry says, or else where its tarball lies.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    html: bool = False
    status: int = 200
    breaks_after: int | None = None
    ranges: list[str] = field(default_factory=list)
    honours_ranges: bool = True
    address: str = ""
    tarball: Any = None
    redirect: str = ""
    asked: list[str] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.address.removesuffix("/simple")

    @property
    def registry(self) -> str:
        return f"{self.host}/npm"


class _Handler(BaseHTTPRequestHandler):
    index: Index
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        index = self.index
        name = self.path.rpartition("/")[2]
        index.asked.append(self.path)
        index.signed_in.append(self.headers.get("Authorization", ""))
        if index.status != 200:
            self._send(index.status, b"no", "text/plain")
        elif self.path == "/simple/tiny/":
            self._page()
        elif self.path == "/npm/@small%2Ftiny-js":
            self._package()
        elif name == "redirected":
            self.send_response(302)
            self.send_header("Location", index.redirect)
            self.end_headers()
        elif name in index.files:
            self._file(index.files[name])
        else:
            self._send(404, b"", "text/plain")

    def _page(self) -> None:
        names = [*self.index.files, "tiny-0.9.tar.gz"]
        if self.index.html:
            page = "".join(f'<a href="../../files/{n}#sha256=1">{n}</a>' for n in names)
            page += '<a href="file:///etc/passwd">tiny-1.0-py3-none-any.whl</a>'
            self._send(200, page.encode(), "text/html")
            return
        rows = [{"filename": n, "url": f"/files/{n}", "hashes": {}} for n in names]
        content = json.dumps({"files": rows}).encode()
        self._send(200, content, "application/vnd.pypi.simple.v1+json")

    def _package(self) -> None:
        lies = self.index.tarball
        if lies is None:
            lies = f"{self.index.registry}/@small/tiny-js/-/{TARBALL}"
        versions = {"1.0": {"dist": {}}, "2.0": {"dist": {"tarball": lies, "shasum": "0"}}}
        self._send(200, json.dumps({"versions": versions}).encode(), "application/json")

    def _file(self, content: bytes) -> None:
        wanted = self.headers.get("Range", "")
        self.index.ranges.append(wanted)
        start = 0
        if wanted and self.index.honours_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
            )
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if self.index.breaks_after is not None:
            body, self.index.breaks_after = body[: self.index.breaks_after], None
        self.wfile.write(body)

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served(**files: bytes) -> Iterator[Index]:
    made = Index(files)
    handler = type("Handler", (_Handler,), {"index": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.address = f"http://127.0.0.1:{server.server_port}/simple"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def index() -> Iterator[Index]:
    with served(**{WHEEL: wheel(), TARBALL: TGZ}) as made:
        yield made


def pulled(state: Path, index: Index, **options: Any) -> Path:
    models = options.pop("models", None) or model(wheel())
    return pull(state, "tiny", index=index.address, environ={}, models=models, **options).folder


def pulled_of_two(state: Path, index: Index, **options: Any) -> Path:
    asked = {"index": index.address, "registry": index.registry} | options
    return pull(state, "tiny", environ={}, models=of_two(), **asked).folder


def left(state: Path) -> set[str]:
    """Answer what lies beside the models, but for the lock."""
    return {path.name for path in (state / "models").iterdir()} - {".tiny.lock"}


@pytest.mark.parametrize("html", [False, True])
def test_a_model_is_fetched_and_nothing_else(index: Index, tmp_path: Path, html: bool) -> None:  # noqa: FBT001
    """Of the archive one file stays; from then on nobody is asked."""
    index.html = html
    folder = pulled(tmp_path, index)

    assert [path.name for path in folder.iterdir()] == ["tiny.tflite"]
    assert (folder / "tiny.tflite").read_bytes() == CONTENT
    assert left(tmp_path) == {"tiny"}
    index.status = 500
    assert pulled(tmp_path, index) == folder


def test_a_pull_that_broke_off_goes_on_where_it_stopped(index: Index, tmp_path: Path) -> None:
    """What came is kept; the second pull asks for the rest alone."""
    index.breaks_after = 300_000
    with pytest.raises(TransientError, match="goes on from there"):
        pulled(tmp_path, index)
    assert not folder_of(tmp_path, "tiny").exists()

    pulled(tmp_path, index)

    assert index.ranges == ["", "bytes=300000-"]
    assert left(tmp_path) == {"tiny"}


def test_an_index_that_knows_no_ranges_sends_all_of_it_again(
    index: Index, tmp_path: Path
) -> None:
    """The parts are never put together wrongly."""
    index.breaks_after = 300_000
    with pytest.raises(TransientError):
        pulled(tmp_path, index)
    index.honours_ranges = False

    assert (pulled(tmp_path, index) / "tiny.tflite").read_bytes() == CONTENT


def test_part_of_another_archive_is_not_gone_on_with(index: Index, tmp_path: Path) -> None:
    """A part belongs to one hash; where the list names another, it begins anew."""
    index.breaks_after = 300_000
    with pytest.raises(TransientError):
        pulled(tmp_path, index)
    other = wheel(CONTENT[::-1])
    index.files[WHEEL] = other

    pulled(tmp_path, index, models=model(other, CONTENT[::-1]))

    assert index.ranges[-1] == ""


def test_another_hash_is_refused_and_deleted(index: Index, tmp_path: Path) -> None:
    """One other byte of the archive, and nothing of it is used or kept."""
    wrong = bytearray(wheel())
    wrong[5000] ^= 1
    index.files[WHEEL] = bytes(wrong)

    with pytest.raises(PermanentError, match="isn't what the list says"):
        pulled(tmp_path, index)

    assert left(tmp_path) == set()


def test_a_longer_archive_is_refused(index: Index, tmp_path: Path) -> None:
    """It is not read to its end."""
    index.files[WHEEL] = wheel() + b"x" * 1000

    with pytest.raises(PermanentError, match="larger than the list says"):
        pulled(tmp_path, index)


def test_a_file_in_it_with_another_hash_is_refused(index: Index, tmp_path: Path) -> None:
    """Even where the archive's own hash is right."""
    archive = wheel(CONTENT[::-1])
    index.files[WHEEL] = archive

    with pytest.raises(PermanentError, match="its hash is another one"):
        pulled(tmp_path, index, models=model(archive))

    assert not folder_of(tmp_path, "tiny").exists()


@pytest.mark.parametrize(
    ("status", "error"), [(404, PermanentError), (403, PermanentError), (503, TransientError)]
)
def test_an_index_without_it_is_told_with_the_next_step(
    index: Index, tmp_path: Path, status: int, error: type[LocumError]
) -> None:
    """Not there, not allowed, not now: each says what can be done."""
    index.status = status

    with pytest.raises(error, match="--index"):
        pulled(tmp_path, index)


def test_an_index_that_is_down_can_be_tried_again(tmp_path: Path) -> None:
    """Nothing listens there."""
    with pytest.raises(TransientError, match="can't be reached"):
        pulled(tmp_path, Index(address="http://127.0.0.1:9/simple"))


def test_a_folder_of_wheels_is_an_index_too(tmp_path: Path) -> None:
    """A mirror on the disk, or a folder that somebody carried here."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / WHEEL).write_bytes(wheel())

    folder = pulled(tmp_path / "state", Index(address=str(mirror)))

    assert trouble_with(folder, model(wheel())["tiny"]) == ""


def test_an_archive_that_one_has_is_taken_by_its_hash(tmp_path: Path) -> None:
    """Whatever it is called; any other file is refused."""
    mine, wrong = tmp_path / "mine", tmp_path / "wrong.whl"
    mine.write_bytes(wheel())
    wrong.write_bytes(b"PK")
    models = model(wheel())

    with pytest.raises(PermanentError, match="none of the archives"):
        pull(tmp_path, "tiny", archives=[wrong], models=models)
    pull(tmp_path, "tiny", archives=[mine], models=models)

    assert mine.exists()
    assert trouble_with(folder_of(tmp_path, "tiny"), models["tiny"]) == ""


def test_a_damaged_model_is_fetched_anew(index: Index, tmp_path: Path) -> None:
    """It is noticed, and put right by the same command."""
    folder = pulled(tmp_path, index)
    (folder / "tiny.tflite").chmod(0o600)
    (folder / "tiny.tflite").write_bytes(b"x")

    pulled(tmp_path, index)

    assert (folder / "tiny.tflite").read_bytes() == CONTENT
    assert left(tmp_path) == {"tiny"}


def test_taken_away_it_is_gone_with_what_was_left_half_done(
    index: Index, tmp_path: Path
) -> None:
    """And a second time there is nothing to take away."""
    pulled(tmp_path, index)
    (tmp_path / "models/tiny.part-0").write_bytes(b"x")

    assert remove(tmp_path, "tiny") is True
    assert left(tmp_path) == set()
    assert remove(tmp_path, "tiny") is False


def test_a_model_of_two_packages_is_fetched_from_both(index: Index, tmp_path: Path) -> None:
    """The registry is asked as npm asks it; of each archive only the named files stay."""
    news: list[str] = []
    folder = pulled_of_two(tmp_path, index, tell=news.append)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "tiny.tflite": CONTENT,
        "LICENSE": LICENCE,
    }
    assert left(tmp_path) == {"tiny"}
    assert index.asked[0] == "/npm/@small%2Ftiny-js"
    fetched = [each for each in news if each.startswith("Fetching")]
    assert [TARBALL in fetched[0], WHEEL in fetched[1]] == [True, True]
    assert all("under MIT" in each for each in fetched)


def test_nothing_is_there_before_all_is_and_what_came_is_not_fetched_again(
    index: Index, tmp_path: Path
) -> None:
    """Either archive breaks off; the next pull goes on with that one, and asks for no other."""
    index.breaks_after = 300_000
    with pytest.raises(TransientError, match="goes on from there"):
        pulled_of_two(tmp_path, index)
    whole = index.files.pop(WHEEL)
    with pytest.raises(PermanentError, match=r"no tiny 1\.0\. Name another index with --index"):
        pulled_of_two(tmp_path, index)
    assert index.ranges == ["", "bytes=300000-"]
    assert not folder_of(tmp_path, "tiny").exists()

    index.files[WHEEL] = whole
    index.asked.clear()
    pulled_of_two(tmp_path, index)

    assert index.asked == ["/simple/tiny/", f"/files/{WHEEL}"]
    assert left(tmp_path) == {"tiny"}


def test_a_tarball_from_elsewhere_counts_by_its_hash(index: Index, tmp_path: Path) -> None:
    """A registry may name another host, which may send one on; what it sends is looked at."""
    wrong = tarball(b"BSD")
    with served(**{TARBALL: wrong}) as elsewhere:
        index.tarball = f"{index.host}/redirected"
        index.redirect = f"{elsewhere.host}/{TARBALL}"
        with pytest.raises(PermanentError, match=r"SHA-256 .*another registry with --registry"):
            pulled_of_two(tmp_path, index)
        assert left(tmp_path) == set()

        elsewhere.files[TARBALL] = TGZ
        assert (pulled_of_two(tmp_path, index) / "LICENSE").read_bytes() == LICENCE


@pytest.mark.parametrize("lie", ["file:///etc/passwd", "ftp://a/b", "http://[", "", 7, [], {}])
def test_an_address_that_is_none_is_refused(index: Index, tmp_path: Path, lie: Any) -> None:
    """A registry reaches no file of this machine, by its word or by a redirect."""
    index.tarball = lie
    with pytest.raises(PermanentError, match=r"names no address|doesn't answer as a registry"):
        pulled_of_two(tmp_path, index)

    index.tarball, index.redirect = f"{index.host}/redirected", str(lie)
    with pytest.raises(TransientError):
        pulled_of_two(tmp_path, index)
    assert not folder_of(tmp_path, "tiny").exists()


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (404, PermanentError, r"no @small/tiny-js 2\.0\. .*--registry.*--archive"),
        (401, PermanentError, "wants a sign-in.*--registry"),
        (503, TransientError, "--registry"),
    ],
)
def test_a_registry_without_it_is_told_with_the_next_step(
    index: Index, tmp_path: Path, status: int, error: type[LocumError], told: str
) -> None:
    """Not there, not allowed, not now."""
    index.status = status

    with pytest.raises(error, match=told):
        pulled_of_two(tmp_path, index)


def test_what_is_no_registry_is_told(index: Index, tmp_path: Path) -> None:
    """A page that isn't one, a folder, a text."""
    index.files["@small%2Ftiny-js"] = b"<html>"
    with pytest.raises(PermanentError, match="doesn't answer as a registry does"):
        pulled_of_two(tmp_path, index, registry=index.host)
    with pytest.raises(PermanentError, match="no address of a registry"):
        pulled_of_two(tmp_path, index, registry=str(tmp_path))
    with pytest.raises(PermanentError, match="is no address"):
        pulled_of_two(tmp_path, index, registry="http://[")


def test_a_mirror_is_asked_itself_for_what_it_says_lies_at_the_public_registry(
    index: Index, tmp_path: Path
) -> None:
    """As npm does; with the name and password for the mirror, which no other host is told."""
    index.tarball = f"https://registry.npmjs.org/@small/tiny-js/-/{TARBALL}"
    registry = index.registry.replace("//", "//name:word@")

    pulled_of_two(tmp_path / "one", index, registry=registry)

    assert index.asked[1] == f"/npm/@small/tiny-js/-/{TARBALL}"
    signed_in = f"Basic {base64.b64encode(b'name:word').decode()}"
    assert index.signed_in[:2] == [signed_in, signed_in]
    with served(**{TARBALL: TGZ}) as elsewhere:
        index.tarball = f"{elsewhere.host}/{TARBALL}"
        pulled_of_two(tmp_path / "two", index, registry=registry)
        assert elsewhere.signed_in == [""]


def test_archives_that_one_has_are_taken_and_the_others_fetched(
    index: Index, tmp_path: Path
) -> None:
    """With all of them nobody is asked; they stay where they are."""
    mine = [tmp_path / "a", tmp_path / "b"]
    mine[0].write_bytes(wheel())
    mine[1].write_bytes(TGZ)

    pulled_of_two(tmp_path / "one", index, archives=mine)
    assert index.asked == []
    pulled_of_two(tmp_path / "two", index, archives=mine[:1])

    assert index.asked == ["/npm/@small%2Ftiny-js", f"/npm/@small/tiny-js/-/{TARBALL}"]
    assert [path.exists() for path in mine] == [True, True]
    for state in ("one", "two"):
        folder = folder_of(tmp_path / state, "tiny")
        assert trouble_with(folder, of_two()["tiny"]) == ""


def test_which_registry_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was given, or npm's: a scope's own, the environment's, the user's, the machine's."""
    machine, user = tmp_path / "etc-npmrc", tmp_path / ".npmrc"
    monkeypatch.setattr("locum.models.registry._MACHINE", (machine,))

    def asked(package: str = "tiny", **environ: str) -> str:
        return registry_address("", package, {"HOME": str(tmp_path), **environ})

    assert asked() == "https://registry.npmjs.org"
    machine.write_text("registry=https://a.example/npm/\n")
    assert asked() == "https://a.example/npm"
    user.write_text(
        "; registry = https://no.example\n"
        'registry = "https://${WHERE}.example/"\n'
        "@small:registry=https://c.example\n"
    )
    assert asked(WHERE="b") == "https://b.example"
    assert asked("@small/tiny", WHERE="b") == "https://c.example"
    assert asked("@other/tiny", WHERE="b") == "https://b.example"
    assert asked(NPM_CONFIG_REGISTRY="https://d.example") == "https://d.example"
    assert asked(npm_config_registry="https://e.example") == "https://e.example"
    assert registry_address("https://f.example/x/", "@small/tiny", {}) == "https://f.example/x"


def test_which_index_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was given, or what uv and pip are set to; none where they are set to nothing."""
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://c.example/simple/\n")

    def asked(**environ: str) -> str:
        return index_addresses("", {"HOME": str(tmp_path), **environ})[0]

    monkeypatch.setattr("locum.models.index._MACHINE", tmp_path / "none")
    assert index_addresses("", {"HOME": str(tmp_path)}) == []

    assert index_addresses("https://a.example/x/", {}) == ["https://a.example/x"]
    assert asked(UV_DEFAULT_INDEX="ours=https://b.example/simple") == "https://b.example/simple"
    assert asked(PIP_INDEX_URL="https://d.example/simple") == "https://d.example/simple"
    assert asked(PIP_CONFIG_FILE=str(config)) == "https://c.example/simple"
    assert index_addresses(str(tmp_path), {}) == [tmp_path.as_uri()]
    assert shown("https://name:word@a.example/x?token=1") == "https://a.example/x"


def test_the_committed_list_is_whole() -> None:
    """Every model has a licence, an origin, files, and archives, the smallest one first."""
    for model in catalogue().values():
        for source in model.sources:
            sizes = [archive.size for archive in source.archives]
            assert sizes == sorted(sizes)
        assert model.licence
        assert model.origin
        names = [part.name for part in model.files]
        assert len(names) == len(set(names))
        assert {"LICENSE", "MODEL_CARD"} & set(names)
