"""Workspaces, contacts and skills as they are on disk, and as somebody evil left them there."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from locum.briefing import (
    SkillBook,
    Workspace,
    read_contacts,
    read_skills,
    read_workspace,
)
from locum.errors import PermanentError

DAY = timedelta(days=1)


def _git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Mira", "-c", "user.email=mira@example.com")
    subprocess.run(
        ["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True
    )


def _commit(folder: Path, message: str, **environ: str) -> None:
    (folder / "notes.txt").write_text(message)
    _git(folder, "add", "notes.txt")
    who = ("-c", "user.name=Mira", "-c", "user.email=mira@example.com")
    command = ["git", *who, "-C", str(folder), "commit", "-q", "-m", message]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environ})


def _names(workspace: Workspace) -> list[str]:
    return [excerpt.name for excerpt in read_workspace(workspace)]


# ── workspaces ───────────────────────────────────────────────────────────────────────────


def test_only_what_the_patterns_name_is_read(tmp_path: Path) -> None:
    """At any depth where they say so; no secrets, no binaries, nothing excluded."""
    for path in ("updates.md", "docs/a.md", "docs/deep/b.md", "docs/c.txt", "other/d.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"# {path}")
    (tmp_path / "docs/secret.md").write_text("x")
    (tmp_path / "docs/binary.md").write_bytes(b"\0\1")
    chosen = Workspace("w", tmp_path, ("updates.md", "docs/**/*.md"), ("b.md",))
    assert sorted(_names(chosen)) == ["docs/a.md", "updates.md"]


def test_no_link_leads_out(tmp_path: Path) -> None:
    """Neither a file's nor a folder's, and a pipe makes nobody wait."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "plans.md").write_text("canary")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.md").symlink_to(outside / "plans.md")
    (inside / "folder").symlink_to(outside)
    os.mkfifo(inside / "pipe.md")
    assert _names(Workspace("w", inside, ("**/*.md", "*.md"))) == []


def test_a_large_file_is_cut_and_a_missing_folder_named(tmp_path: Path) -> None:
    """Its beginning is enough; and what to do is said."""
    (tmp_path / "updates.md").write_text("x" * 1_000_000)
    [excerpt] = read_workspace(Workspace("w", tmp_path))
    assert (len(excerpt.text), excerpt.is_cut) == (64 * 1024, True)
    with pytest.raises(PermanentError, match=r'"gone": there is no folder .*Correct'):
        read_workspace(Workspace("gone", tmp_path / "gone"))


def test_the_log_of_the_last_days_is_told(tmp_path: Path) -> None:
    """Who, when, what; lines with secrets aren't, and nothing of the folder's is run."""
    _git(tmp_path, "init", "-q")
    _commit(tmp_path, "Read each file once")
    _commit(tmp_path, "password = hunter2hunter2")
    _commit(tmp_path, "Long ago", GIT_COMMITTER_DATE="2001-01-01T00:00:00Z")
    ran = tmp_path / "ran"
    for setting in ("core.pager", "core.fsmonitor", "gpg.program"):
        _git(tmp_path, "config", setting, f"touch {ran}")
    _git(tmp_path, "config", "log.showSignature", "true")
    [log] = read_workspace(Workspace("w", tmp_path, (), git_log=3650 * DAY))
    assert log.name == "git log"
    assert "Mira: Read each file once" in log.text
    assert "hunter2" not in log.text
    assert log.dropped == 1
    assert not ran.exists()
    assert read_workspace(Workspace("w", tmp_path, ())) == ()


# ── contacts ─────────────────────────────────────────────────────────────────────────────

_VCARDS = """\
BEGIN:VCARD\r
VERSION:3.0\r
FN:Dana Reyes\r
EMAIL;TYPE=work:Dana@Acme.com\r
EMAIL:dana@home.example\r
ORG:Acme;Purchasing\r
TITLE:Buyer\r
NOTE;ENCODING=QUOTED-PRINTABLE:Caf=C3=A9\\, likes short=\r
 answers\r
END:VCARD\r
BEGIN:VCARD
VERSION:3.0
EMAIL:broken
FN
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Jonas Lind
EMAIL:jonas@example.com
END:VCARD
"""


