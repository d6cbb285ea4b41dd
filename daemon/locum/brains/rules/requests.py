"""What was asked of somebody, and what came of it: taken on, refused, dated, taken back."""

from __future__ import annotations

import re
from typing import NamedTuple

from locum.brains.rules import pointing
from locum.brains.rules.listening import Heard, Turn, part
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import Notes, Request, Task, keys, overlap
from locum.core.minutes import Evidence
from locum.core.when import Due

_ANYBODY = re.compile(r"\b(?:someone|somebody|anyone|anybody|jemand|who|wer)\b", re.IGNORECASE)


class _Reply(NamedTuple):
    """What a turn says to what was asked before it."""

    takes: bool  #: In so many words: "I'll do it".
    refuses: bool
    accepts: bool
    hedged: bool


class RequestRules:
    """Keeps `notes.requests` and `notes.offers`, and makes tasks of those that are taken on."""

    def __init__(self, notes: Notes, cast: Cast) -> None:
        self._notes = notes
        self._cast = cast

    def answer(self, turn: Turn) -> None:
        """Hear a turn as the answer to what was asked before it."""
        self._take_back(turn)
        self._want(turn)
        self._answer(turn)
        self._tell_day(turn)

    def ask(self, turn: Turn, heard: Heard) -> None:
        """Hear a sentence as something asked, or offered."""
        self._offer(turn, heard)
        self._request(turn, heard)

    def _offer(self, turn: Turn, heard: Heard) -> None:
        lexicon = turn.lexicon
        match = lexicon.offer.search(heard.masked)
        if (
            match is None
            or lexicon.hedge.search(turn.masked)
            or heard.masked.rstrip().endswith("?")
        ):
            return
        words = part(match, "vp") or ""
        end = lexicon.clause_end.search(words, 2)
        words = words if end is None else words[: end.start()]
        if lexicon.work.search(words) is None:
            return
        due = self._notes.due(turn.text)
        shown = [heard.sentence.evidence]
        if due is not None and due.said not in heard.sentence.text:
            shown.extend(h.sentence.evidence for h in turn.heard if due.said in h.sentence.text)
        self._notes.offers.append(promised(turn, words, due, shown))

    def _want(self, turn: Turn) -> None:
        """Make a promise of an offer that somebody else wants: "I can ask him." "Please do."."""
        if not turn.lexicon.offer_taken.search(turn.head):
            return
        for offer in list(self._notes.offers):
            if offer.speaker != turn.who and turn.place - offer.place <= 2:
                self._notes.offers.remove(offer)
                if self._notes.same(offer.owner, offer.keys) is None:
                    offer.extend(turn.heard[0].sentence.evidence)
                    offer.place = turn.place
                    self._notes.add(offer)
                return

    def _answer(self, turn: Turn) -> None:
        reply = self._reply(turn)
        for request in self._notes.waiting(turn):
            if request.asker == turn.who and not (reply.takes and request.is_group):
                continue
            if request.asker != turn.who and turn.lexicon.done.search(turn.masked):
                request.is_open = False
                return
            if self._is_taken(turn, request, reply):
                if reply.hedged:
                    continue
                take_on(self._notes, turn, request)
                return
            if reply.refuses and request.addressee in (None, turn.speaker):
                if not request.is_group:
                    # Nobody in particular was asked, and somebody said no; or now anybody may.
                    request.is_open = request.addressee is not None
                    request.addressee = None
                return

    def _is_taken(self, turn: Turn, request: Request, reply: _Reply) -> bool:
        if reply.takes or self._could(turn, request):
            return True
        if request.addressee not in (None, turn.speaker):
            return False
        if request.is_when and self._notes.due(turn.text) is not None:
            return True
        return reply.accepts and not request.is_group

    @staticmethod
    def _reply(turn: Turn) -> _Reply:
        lexicon, head = turn.lexicon, turn.head
        takes = lexicon.take.search(head) is not None
        refuses = lexicon.refuse.search(head) is not None and not takes
        accepts = lexicon.accept.search(head) is not None and not pointing.PLEASED.match(head)
        hedged = lexicon.hedge.search(turn.masked) is not None and not takes
        if refuses:  # "No, leave it, I'll do it."
            takes = any(lexicon.take.search(each.masked) for each in turn.heard[1:2])
        return _Reply(takes, refuses, accepts and not refuses, hedged)

    @staticmethod
    def _could(turn: Turn, request: Request) -> bool:
        """Whether it is answered by "I'll do that" or "I'll write them", in whatever place."""
        for each in turn.heard:
            match = turn.lexicon.commit.search(each.masked)
            words = (part(match, "vp") or "") if match is not None else ""
            if not words:
                continue
            points = (
                pointing.POINTING_THING.match(words)
                and words[:4].casefold() == request.words[:4].casefold()
            )
            if turn.lexicon.vague.search(words) or points:
                return True
        return False

    def _tell_day(self, turn: Turn) -> None:
        """Take "By Wednesday, please" or "make it Monday" for the day of what was just promised."""
        text = turn.text
        if len(text.split()) > 16 or self._notes.answered is not None:
            return
        due = self._notes.due(text)
        if due is None:
            return
        said = text.replace(due.said, "")
        correcting = re.search(
            r"\b(?:meant|make it|rather|wait|say|sorry|better|instead|doch|lieber|besser|sagen wir)\b",
            said,
            re.IGNORECASE,
        )
        most = 8 if text.startswith(due.said) else 4
        if pointing.OTHER_DATE.search(said) or (
            len(re.findall(r"\w+", said)) > most and not correcting
        ):
            return
        before = self._notes.recent[-1] if self._notes.recent else None
        was_asked = before is not None and pointing.WHEN_ASKED.search(before.text) is not None
        if turn.lexicon.commit.search(turn.masked):
            return
        for request in self._notes.waiting(turn)[:1]:
            if request.due is None or correcting:
                request.due = due
                request.evidence.append(turn.heard[0].sentence.evidence)
                self._quote(request.evidence, due, turn)
        reach = 6 if was_asked else 2 if correcting else 1
        last = [
            task
            for task in self._notes.recent_tasks(3)
            if turn.place - task.place <= reach and task.stands
        ]
        if len(last) > 1 and pointing.TELLING.match(last[-1].words) and last[-2].due is None:
            last.pop()  # "Mira does it. I'll tell her. By the 15th": what Mira does.
        if last and (last[-1].due is None or correcting):
            last[-1].due = due
            self._quote(last[-1].evidence, due, turn)

    @staticmethod
    def _quote(evidence: list[Evidence], due: Due, turn: Turn) -> None:
        for heard in turn.heard:
            if due.said in heard.sentence.text and heard.sentence.evidence not in evidence:
                evidence.append(heard.sentence.evidence)

    def _take_back(self, turn: Turn) -> None:
        lexicon = turn.lexicon
        for heard in turn.heard:
            if not lexicon.retract.search(heard.masked):
                continue
            about = keys(heard.masked, lexicon)
            rest = keys(turn.masked, lexicon)
            recent = [t for t in self._notes.recent_tasks() if t.stands]
            named = set(self._cast.named(turn.masked))
            match = next(
                (
                    t
                    for t in reversed(recent)
                    if overlap(t.keys, about | rest) >= 0.5 and t.keys & (about | rest)
                    and (not named or t.owner in named or turn.place - t.place <= 4)
                ),
                None,
            )  # fmt: skip
            waiting = [r for r in self._notes.waiting(turn) if turn.place - r.place <= 3]
            if waiting and (match is None or waiting[0].place > match.place):
                waiting[0].is_open = False
                self._notes.drop_need(waiting[0])
            elif match is not None:
                match.stands = False
            elif self._notes.recent and self._notes.recent[-1].masked.rstrip().endswith("?"):
                continue  # It answers that question, and takes nothing back.
            elif recent and turn.place - recent[-1].place <= 2 and len(about) <= 3:
                recent[-1].stands = False

    def _request(self, turn: Turn, heard: Heard) -> None:
        lexicon, masked = turn.lexicon, heard.masked
        for pattern, group, need in (
            (lexicon.request, False, False),
            (lexicon.need, True, True),
            (lexicon.weak_need, True, False),
        ):
            match = pattern.search(masked)
            if match is None:
                continue
            words = part(match, "vp") or ""
            end = lexicon.clause_end.search(words, 2)
            words = words if end is None else words[: end.start()]
            barred = lexicon.no_need if group else lexicon.no_request
            if barred.search(words) or not re.search(r"\w{2}", lexicon.filler.sub("", words)):
                return
            if group and lexicon.commit.search(masked):
                return
            self._note_request(turn, heard, words, group=group, need=need)
            return

    def _note_request(
        self, turn: Turn, heard: Heard, words: str, *, group: bool, need: bool
    ) -> None:
        lexicon = turn.lexicon
        addressee = self._addressee(turn, heard)
        anybody = _ANYBODY.search(heard.masked) is not None
        if addressee is not None and not anybody:
            group = need = False
        due = self._notes.due(heard.sentence.text)
        about = keys(words, lexicon)
        is_vague = lexicon.vague.search(words) is not None or not about
        if is_vague and self._ask_again(turn, heard, addressee, due):
            return
        words = re.sub(r",? @\d+@\W*$", "", words)  # "Can you find out, Sven?"
        is_when = pointing.WHEN.search(heard.masked) is not None
        if is_when:
            words = re.sub(r"^(?:have|get|see|expect)\b", "deliver", words)
        request = Request(
            turn.who,
            addressee,
            words,
            due,
            [heard.sentence.evidence],
            turn.place,
            lexicon,
            about,
            is_group=group or anybody,
            is_need=need,
            is_when=is_when,
        )
        if is_vague or (pointing.POINTING.match(words) and len(about) <= 1):
            self._explain(turn, heard, request)
        self._notes.requests.append(request)
        if need and (due is not None or lexicon.work.search(words) is not None):
            self._note_need(turn, heard, request)

    @staticmethod
    def _addressee(turn: Turn, heard: Heard) -> int | None:
        """Answer who is asked by name, in the sentence or around it."""
        named = re.match(r".{0,200}?@(\d+)@,? (?:will|can|could|would) you", heard.masked)
        found = heard.vocative
        if found is None and named:
            found = int(named[1])
        if found is None:
            found = next((h.vocative for h in turn.heard if h.vocative is not None), None)
        return None if found == turn.speaker else found

    def _ask_again(
        self, turn: Turn, heard: Heard, addressee: int | None, due: Due | None
    ) -> bool:
        """Put "can you do that?" to what was asked before; answer whether there was anything."""
        before = next(iter(self._notes.waiting(turn)), None)
        if before is None:
            return False
        before.addressee = addressee
        before.is_group = before.is_group and addressee is None
        before.asker, before.place = turn.who, turn.place
        before.due = due or before.due
        before.evidence.append(heard.sentence.evidence)
        return True

    def _explain(self, turn: Turn, heard: Heard, request: Request) -> None:
        said = pointing.context(turn, self._notes.recent, heard.sentence.evidence)
        if said is not None:
            request.evidence.insert(0, said.sentence.evidence)
            request.context = said.sentence.text
            request.keys |= keys(said.masked, turn.lexicon)
            request.due = request.due or self._notes.due(said.sentence.text)

    def _note_need(self, turn: Turn, heard: Heard, request: Request) -> None:
        """Note "we need to …" as a task that is nobody's yet."""
        if turn.lexicon.hedge.search(heard.masked) or heard.masked.rstrip().endswith("?"):
            return
        if self._notes.same(None, request.keys) is None:
            task = given(turn, None, request.words, request.due, request.evidence)
            task.context = request.context
            self._notes.add(task)


