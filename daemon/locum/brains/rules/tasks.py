"""Who promised what: promises, requests that were taken on, and work given to somebody."""

from __future__ import annotations

import re
from collections import deque

from locum.brains.rules.lexicon import Lexicon
from locum.brains.rules.listening import Heard, Turn, part
from locum.brains.rules.names import Cast
from locum.brains.rules.notes import MOST, Notes, Request, Task, keys, overlap
from locum.core.minutes import Evidence
from locum.core.when import Due, resolve_due

_PATIENCE = 5  # Utterances: how long a question waits for somebody to say "sure".
_SAME = 0.6  # So much of the shorter one's words in common: it is the same task, told again.


class TaskRules:
    """Keeps `notes.tasks` and `notes.requests`, one utterance after the other."""

    def __init__(self, notes: Notes, cast: Cast) -> None:
        self._notes = notes
        self._cast = cast
        self._answered: Task | None = None
        self._recent: deque[Turn] = deque(maxlen=6)

    def hear(self, turn: Turn) -> None:
        self._answered = None
        try:
            self._listen(turn)
        finally:
            self._recent.append(turn)

    def _listen(self, turn: Turn) -> None:
        if turn.utterance.by_us:
            self._pass_on(turn)
            return
        self._take_back(turn)
        self._want(turn)
        self._answer(turn)
        self._tell_day(turn)
        for n, heard in enumerate(turn.heard):
            self._promise(turn, heard, n)
            self._offer(turn, heard)
            self._assign(turn, heard)
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
        due = self._due(turn.utterance.text)
        shown = [heard.sentence.evidence]
        if due is not None and due.said not in heard.sentence.text:
            shown.extend(h.sentence.evidence for h in turn.heard if due.said in h.sentence.text)
        self._notes.offers.append(self._task(turn, words, due, shown, keys(words, lexicon)))

    def _want(self, turn: Turn) -> None:
        """Make a promise of an offer that somebody else wants: "I can ask him." "Please do." """
        if not turn.lexicon.offer_taken.search(turn.head):
            return
        for offer in list(self._notes.offers):
            if offer.speaker != turn.who and turn.place - offer.place <= 2:
                self._notes.offers.remove(offer)
                if self._same(offer.owner, offer.keys, turn.place) is None:
                    offer.extend(turn.heard[0].sentence.evidence)
                    offer.place = turn.place
                    self._add(offer)
                return

    # ── what was asked before ────────────────────────────────────────────────────────────

    def _waiting(self, turn: Turn) -> list[Request]:
        return [
            each
            for each in reversed(self._notes.requests)
            if each.is_open and turn.place - each.place <= _PATIENCE
        ]

    def _answer(self, turn: Turn) -> None:
        lexicon, head = turn.lexicon, turn.head
        takes = lexicon.take.search(head)
        refuses = lexicon.refuse.search(head) and not takes
        accepts = lexicon.accept.search(head) and not refuses and not _PLEASED.match(head)
        if (
            refuses
            and len(turn.heard) > 1
            and any(lexicon.take.search(each.masked) for each in turn.heard[1:])
        ):
            takes = lexicon.take.search(turn.heard[1].masked)
        for request in self._waiting(turn):
            if request.asker == turn.who:
                if takes and request.is_group:
                    self._take_on(turn, request)
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
                self._take_on(turn, request)
                return
            if request.is_when and self._due(turn.utterance.text) is not None and ours:
                self._take_on(turn, request)
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
                _POINTING_THING.match(words)
                and words[:4].casefold() == request.words[:4].casefold()
            )
            if turn.lexicon.vague.search(words) or points:
                return True
        return False

    @staticmethod
    def _hedged(turn: Turn, lexicon: Lexicon, head: str) -> bool:
        return lexicon.hedge.search(turn.masked) is not None and not lexicon.take.search(head)

    def _take_on(self, turn: Turn, request: Request) -> None:
        request.is_open = False
        day = self._due(turn.utterance.text)
        shown = [h.sentence.evidence for h in turn.heard[:2]]
        asker = request.asker if request.asker != turn.who else None
        same = self._same(turn.speaker, request.keys, request.place)
        if same is None and request.is_need:
            same = next(
                (
                    t for t in self._notes.recent_tasks(10)
                    if t.owner is None and t.stands and t.evidence[0] == request.evidence[0]
                ),
                None,
            )  # fmt: skip
        if same is not None:
            same.owner, same.due = turn.speaker, day or same.due or request.due
            same.speaker, same.listener = turn.who, asker
            same.extend(*request.evidence, *shown)
            self._answered = same
            return
        self._answered = self._add(
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

    def _tell_day(self, turn: Turn) -> None:
        """Take "By Wednesday, please" or "make it Monday" for the day of what was just promised."""
        text = turn.utterance.text
        if len(text.split()) > 16 or self._answered is not None:
            return
        due = self._due(text)
        if due is None:
            return
        said = text.replace(due.said, "")
        correcting = re.search(
            r"\b(?:meant|make it|rather|wait|say|sorry|better|instead|doch|lieber|besser|sagen wir)\b",
            said,
            re.I,
        )
        most = 8 if text.startswith(due.said) else 4
        if _OTHER_DATE.search(said) or (
            len(re.findall(r"\w+", said)) > most and not correcting
        ):
            return
        before = self._recent[-1] if self._recent else None
        was_asked = before is not None and _WHEN_ASKED.search(before.utterance.text) is not None
        if turn.lexicon.commit.search(turn.masked):
            return
        for request in self._waiting(turn)[:1]:
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
        if len(last) > 1 and _TELLING.match(last[-1].words) and last[-2].due is None:
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
            waiting = [r for r in self._waiting(turn) if turn.place - r.place <= 3]
            if waiting and (match is None or waiting[0].place > match.place):
                waiting[0].is_open = False
                self._drop_need(waiting[0])
            elif match is not None:
                match.stands = False
            elif self._recent and self._recent[-1].masked.rstrip().endswith("?"):
                continue  # It answers that question, and takes nothing back.
            elif recent and turn.place - recent[-1].place <= 2 and len(about) <= 3:
                recent[-1].stands = False

    def _drop_need(self, request: Request) -> None:
        for task in self._notes.recent_tasks(6):
            if task.owner is None and task.evidence[0] == request.evidence[0]:
                task.stands = False

    # ── promises ─────────────────────────────────────────────────────────────────────────

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
            if late is not None and self._due(self._cast.unmask(masked)) is not None:
                found.append(part(late, "vp") or "")
        if not found:
            weak = lexicon.weak_commit.search(masked)
            day = self._due(self._cast.unmask(masked))
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
        due = self._due(clause) or (
            self._due(heard.sentence.text)
            if lexicon.language == "de" or "," in heard.sentence.text[:40]
            else None
        )
        if due is None and n + 1 < len(turn.heard):
            # "I'll take it. By Friday."
            follower = turn.heard[n + 1].sentence.text
            fragment = self._due(follower)
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
        if last is None and _CONTACT.match(words):
            last = next(
                (
                    task
                    for task in reversed(self._notes.recent_tasks(6))
                    if task.owner == turn.speaker
                    and turn.place - task.place <= 8
                    and _CONTACT_VERB.match(task.words)
                ),
                None,
            )
        if last is not None and (
            is_vague
            or lexicon.report_back.search(words)
            or self._points_back(words, last)
            or (self._answered is last and due is not None and last.due in (None, due))
            or (_POINTING.match(words) and words[:4].casefold() == last.words[:4].casefold())
        ):
            last.due = due or last.due
            last.extend(*shown)
            return
        same = self._same(turn.speaker, about, turn.place)
        if same is not None:
            same.due = due or same.due
            same.extend(*shown)
            return
        if is_vague:
            self._from_context(turn, words, due, shown)
            return
        task = self._add(self._task(turn, words, due, shown, about))
        if _POINTING.match(words) and len(about) <= 2:
            self._explain(turn, task)

    def _corrected(
        self, turn: Turn, n: int, due: Due | None, words: str
    ) -> tuple[Due | None, str, bool]:
        """Take "No, sorry, by Monday" and "I mean, just the script" for what was promised."""
        if n + 1 >= len(turn.heard):
            return due, words, False
        follower = turn.heard[n + 1]
        if not _CORRECTING.match(follower.masked):
            return due, words, False
        other = self._due(follower.sentence.text)
        if other is not None:
            return other, words, True
        if turn.lexicon.retract.search(follower.masked):
            return due, words, False
        return due, f"{words.rstrip(' .!')} – {follower.masked}", True

    def _explain(self, turn: Turn, task: Task) -> None:
        """Quote what a task points at ("I'll send it"): the last that another speaker said."""
        heard = self._context(turn, task.evidence[0])
        if heard is not None:
            task.context = heard.sentence.text
            task.evidence.insert(0, heard.sentence.evidence)
            task.keys |= keys(heard.masked, task.lexicon)

    def _context(self, turn: Turn, shown: Evidence) -> Heard | None:
        """Answer the last sentence before `shown` that says what things are about."""
        for before in (turn, *reversed(self._recent)):
            if turn.place - before.place > 4:
                return None
            said = list(before.heard)
            if before is turn:
                places = [n for n, h in enumerate(said) if h.sentence.evidence == shown]
                said = said[: places[0]] if places else []
            for heard in reversed(said):
                if _SAYS_NOTHING.match(heard.masked) is not None:
                    continue
                if len(keys(heard.masked, before.lexicon)) >= 2:
                    return heard
        return None

    def _points_back(self, words: str, last: Task) -> bool:
        """Whether "I'll write to him on Monday" is what was just taken on."""
        pronoun = _POINTING.match(words)
        if _CONTACT.match(words) and _CONTACT_VERB.match(last.words):
            return True
        return self._answered is last and (
            pronoun is not None or bool(keys(words, last.lexicon) & last.keys)
        )

    def _own_last(self, turn: Turn) -> Task | None:
        for task in reversed(self._notes.recent_tasks(3)):
            if task is self._answered or (
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
        for request in self._waiting(turn):
            if request.asker != turn.who or request.is_group:
                self._take_on(turn, request)
                return
        if not words.strip():
            return
        task = self._add(
            self._task(turn, words, due, shown, keys(words, turn.lexicon), vague=True)
        )
        self._explain(turn, task)

    def _task(
        self,
        turn: Turn,
        words: str,
        due: Due | None,
        shown: list[Evidence],
        about: frozenset[str],
        *,
        vague: bool = False,
    ) -> Task:
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
            is_vague=vague,
        )

    # ── work given to others ─────────────────────────────────────────────────────────────

    def _assign(self, turn: Turn, heard: Heard) -> None:
        lexicon, masked = turn.lexicon, heard.masked
        match = lexicon.assign.search(masked)
        if match is None or masked.rstrip().endswith("?") or lexicon.hedge.search(masked):
            return
        words = part(match, "vp") or ""
        owner = part(match, "who")
        if owner is None:
            index = self._named_before(turn, heard)
            if index is None and self._due(self._cast.unmask(words)) is None:
                return
        else:
            index = int(owner)
        end = lexicon.clause_end.search(words, 2)
        words = words if end is None else words[: end.start()]
        if not words.strip() or lexicon.no_task.search(words) or _IS_STATE.search(words):
            return
        if index == self._cast.stand_in:
            return
        about = keys(words, lexicon)
        due = self._due(self._cast.unmask(words)) or self._due(heard.sentence.text)
        same = self._same(index, about, turn.place)
        if same is None and lexicon.vague.search(words):
            waiting = [
                r for r in self._waiting(turn) if r.is_group or r.addressee in (None, index)
            ]
            if waiting:
                request = waiting[0]
                request.is_open = False
                self._drop_need(request)
                words, about, due = request.words, request.keys, due or request.due
                evidence = [*request.evidence, heard.sentence.evidence]
                self._add(
                    Task(
                        index, words, due, evidence, turn.place, turn.who, None, lexicon, about
                    )
                )
                return
        if same is not None:
            same.due = due or same.due
            same.extend(heard.sentence.evidence)
            return
        self._add(
            Task(
                index,
                words,
                due,
                [heard.sentence.evidence],
                turn.place,
                turn.who,
                None,
                lexicon,
                about,
            )
        )

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

    def _pass_on(self, turn: Turn) -> None:
        """Note what the stand-in promised in its owner's name, and nothing else of what it said."""
        owner = self._cast.owner_index
        if owner is None:
            return
        for heard in turn.heard:
            match = turn.lexicon.assign.search(heard.masked)
            if match is None or _NOT_PROMISED.search(heard.masked):
                continue
            who = part(match, "who")
            index = int(who) if who is not None else self._owner_before(turn, heard)
            if index != owner:
                continue
            words = part(match, "vp") or ""
            if (
                not words.strip()
                or turn.lexicon.no_task.search(words)
                or _IS_STATE.search(words)
            ):
                continue
            due = self._due(heard.sentence.text)
            about = keys(words, turn.lexicon)
            self._add(
                Task(
                    owner,
                    words,
                    due,
                    [heard.sentence.evidence],
                    turn.place,
                    turn.who,
                    None,
                    turn.lexicon,
                    about,
                )
            )

    def _owner_before(self, turn: Turn, heard: Heard) -> int | None:
        owner = self._cast.owner_index
        for each in turn.heard:
            if owner in self._cast.named(each.masked):
                return owner
            if each is heard:
                break
        return None

    # ── requests ─────────────────────────────────────────────────────────────────────────

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
            r"\b(?:someone|somebody|anyone|anybody|jemand|who|wer)\b", heard.masked, re.I
        )
        if addressee is not None and not anybody:
            group = need = False
        elif anybody and not group:
            group = True
        due = self._due(heard.sentence.text)
        about = keys(words, lexicon)
        evidence = [heard.sentence.evidence]
        if lexicon.vague.search(words) or not about:
            before = next((r for r in self._waiting(turn)), None)
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
        request.is_when = _WHEN.search(heard.masked) is not None
        if lexicon.vague.search(words) or (_POINTING.match(words) and len(about) <= 1):
            said = self._context(turn, heard.sentence.evidence)
            if said is not None:
                evidence.insert(0, said.sentence.evidence)
                request.context = said.sentence.text
                request.keys |= keys(said.masked, lexicon)
                request.due = due or self._due(said.sentence.text)
        self._notes.requests.append(request)
        is_work = due is not None or lexicon.work.search(words) is not None
        if (
            need
            and is_work
            and not lexicon.hedge.search(heard.masked)
            and not heard.masked.rstrip().endswith("?")
        ):
            same = self._same(None, about, turn.place)
            if same is None:
                self._add(
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

    # ── the list ─────────────────────────────────────────────────────────────────────────

    def _same(self, owner: int | None, about: frozenset[str], place: int) -> Task | None:
        for task in reversed(self._notes.recent_tasks()):
            if task.owner != owner or not task.stands:
                continue
            if overlap(task.keys, about) >= _SAME and len(task.keys & about) >= min(
                2, len(about)
            ):
                return task
        return None

    def _add(self, task: Task) -> Task:
        if len(self._notes.tasks) < MOST:
            self._notes.tasks.append(task)
        return task

    def _due(self, text: str) -> Due | None:
        return None if self._notes.on is None else resolve_due(text, on=self._notes.on)


_IS_STATE = re.compile(
    r"^(?:probably|likely|never|not|be (?!in touch|responsible)|have to wait|love|like|hate|know|want|need|come|win|lose|see|"
    r"think|cost|happen|join|leave|arrive|start an|send heartbeats|become|stay|remain|both|all|always|only|continue|work with)\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"\w+(?: (?:to|ich|about|for|with))?(?: (?:ich|auch|dann|noch))? (?:it|him|her|them|that|this|there|one|es|sie|ihn|das|die|den)\b",
    re.IGNORECASE,
)
_CORRECTING = re.compile(
    r"(?:er|um|uh|ah|oh)?[,. ]*(?:no\b|sorry|actually|wait|i mean|i meant|make (?:it|that)|rather|nein|nee|quatsch|ich meine|entschuldigung|moment)",
    re.IGNORECASE,
)
_OTHER_DATE = re.compile(
    r"\b(?:meeting|call|session|sitzung|treffen|termin|see you|bis bald|weekend|holiday|closed|out|away|off)\b",
    re.IGNORECASE,
)
_WHEN = re.compile(r"\b(?:when|how soon|wann)\b", re.IGNORECASE)
_SAYS_NOTHING = re.compile(
    r"(?:so |and |but |und |also )*(?:it|that|they|this|das|es|die|der)(?:'s)? ", re.IGNORECASE
)
_POINTING_THING = re.compile(r"\w+ (?:it|that|them|those|this|one|these)\b", re.IGNORECASE)
_PLEASED = re.compile(
    r"(?:oh|ah|and)?[,. ]*(?:great|perfect|cool|lovely|good|nice|exactly|works|thanks|right|prima|super|sehr gut|genau)\b(?! (?:will do|i'll|ich))",
    re.IGNORECASE,
)
_WHEN_ASKED = re.compile(
    r"\b(?:when|deadline|how soon|wann|by what)\b[^?]{0,40}\?", re.IGNORECASE
)
_TELLING = re.compile(r"(?:tell|ask|inform|let|write to|call|sage|frage)\b", re.IGNORECASE)
_CONTACT = re.compile(
    r"(?:write|talk|speak|call|ask|tell|mail|email|ping|chase)(?: to| with)? (?:him|her|them)\b",
    re.IGNORECASE,
)
_CONTACT_VERB = re.compile(
    r"(?:write|talk|speak|call|ask|tell|mail|email|ping|chase)\b", re.IGNORECASE
)
_NOT_PROMISED = re.compile(
    r"\b(?:not|nicht|whether|ob|can't|cannot|might|vielleicht|if|would like)\b", re.IGNORECASE
)