def test_vcards_are_read_entry_by_entry(tmp_path: Path) -> None:
    """Folded lines, several addresses; a broken entry costs only itself."""
    path = tmp_path / "people.vcf"
    path.write_text(_VCARDS, newline="")
    dana, jonas = read_contacts(path)
    assert dana.emails == ("dana@acme.com", "dana@home.example")
    assert dana.about == "Dana Reyes: Buyer, Acme Purchasing. Café, likes short answers"
    assert (jonas.name, jonas.emails) == ("Jonas Lind", ("jonas@example.com",))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_by_its_header(tmp_path: Path, delimiter: str) -> None:
    """In any order, with common names and any delimiter; rows without an address are left out."""
    rows = [
        ("Company", "E-Mail", "Name"),
        ("Acme", "dana@acme.com", "Dana"),
        ("X", "", "Nobody"),
    ]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(delimiter.join(row) for row in rows))
    [dana] = read_contacts(path)
    assert (dana.company, dana.name, dana.emails) == ("Acme", "Dana", ("dana@acme.com",))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"name,company\nDana,Acme\n", 'no column is called "email"'),
        (b"", 'no column is called "email"'),
        (b"x" * (5 * 1024 * 1024), "larger than"),
        (b'email\n"' + b"y" * 200_000, "line"),
    ],
)
def test_what_is_no_list_of_contacts_says_so(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    """With the file's name and what it should be."""
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match=problem):
        read_contacts(path)
    with pytest.raises(PermanentError, match="no such file"):
        read_contacts(tmp_path / "gone.csv")


# ── skills ───────────────────────────────────────────────────────────────────────────────


def _skill(folder: Path, name: str, head: str, body: str = "Do it well.") -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / "SKILL.md").write_text(f"---\n{head}\n---\n{body}\n")
    return place


def test_a_skill_tells_its_name_and_what_for(tmp_path: Path) -> None:
    """Its text only when it is asked for; what it says it may use grants nothing."""
    _skill(
        tmp_path,
        "stand-up",
        "name: stand-up\ndescription: How we\n  do it.\nallowed-tools: Bash",
    )
    (found,), bad = read_skills(tmp_path)
    assert (found.name, found.description, bad) == ("stand-up", "How we do it.", ())
    assert found.remarks == ('"allowed-tools" grants nothing here',)
    assert found.text() == "Do it well."


def test_a_skill_counts_as_it_was_approved(tmp_path: Path) -> None:
    """A changed file, its own or a script's, makes it another one."""
    place = _skill(tmp_path, "notes", "name: notes\ndescription: Notes.")
    book = SkillBook(tmp_path / "state" / "skills.json")
    (found,), _ = read_skills(tmp_path)
    assert book.approved() == {}
    book.approve(found)
    assert book.approved() == {"notes": found.digest}
    (place / "run.sh").write_text("echo evil")
    (changed,), _ = read_skills(tmp_path)
    assert changed.digest != found.digest
    with pytest.raises(PermanentError, match="has changed meanwhile"):
        found.text()
    assert book.withdraw("notes")
    assert not book.withdraw("notes")
    (tmp_path / "state" / "skills.json").write_text("[" * 100_000)
    assert book.approved() == {}


@pytest.mark.parametrize(
    ("name", "head", "problem"),
    [
        ("a", "description: No name.", '"name"'),
        ("Upper", "name: Upper\ndescription: x", "lower-case"),
        ("b", "name: other\ndescription: x", 'folder "b"'),
        ("c", "name: c", '"description" is missing'),
        ("d", "name: d\ndescription: &x y\nz: *x", "alias"),
        ("e", "name: e\ndescription: " + "[" * 2000, "nested|YAML"),
        ("f", "name: f\ndescription: |\n  " + "x" * 20_000, "larger than 16 KB"),
        ("g", "- a\n- b", "list of names"),
        ("h", "name: h\ndescription: \u202eevil", "invisible"),
        ("i", "name: i: j\n\t- k", "YAML"),
        ("k", "!!python/object/apply:os.system ['true']", "list of names|YAML"),
    ],
)
def test_a_bad_skill_costs_only_itself(
    tmp_path: Path, name: str, head: str, problem: str
) -> None:
    """Each with its reason; the good one beside it is read."""
    _skill(tmp_path, name, head)
    _skill(tmp_path, "good", "name: good\ndescription: Good.")
    good, (bad,) = read_skills(tmp_path)
    assert [skill.name for skill in good] == ["good"]
    assert bad.folder.name == name
    import re

    assert re.search(problem, bad.problem), bad.problem


def test_links_in_a_skill_are_refused(tmp_path: Path) -> None:
    """Neither the folder nor anything in it may lead elsewhere."""
    place = _skill(tmp_path, "links", "name: links\ndescription: x")
    (place / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "linked").symlink_to(_skill(tmp_path / "else", "linked", "name: linked"))
    _, bad = read_skills(tmp_path)
    assert {each.folder.name for each in bad} == {"links", "linked"}
    assert all("link" in each.problem for each in bad)
    with pytest.raises(PermanentError, match="can't be read"):
        read_skills(tmp_path / "gone")