def take_on(notes: Notes, turn: Turn, request: Request) -> None:
    """Make the speaker's task of what was asked."""
    request.is_open = False
    day = notes.due(turn.text)
    shown = [h.sentence.evidence for h in turn.heard[:2]]
    asker = request.asker if request.asker != turn.who else None
    same = notes.same(turn.speaker, request.keys)
    if same is None and request.is_need:
        same = next(
            (
                t for t in notes.recent_tasks(10)
                if t.owner is None and t.stands and t.evidence[0] == request.evidence[0]
            ),
            None,
        )  # fmt: skip
    if same is not None:
        same.owner, same.due = turn.speaker, day or same.due or request.due
        same.speaker, same.listener = turn.who, asker
        same.extend(*request.evidence, *shown)
        notes.answered = same
        return
    notes.answered = notes.add(
        Task(
            turn.speaker,
            request.words,
            day or request.due,
            [*request.evidence, *shown],
            turn.place,
            turn.who,
            asker,
            request.lexicon,
            request.keys,
            is_own=False,
            context=request.context,
        )
    )


def promised(turn: Turn, words: str, due: Due | None, shown: list[Evidence]) -> Task:
    """Word what the speaker of a turn promises in it."""
    about = keys(words, turn.lexicon)
    return Task(
        turn.speaker,
        words,
        due,
        list(shown),
        turn.place,
        turn.who,
        turn.before,
        turn.lexicon,
        about,
    )


def given(
    turn: Turn, owner: int | None, words: str, due: Due | None, shown: list[Evidence]
) -> Task:
    """Word what the speaker of a turn says that another is to do."""
    about = keys(words, turn.lexicon)
    task = Task(owner, words, due, list(shown), turn.place, turn.who, None, turn.lexicon, about)
    task.is_own = False
    return task
