"""Fuzzed readers of what minutes and briefings are made from: transcripts, contacts, skills."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from locum.brains.extractive.summing import minutes_of
from locum.briefing import SkillBook, read_contacts, read_skills
from locum.core.minutes import Occasion
from locum.errors import PermanentError
from locum.transcripts.files import MIDNIGHT, read_stream
from tests.fuzz.promises import promise, promise_text
from tests.fuzz.reader import Read, Reader, pure

_SUMMARISED = 20_000  # Bytes.

_VTT = b"""\
WEBVTT

00:00:01.000 --> 00:00:04.000
<v Dana Reyes>So we go with option B, agreed?

00:00:05.000 --> 00:00:08.000
<v Mira Patel>Agreed. I'll send the draft by Friday.
"""
_SRT = b"1\n00:00:01,000 --> 00:00:04,000\nDana: We go with option B.\n"
_QMSUM = b"""\
{"meeting_transcripts": [{"speaker": "Dana", "content": "We {disfmarker} go with option B ."},
 {"speaker": "Mira", "content": "I'll send it by Friday ."}],
 "general_query_list": [{"query": "Summarize", "answer": "x"}], "specific_query_list": []}
"""
_LINES = b"[10:02] Dana: Can Alex confirm the budget?\nMira: I will ask him.\n"

_VCARD = b"""\
BEGIN:VCARD\r
VERSION:3.0\r
FN;CHARSET=UTF-8:Dana Reyes\r
EMAIL;TYPE=work:dana@acme.example\r
NOTE;ENCODING=QUOTED-PRINTABLE:caf=C3=A9\r
END:VCARD\r
"""
_CSV = b"name,email,company\nDana,dana@acme.example,Acme\n"
_SKILL = b"---\nname: notes\ndescription: How notes are taken.\n---\nWrite them down.\n"


def _transcript(content: bytes) -> None:
    try:
        transcript = read_stream(io.BytesIO(content), "fuzzed", start=MIDNIGHT)
    except PermanentError as error:
        promise_text(str(error), "the refusal", most=2000)
        return
    said = transcript.by_id
    promise(len(said) == len(transcript.utterances), "two utterances of one name")
    if len(content) > _SUMMARISED:
        return  # Reading is quick; making minutes of it isn't promised to be.
    minutes = minutes_of(transcript, Occasion(owner="Alex", stand_in="Robin", start=MIDNIGHT))
    claims = (*minutes.tldr, *minutes.decisions, *minutes.actions, *minutes.asked)
    for claim in claims:
        promise(bool(claim.evidence), "a claim without evidence")
        for proof in claim.evidence:
            promise(proof.quote in said[proof.utterance].text, "a quote that nobody said")


def _in_file(
    name: str, look: Callable[[Path], None]
) -> Callable[[Path], contextlib.AbstractContextManager[Read]]:
    @contextlib.contextmanager
    def opened(folder: Path) -> Iterator[Read]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)

        def read(content: bytes) -> None:
            path.write_bytes(content)
            try:
                look(path)
            except PermanentError as error:
                promise_text(str(error), "the refusal", most=2000)

        yield read

    return opened


def _contacts(path: Path) -> None:
    for contact in read_contacts(path):
        promise(bool(contact.emails), "a contact without an address")
        promise(all("@" in each for each in contact.emails), "an address that is none")
        promise(len(contact.about) < 3000, "a contact without end")


def _skills(path: Path) -> None:
    good, bad = read_skills(path.parents[1])
    promise(len(good) + len(bad) == 1, "a skill that got lost")
    for skill in good:
        promise(skill.name == "notes", "a skill by another's name")
        promise(0 < len(skill.description) <= 1024, "a description without end")
        skill.text()
    for each in bad:
        promise_text(each.problem, "the problem", most=2000)


def _approvals(path: Path) -> None:
    for name, digest in SkillBook(path).approved().items():
        promise(bool(name) or bool(digest), "an approval of nothing")


KNOWLEDGE: tuple[Reader, ...] = (
    pure("transcript", _transcript, (_VTT, _SRT, _QMSUM, _LINES)),
    Reader("contacts", (_VCARD, _CSV), _in_file("people", _contacts)),
    Reader("skill", (_SKILL,), _in_file("skills/notes/SKILL.md", _skills)),
    Reader("approved-skills", (b'{"notes": "0123"}',), _in_file("skills.json", _approvals)),
)
