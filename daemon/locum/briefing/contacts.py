"""Who people are: a list of contacts, as vCard or CSV.

Of vCards the few properties are read that tell who somebody is. The libraries for them take
minutes over a line that was made to (vobject 0.9.9), and a list of contacts can be anybody's.
CSV needs a header with "email", and takes "name", "company", "role" and "notes", by these or
common names.
"""

from __future__ import annotations

import csv
import io
import quopri
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locum.core.model import Person
from locum.errors import PermanentError
from locum.files import UnreadableError, read_regular

_LARGEST_FILE = 4 * 1024 * 1024
_MOST_CONTACTS = 20_000
_LONGEST_FIELD = 500
_MOST_LINES = 500  # Of one card.
_LONGEST_LINE = 4000  # A photo's is longer, and isn't read.

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e-mail", "mail", "e-mail 1 - value", "email address", "e-mail address"),
    "name": ("name", "full name", "display name", "fn"),
    "company": ("company", "organization", "organisation", "organization name", "org"),
    "role": ("role", "title", "job title", "organization title"),
    "notes": ("notes", "note", "comment"),
}


@dataclass(frozen=True)
class Contact:
    """One person; `emails` are lower case, and there is at least one."""

    emails: tuple[str, ...]
    name: str = ""
    company: str = ""
    role: str = ""
    notes: str = ""

    @property
    def person(self) -> Person:
        return Person(self.emails[0], self.name)

    @property
    def about(self) -> str:
        """Say in a line who that is."""
        described = ", ".join(part for part in (self.role, self.company) if part)
        text = f"{self.name or self.emails[0]}: {described}" if described else self.name
        return f"{text}. {self.notes}".strip(". ") if self.notes else text


def read_contacts(path: Path) -> tuple[Contact, ...]:
    """Read a file of contacts. Blocking.

    Raises:
        PermanentError: It can't be read, or is neither vCard nor CSV with an address column.
    """
    try:
        content, _ = read_regular(path, limit=_LARGEST_FILE + 1)
    except UnreadableError as error:
        raise PermanentError(f"Contacts {path} can't be read: {error}.") from error
    if len(content) > _LARGEST_FILE:
        raise PermanentError(f"Contacts {path}: larger than {_LARGEST_FILE // 1024} KB.")
    text = content.decode("utf-8-sig", "replace").replace("\0", "")
    is_card = re.search(r"^BEGIN:VCARD", text, re.IGNORECASE | re.MULTILINE)
    found = _cards(text) if is_card else _rows(text, path)
    return tuple(contact for contact, _ in zip(found, range(_MOST_CONTACTS), strict=False))


def _cards(text: str) -> Iterator[Contact]:
    """Go through the lines once: a card that has no end makes nobody search for it."""
    lines: list[str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = line[:20].strip().upper()
        if mark == "BEGIN:VCARD":
            lines = []
        elif mark == "END:VCARD" and lines is not None:
            contact = _card("\n".join(lines))
            lines = None
            if contact is not None:
                yield contact
        elif lines is not None and len(lines) < _MOST_LINES:
            lines.append(line[:_LONGEST_LINE])


def _card(text: str) -> Contact | None:
    """Read one card: of each property the first, of addresses all. What is odd is left out."""
    # In quoted printable, a "=" at a line's end says that it goes on; else a blank at the start
    # of the next one does (RFC 6350, 3.2).
    unfolded = re.sub(r"(?m)(^[^:\n]*QUOTED-PRINTABLE[^:\n]*:[^\n]*)=\n", r"\1", text)
    unfolded = re.sub(r"\n[ \t]", "", unfolded)
    found: dict[str, list[str]] = {}
    for line in unfolded.split("\n"):
        head, colon, value = line.partition(":")
        # "item1.EMAIL;TYPE=work" is an EMAIL.
        name, *parameters = head.upper().split(";")
        if colon:
            found.setdefault(name.rpartition(".")[2], []).append(_value(value, parameters))

    def first(name: str) -> str:
        return _field(found.get(name, [""])[0])

    emails = tuple(_address(each) for each in found.get("EMAIL", ()))
    company = " ".join(part for part in first("ORG").split(";") if part)
    return _contact(emails, first("FN"), company, first("TITLE"), first("NOTE"))


def _value(value: str, parameters: Sequence[str]) -> str:
    if any("QUOTED-PRINTABLE" in each for each in parameters):
        value = quopri.decodestring(value.encode(errors="replace")).decode(errors="replace")
    return re.sub(r"\\(.)", lambda match: " " if match[1] in "nN" else match[1], value)


def _rows(text: str, path: Path) -> Iterator[Contact]:
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.reader(io.StringIO(text), dialect)
    try:
        places = _places(next(reader, []), path)
        for row in reader:
            values = {
                kind: _field(row[place]) for kind, place in places.items() if place < len(row)
            }
            emails = tuple(_address(each) for each in values.get("email", "").split(":::"))
            found = _contact(
                emails,
                values.get("name", ""),
                values.get("company", ""),
                values.get("role", ""),
                values.get("notes", ""),
            )
            if found is not None:
                yield found
    except csv.Error as error:
        raise PermanentError(f"Contacts {path}, line {reader.line_num}: {error}.") from error


def _places(header: Sequence[str], path: Path) -> dict[str, int]:
    names = [each.strip().lower() for each in header]
    places = {
        kind: names.index(known)
        for kind, knowns in _COLUMNS.items()
        for known in reversed(knowns)
        if known in names
    }
    if "email" not in places:
        raise PermanentError(
            f'Contacts {path}: no column is called "email". It begins with a header line, as in '
            '"name,email,company,role,notes"; or is a vCard.'
        )
    return places


def _contact(
    emails: tuple[str, ...], name: str, company: str, role: str, notes: str
) -> Contact | None:
    known = tuple(dict.fromkeys(each for each in emails if each))
    return Contact(known, name, company, role, notes) if known else None


def _field(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_FIELD]


def _address(text: str) -> str:
    address = text.strip().lower()
    return address if re.fullmatch(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}", address) else ""
