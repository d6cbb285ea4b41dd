"""A meeting's briefing: from memory, workspaces, contacts and skills, for that audience."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from locum.app.places import skills_path
from locum.app.remembering import lines_for, memory_of, read_memory
from locum.briefing import (
    Contact,
    Skill,
    SkillBook,
    Workspace,
    read_contacts,
    read_skills,
    read_workspace,
)
from locum.config.knowing import WorkspaceTable
from locum.config.model import Config
from locum.core.briefing import Briefing, Piece, compile_briefing, gives_orders
from locum.core.compartments import INTERNAL, NOBODY, joined
from locum.core.model import CalendarEvent, Code, Decision, Meeting, Person, Platform, Room
from locum.core.remembered import Compartment, Kind, Remembered, Standing
from locum.errors import LocumError
from locum.memory import Boundaries
from locum.ports import Finding, Health

_log = structlog.get_logger(__name__)

_LONGEST_S = 15.0
"""How long a join waits for its briefing, in the host's seconds; then it goes without."""

_ANYONE = "anyone"
_MOST_PEOPLE = 50
_RANKS = {
    Kind.COMMITMENT: 1,
    Kind.ASKED: 1,
    Kind.DECISION: 2,
    Kind.QUESTION: 2,
    Kind.POINT: 3,
}

Recall = Callable[[Meeting, Compartment], Sequence[Remembered]]


