"""Who promised what, and who was given what to do."""

from __future__ import annotations

import re

from locum.brains.rules import pointing
from locum.brains.rules.listening import Heard, Turn, part
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import Notes, Task, keys
from locum.brains.rules.requests import given, promised, take_on
from locum.core.minutes import Evidence
from locum.core.when import Due


class TaskRules:
    """Keeps `notes.tasks`, one sentence after the other."""

    def __init__(self, notes: Notes, cast: Cast) -> None:
        self._notes = notes
        self._cast = cast

    def hear(self, turn: Turn, n: int) -> None:
        """Hear the sentence `n` of a turn."""
        self._promise(turn, turn.heard[n], n)
        self._assign(turn, turn.heard[n])

    def _promise(self, turn: Turn, heard: Heard, n: int) -> None:
        lexicon, masked = turn.lexicon, heard.masked
        if masked.rstrip().endswith("?") and not lexicon.commit.search(masked):
            return
        for words in self._promised(turn, masked):
            if lexicon.hedge.search(masked):
                continue
            self._note_promise(turn, heard, words, n)

    def _promised(self, turn: Turn, masked: str) -> list[str]:
        """Answer what the speaker of a sentence promises in it, clause by clause."""
        lexicon = turn.lexicon
        found: list[str] = []
        position = 0
        while len(found) < 6:
            match = lexicon.commit.search(masked, position)
            if match is None:
                break
            words = part(match, "vp") or ""
            start = match.end() - len(words)
            end = lexicon.clause_end.search(words, 2)
            found.append(words if end is None else words[: end.start()])
            position = start + (len(words) if end is None else end.start())
        if not found:
            late = lexicon.late_commit.search(masked)
            if late is not None and self._notes.due(self._cast.unmask(masked)) is not None:
                found.append(_delivered(part(late, "vp") or ""))
        if not found:
            weak = lexicon.weak_commit.search(masked)
            day = self._notes.due(self._cast.unmask(masked))
            # "I can do that in two days" is an estimate.
            if weak is not None and day is not None and not day.said.startswith("in "):
                words = part(weak, "vp") or ""
                end = lexicon.clause_end.search(words, 2)
                found.append(words if end is None else words[: end.start()])
        return [
            words
            for words in found
            if len(re.findall(r"\w{2,}", lexicon.filler.sub("", words))) >= 2
            and not lexicon.no_task.search(words)
        ]

    def _note_promise(self, turn: Turn, heard: Heard, words: str, n: int) -> None:
        lexicon = turn.lexicon
        clause = self._cast.unmask(words)
        due = self._notes.due(clause) or (
            self._notes.due(heard.sentence.text)
            if lexicon.language == "de" or "," in heard.sentence.text[:40]
            else None
        )
        if due is None and n + 1 < len(turn.heard):
            # "I'll take it. By Friday."
            follower = turn.heard[n + 1].sentence.text
            fragment = self._notes.due(follower)
            if (
                fragment is not None
                and len(re.findall(r"\w+", follower.replace(fragment.said, ""))) <= 2
            ):
                due = fragment
        due, words, corrected = self._corrected(turn, n, due, words)
        about = keys(words, lexicon)
        is_vague = lexicon.vague.search(words) is not None or not about
        last = self._own_last(turn)
        shown = [heard.sentence.evidence]
        if n + 1 < len(turn.heard) and (
            corrected or (due is not None and due.said not in heard.sentence.text)
        ):
            shown.append(turn.heard[n + 1].sentence.evidence)
        if last is None and pointing.CONTACT.match(words):
            last = next(
                (
                    task
                    for task in reversed(self._notes.recent_tasks(6))
                    if task.owner == turn.speaker
                    and turn.place - task.place <= 8
                    and pointing.CONTACT_VERB.match(task.words)
                ),
                None,
            )
        if last is not None and (
            is_vague
            or lexicon.report_back.search(words)
            or self._points_back(words, last)
            or (self._notes.answered is last and due is not None and last.due in (None, due))
            or (
                pointing.POINTING.match(words)
                and words[:4].casefold() == last.words[:4].casefold()
            )
        ):
            last.due = due or last.due
            last.extend(*shown)
            return
        same = self._notes.same(turn.speaker, about)
        if same is not None:
            same.due = due or same.due
            same.extend(*shown)
            return
        if is_vague:
            self._from_context(turn, words, due, shown)
            return
        task = self._notes.add(promised(turn, words, due, shown))
        if pointing.POINTING.match(words) and len(about) <= 2:
            self._explain(turn, task)

    def _corrected(
        self, turn: Turn, n: int, due: Due | None, words: str
    ) -> tuple[Due | None, str, bool]:
        """Take "No, sorry, by Monday" and "I mean, just the script" for what was promised."""
        if n + 1 >= len(turn.heard):
            return due, words, False
        follower = turn.heard[n + 1]
        if not pointing.CORRECTING.match(follower.masked):
            return due, words, False
        other = self._notes.due(follower.sentence.text)
        if other is not None:
            return other, words, True
        if turn.lexicon.retract.search(follower.masked):
            return due, words, False
        return due, f"{words.rstrip(' .!')} – {follower.masked}", True

    def _explain(self, turn: Turn, task: Task) -> None:
        """Quote what a task points at ("I'll send it"): the last that another speaker said."""
        for own in turn.heard:
            more = keys(own.masked, turn.lexicon) - keys(task.words, turn.lexicon)
            if own.sentence.evidence == task.evidence[0] and len(more) >= 2:
                task.context = own.sentence.text  # "The flyers aren't ordered, I'll do that."
                task.keys |= more
                return
        heard = pointing.context(turn, self._notes.recent, task.evidence[0])
        if heard is not None:
            task.context = heard.sentence.text
            task.evidence.insert(0, heard.sentence.evidence)
            task.keys |= keys(heard.masked, task.lexicon)

    def _points_back(self, words: str, last: Task) -> bool:
        """Whether "I'll write to him on Monday" is what was just taken on."""
        pronoun = pointing.POINTING.match(words)
        if pointing.CONTACT.match(words) and pointing.CONTACT_VERB.match(last.words):
            return True
        return self._notes.answered is last and (
            pronoun is not None or bool(keys(words, last.lexicon) & last.keys)
        )

    def _own_last(self, turn: Turn) -> Task | None:
        for task in reversed(self._notes.recent_tasks(3)):
            if task is self._notes.answered or (
                task.place == turn.place and task.owner == turn.speaker
            ):
                return task
            if task.owner == turn.speaker and turn.place - task.place <= 2 and task.stands:
                return task
        return None

    def _from_context(
        self, turn: Turn, words: str, due: Due | None, shown: list[Evidence]
    ) -> None:
        """Note "I'll do that" with what was said before it, since it says nothing alone."""
        for request in self._notes.waiting(turn):
            if request.asker != turn.who or request.is_group:
                take_on(self._notes, turn, request)
                return
        if not words.strip():
            return
        task = self._notes.add(promised(turn, words, due, shown))
        self._explain(turn, task)

    def _assign(self, turn: Turn, heard: Heard) -> None:
        lexicon, masked = turn.lexicon, heard.masked
        match = lexicon.assign.search(masked)
        if match is None or masked.rstrip().endswith("?") or lexicon.hedge.search(masked):
            return
        words = part(match, "vp") or ""
        owner = part(match, "who")
        if owner is None:
            index = self._named_before(turn, heard)
            if index is None and self._notes.due(self._cast.unmask(words)) is None:
                return
        else:
            index = int(owner)
        end = lexicon.clause_end.search(words, 2)
        words = words if end is None else words[: end.start()]
        if (
            not words.strip()
            or lexicon.no_task.search(words)
            or pointing.IS_STATE.search(words)
        ):
            return
        if index == self._cast.stand_in:
            return
        about = keys(words, lexicon)
        due = self._notes.due(self._cast.unmask(words)) or self._notes.due(heard.sentence.text)
        same = self._notes.same(index, about)
        if same is None and lexicon.vague.search(words):
            waiting = [
                r
                for r in self._notes.waiting(turn)
                if r.is_group or r.addressee in (None, index)
            ]
            if waiting:
                request = waiting[0]
                request.is_open = False
                self._notes.drop_need(request)
                words, about, due = request.words, request.keys, due or request.due
                evidence = [*request.evidence, heard.sentence.evidence]
                self._notes.add(given(turn, index, words, due, evidence))
                return
        if same is not None:
            same.due = due or same.due
            same.extend(heard.sentence.evidence)
            return
        self._notes.add(given(turn, index, words, due, [heard.sentence.evidence]))

    def _named_before(self, turn: Turn, heard: Heard) -> int | None:
        """Answer whom "he" means: whoever was named last in the same breath."""
        found: int | None = None
        for each in turn.heard:
            for index in self._cast.named(each.masked):
                if index not in (turn.speaker, self._cast.stand_in):
                    found = index
            if each is heard:
                break
        return found

    def pass_on(self, turn: Turn) -> None:
        """Note what the stand-in promised in its owner's name, and nothing else of what it said."""
        owner = self._cast.owner_index
        if owner is None:
            return
        for heard in turn.heard:
            match = turn.lexicon.assign.search(heard.masked)
            if match is None or pointing.NOT_PROMISED.search(heard.masked):
                continue
            who = part(match, "who")
            index = int(who) if who is not None else self._owner_before(turn, heard)
            if index != owner:
                continue
            words = part(match, "vp") or ""
            if (
                not words.strip()
                or turn.lexicon.no_task.search(words)
                or pointing.IS_STATE.search(words)
            ):
                continue
            due = self._notes.due(heard.sentence.text)
            self._notes.add(given(turn, owner, words, due, [heard.sentence.evidence]))

    def _owner_before(self, turn: Turn, heard: Heard) -> int | None:
        owner = self._cast.owner_index
        for each in turn.heard:
            if owner in tuple(self._cast.named(each.masked)):
                return owner
            if each is heard:
                break
        return None


def _delivered(words: str) -> str:
    """Word "you'll have them" and "they'll be out" as what their speaker does."""
    words = re.sub(r"^you'll (?:have|get)\b", "deliver", words, flags=re.IGNORECASE)
    words = re.sub(r"^they'll be\b", "have them", words, flags=re.IGNORECASE)
    return re.sub(r"^it'll be\b", "have it", words, flags=re.IGNORECASE)
