"""What was asked of somebody, and what came of it: taken on, refused, dated, taken back."""

from __future__ import annotations

import re

from locum.brains.rules import pointing
from locum.brains.rules.lexicon import Lexicon
from locum.brains.rules.listening import Heard, Turn, part
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import Notes, Request, Task, keys, overlap
from locum.core.minutes import Evidence
from locum.core.when import Due


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
        due = self._notes.due(turn.utterance.text)
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
        lexicon, head = turn.lexicon, turn.head
        takes = lexicon.take.search(head)
        refuses = lexicon.refuse.search(head) and not takes
        accepts = (
            lexicon.accept.search(head) and not refuses and not pointing.PLEASED.match(head)
        )
        if (
            refuses
            and len(turn.heard) > 1
            and any(lexicon.take.search(each.masked) for each in turn.heard[1:])
        ):
            takes = lexicon.take.search(turn.heard[1].masked)
        for request in self._notes.waiting(turn):
            if request.asker == turn.who:
                if takes and request.is_group:
                    take_on(self._notes, turn, request)
                    return
                continue
            if lexicon.done.search(turn.masked):
                request.is_open = False
                return
            ours = request.addressee is None or request.addressee == turn.speaker
            if (takes or self._could(turn, request)) or (
                accepts and ours and not request.is_group
            ):
                if self._hedged(turn, lexicon, head):
                    continue
                take_on(self._notes, turn, request)
                return
            if request.is_when and self._notes.due(turn.utterance.text) is not None and ours:
                take_on(self._notes, turn, request)
                return
            if refuses and ours:
                request.refused = True
                if request.addressee is None and not request.is_group:
                    request.is_open = False
                elif not request.is_group:
                    request.addressee = None
                return

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

    @staticmethod
    def _hedged(turn: Turn, lexicon: Lexicon, head: str) -> bool:
        return lexicon.hedge.search(turn.masked) is not None and not lexicon.take.search(head)

    def _tell_day(self, turn: Turn) -> None:
        """Take "By Wednesday, please" or "make it Monday" for the day of what was just promised."""
        text = turn.utterance.text
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
        was_asked = (
            before is not None and pointing.WHEN_ASKED.search(before.utterance.text) is not None
        )
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
        addressee = heard.vocative
        named = re.match(r".*?@(\d+)@,? (?:will|can|could|would) you", heard.masked)
        if addressee is None and named:
            addressee = int(named[1])
        if addressee is None:
            addressee = next((h.vocative for h in turn.heard if h.vocative is not None), None)
        if addressee is not None and addressee == turn.speaker:
            addressee = None
        anybody = re.search(
            r"\b(?:someone|somebody|anyone|anybody|jemand|who|wer)\b",
            heard.masked,
            re.IGNORECASE,
        )
        if addressee is not None and not anybody:
            group = need = False
        elif anybody and not group:
            group = True
        due = self._notes.due(heard.sentence.text)
        about = keys(words, lexicon)
        evidence = [heard.sentence.evidence]
        if lexicon.vague.search(words) or not about:
            before = next((r for r in self._notes.waiting(turn)), None)
            if before is not None:
                before.addressee = addressee
                before.is_group = before.is_group and addressee is None
                before.asker, before.place = turn.who, turn.place
                before.due = due or before.due
                before.evidence.append(heard.sentence.evidence)
                return
        request = Request(
            turn.who,
            addressee,
            words,
            due,
            evidence,
            turn.place,
            lexicon,
            about,
            is_group=group,
            is_need=need,
        )
        request.is_when = pointing.WHEN.search(heard.masked) is not None
        if lexicon.vague.search(words) or (pointing.POINTING.match(words) and len(about) <= 1):
            said = pointing.context(turn, self._notes.recent, heard.sentence.evidence)
            if said is not None:
                evidence.insert(0, said.sentence.evidence)
                request.context = said.sentence.text
                request.keys |= keys(said.masked, lexicon)
                request.due = due or self._notes.due(said.sentence.text)
        self._notes.requests.append(request)
        is_work = due is not None or lexicon.work.search(words) is not None
        if (
            need
            and is_work
            and not lexicon.hedge.search(heard.masked)
            and not heard.masked.rstrip().endswith("?")
        ):
            same = self._notes.same(None, about)
            if same is None:
                self._notes.add(
                    Task(
                        None,
                        words,
                        due,
                        list(evidence),
                        turn.place,
                        turn.who,
                        None,
                        lexicon,
                        about,
                    )
                )


def take_on(notes: Notes, turn: Turn, request: Request) -> None:
    """Make the speaker's task of what was asked."""
    request.is_open = False
    day = notes.due(turn.utterance.text)
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
    return Task(owner, words, due, list(shown), turn.place, turn.who, None, turn.lexicon, about)