@dataclass(frozen=True)
class Desk:
    """Compiles briefings.

    `audience_of` tells a meeting's compartment, `recall` what is left of earlier ones.
    """

    config: Config
    skills: SkillBook
    audience_of: Callable[[Meeting], Compartment]
    recall: Recall
    party_of: Callable[[Person], Compartment] = lambda _person: NOBODY

    async def brief(self, meeting: Meeting) -> str:
        """Answer what may be known in a meeting, as lines; nothing where that fails."""
        return (await self.briefing(meeting)).text

    async def briefing(self, meeting: Meeting) -> Briefing:
        """Answer what may be known in a meeting, piece by piece; nothing where that fails."""
        if not self.config.briefing.enabled:
            return Briefing(NOBODY)
        try:
            with anyio.fail_after(_LONGEST_S):
                # In a thread: folders can be many, and on a network.
                gathered = await anyio.to_thread.run_sync(self.outside, meeting)
            briefing = self.compile(meeting, gathered)
        except (LocumError, OSError, TimeoutError) as error:
            problem = str(error) or f"it took longer than {_LONGEST_S:.0f} s"
            _log.error("briefing_failed", problem=problem)
            return Briefing(NOBODY)
        _log.info(
            "briefing_compiled",
            pieces=len(briefing.told),
            withheld=len(briefing.withheld),
            tokens=briefing.tokens,
        )
        return briefing

    def compile(self, meeting: Meeting, outside: Iterable[Piece]) -> Briefing:
        """Compile a briefing; `outside` is what `outside` gathered."""
        audience = self.audience_of(meeting)
        remembered = (
            _remembered(line)
            for line in self.recall(meeting, audience)
            if line.approved or not gives_orders(line.text)
        )
        return compile_briefing(
            [*remembered, *outside], audience=audience, budget=self.config.briefing.tokens
        )

    def outside(self, meeting: Meeting) -> tuple[Piece, ...]:
        """Read contacts, workspaces and skills. Blocking; what can't be read is logged."""
        found: list[Piece] = []
        readers: list[Callable[[], Iterable[Piece]]] = [
            lambda: self._people(meeting),
            self._skills,
            *(lambda table=table: _workspace(table) for table in self.config.workspace),
        ]
        for read in readers:
            try:
                found += read()
            except LocumError as error:
                _log.warning("briefing_source_failed", problem=str(error))
        return tuple(found)

    def contacts(self) -> tuple[Person, ...]:
        """Answer the people that are known, to tell who spoke. Blocking; raises nothing."""
        found: list[Person] = []
        for path in self.config.contacts.files:
            try:
                found += (contact.person for contact in read_contacts(path))
            except LocumError as error:
                _log.warning("briefing_source_failed", problem=str(error))
        return tuple(found)

    def _people(self, meeting: Meeting) -> Iterator[Piece]:
        known: dict[str, Contact] = {}
        for path in self.config.contacts.files:
            for contact in read_contacts(path):
                known.update(dict.fromkeys(contact.emails, contact))
        for attendee in meeting.attendees[:_MOST_PEOPLE]:
            found = known.get(attendee.person.email.lower())
            if found is not None:
                yield from _contact(found)

    def workspaces(self) -> tuple[Piece, ...]:
        """Answer every text of every workspace, whomever it is for. Blocking."""
        found: list[Piece] = []
        for table in self.config.workspace:
            try:
                found += _workspace(table)
            except LocumError as error:
                _log.warning("briefing_source_failed", problem=str(error))
        return tuple(found)

    def people(self) -> tuple[Piece, ...]:
        """Answer who everybody is; those of a client's may hear it of each other. Blocking."""
        found: list[Piece] = []
        for path in self.config.contacts.files:
            try:
                for contact in read_contacts(path):
                    among = self.party_of(contact.person)
                    about = f"{contact.name}, {', '.join(contact.emails)}"
                    found += (
                        replace(
                            piece,
                            compartment=among,
                            text=f"{about}: {piece.text}",
                            is_public=False,
                        )
                        if piece.is_public
                        else piece
                        for piece in _contact(contact)
                    )
            except LocumError as error:
                _log.warning("briefing_source_failed", problem=str(error))
        return tuple(found)

    def approved_skills(self) -> tuple[Skill, ...]:
        """Answer the skills that count. Blocking."""
        approved = self.skills.approved()
        return tuple(s for s in self.all_skills() if approved.get(s.name) == s.digest)

    def _skills(self) -> Iterator[Piece]:
        for skill in self.approved_skills():
            yield Piece(
                f"skill {skill.name}",
                f"skill: {skill.name}",
                skill.description,
                INTERNAL,
                rank=4,
                is_public=True,
            )

    def all_skills(self) -> tuple[Skill, ...]:
        found: list[Skill] = []
        for folder in self.config.skills.folders:
            good, bad = read_skills(folder)
            found += good
            for each in bad:
                _log.warning("skill_unusable", folder=str(each.folder), problem=each.problem)
        return tuple(found)

    def check(self) -> tuple[Finding, ...]:
        """Look at every source, for `locum doctor`. Blocking."""
        return (
            *self._check_contacts(),
            *(_check_workspace(table) for table in self.config.workspace),
            *self._check_skills(),
        )

    def _check_contacts(self) -> Iterator[Finding]:
        for path in self.config.contacts.files:
            subject = f"contacts {path.name}"
            try:
                number = len(read_contacts(path))
            except LocumError as error:
                yield Finding(subject, Health.BROKEN, str(error), "Correct it, or [contacts].")
            else:
                health = Health.OK if number else Health.WARNING
                yield Finding(subject, health, f"{number} people with an address")

    def _check_skills(self) -> Iterator[Finding]:
        approved = self.skills.approved()
        for folder in self.config.skills.folders:
            try:
                good, bad = read_skills(folder)
            except LocumError as error:
                yield Finding(f"skills {folder}", Health.BROKEN, str(error), "See [skills].")
                continue
            for each in bad:
                yield Finding(f"skill {each.folder.name}", Health.BROKEN, each.problem)
            for skill in good:
                yield _check_skill(skill, approved.get(skill.name))


def _check_skill(skill: Skill, approved: str | None) -> Finding:
    subject = f"skill {skill.name}"
    if approved == skill.digest:
        return Finding(subject, Health.OK, "; ".join(("approved", *skill.remarks)))
    why = "is not approved yet" if approved is None else "has changed since it was approved"
    step = f"Read {skill.folder}, then: locum skills approve {skill.name}"
    return Finding(subject, Health.WARNING, why, step)


def _check_workspace(table: WorkspaceTable) -> Finding:
    subject = f"workspace {table.name}"
    try:
        found = read_workspace(_settings(table))
    except LocumError as error:
        return Finding(subject, Health.BROKEN, str(error), "Correct [[workspace]].")
    dropped = sum(excerpt.dropped for excerpt in found)
    told = f"{len(found)} texts" + (
        f", {dropped} lines with secrets left out" if dropped else ""
    )
    if not found:
        return Finding(subject, Health.WARNING, "nothing there fits `include`")
    return Finding(subject, Health.OK, told)


def _settings(table: WorkspaceTable) -> Workspace:
    return Workspace(table.name, table.folder, table.include, table.exclude, table.git_log)


def _workspace(table: WorkspaceTable) -> Iterator[Piece]:
    parties = {party.lower() for party in table.audience}
    for excerpt in read_workspace(_settings(table)):
        yield Piece(
            f"workspace {table.name}: {excerpt.name}",
            f"{table.name}: {excerpt.name}",
            excerpt.text,
            joined(parties) if parties else NOBODY,
            rank=3 if excerpt.name == "git log" else 4,
            is_public=_ANYONE in parties,
        )


def _contact(contact: Contact) -> Iterator[Piece]:
    origin = f"contacts: {contact.name or contact.emails[0]}"
    title = f"who {contact.name or contact.emails[0]} is"
    described = ", ".join(part for part in (contact.role, contact.company) if part)
    if described:
        # They are there: what they are, everybody there may know.
        yield Piece(origin, title, described, INTERNAL, rank=0, is_public=True)
    if contact.notes:
        yield Piece(f"{origin} (notes)", title, contact.notes, INTERNAL, rank=2)


def _remembered(line: Remembered) -> Piece:
    details = [f"{line.title}, {line.at:%Y-%m-%d}"]
    if line.owner:
        details.append(f"by {line.owner}")
    if line.due:
        details.append(f"due {line.due:%Y-%m-%d}")
    if line.kind is Kind.COMMITMENT:
        details.append(line.standing.value)
    rank = _RANKS[line.kind] if line.standing is Standing.OPEN else 3
    return Piece(
        f"memory: {line.title}, {line.at:%Y-%m-%d}",
        f"{line.kind.value} ({'; '.join(details)})",
        line.text,
        line.compartment,
        rank,
    )


def meeting_for_brief(event: CalendarEvent) -> Meeting:
    """Answer an event as the meeting that it would be, whether or not it is gone to."""
    nowhere = Room(Platform.GOOGLE_MEET, "", "")
    return Meeting(
        key=event.meeting,
        occurrence=event.occurrence,
        title=event.title,
        start=event.start,
        end=event.end or event.start,
        open_ended=event.end is None,
        room=event.room or nowhere,
        decision=Decision(join=True, code=Code.USER_JOIN, reason=""),
        revision=event.revision,
        description=event.description,
        organizer=event.organizer,
        attendees=event.attendees,
        attendees_omitted=event.attendees_omitted,
    )


@contextlib.contextmanager
def desk_of(config: Config, state_dir: Path) -> Iterator[Desk]:
    """Answer a desk for a command: it reads what a daemon with this config would.

    Raises:
        LocumError: Memory can't be read.
    """
    with contextlib.ExitStack() as stack:
        memory = read_memory(state_dir) if config.memory.enabled else None
        if memory is not None:
            stack.callback(memory.close)

        def recall(meeting: Meeting, audience: Compartment) -> tuple[Remembered, ...]:
            return () if memory is None else lines_for(memory, meeting, audience)

        yield desk(config, state_dir, memory_of(config).boundaries, recall)


def desk(config: Config, state_dir: Path, boundaries: Boundaries, recall: Recall) -> Desk:
    return Desk(
        config,
        SkillBook(skills_path(state_dir)),
        boundaries.of_meeting,
        recall,
        boundaries.of_person,
    )
