"""What is known of the calendars, judged: kept in step with the ledger, and written down.

Judging says what is to be joined by the rules; whether it can be is a pass's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from locum.agenda import Agenda
from locum.core.model import CalendarRef, Judged, OccurrenceKey, OptOut
from locum.core.policy import Policy
from locum.decisions import Decisions
from locum.ledger import Ledger
from locum.ports import Clock


class Judging:
    """Holds the agenda, and what was decided last. `on_judged` is called when it was judged anew."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        policy: Callable[[], Policy],
        on_judged: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._on_judged = on_judged
        self._events_are_news = False
        self._opt_outs: tuple[OptOut, ...] = ()
        self.agenda = Agenda()
        self.decisions = Decisions(ledger, clock)
        self.moved: frozenset[OccurrenceKey] = frozenset()
        """What was moved far into the past: not near any more, it was missed all the same."""

    def begin(self) -> None:
        """Take up what the last process wrote down; `note` follows once a pass was made."""
        self.decisions.begin()
        self.agenda.take(self._ledger.calendars.events())
        self._judge()

    def events_changed(self) -> None:
        """Look at the ledger's events again."""
        # Should this fail, the next pass tries again: whoever told us won't tell us twice.
        self._events_are_news = True
        self.agenda.take(self._ledger.calendars.events())
        self.rejudge()
        self._events_are_news = False

    def calendar_changed(self, calendar: CalendarRef) -> frozenset[CalendarRef]:
        """Look at one calendar's events again.

        Answers the other calendars that show what changed as it was before.
        """
        if self._events_are_news:
            self.events_changed()
            return frozenset()
        self._events_are_news = True
        book = self._ledger.calendars
        changed = self.agenda.take_calendar(calendar, book.events_of(calendar))
        judged = self.agenda.rejudge_some(changed, self._policy(), book.marks())
        self._note_moved(judged)
        self._events_are_news = False
        self._on_judged()
        self.decisions.note_judged(judged, self._policy())
        return self.agenda.disagreeing(calendar, changed)

    def catch_up(self) -> None:
        """Judge anew what couldn't be, or what somebody said in a meeting since."""
        if self._events_are_news:
            self.events_changed()
        elif self._ledger.calendars.opt_outs() != self._opt_outs:
            self.rejudge()  # Said in a meeting: its attendance wrote it down, wherever it ran.

    def rejudge(self) -> None:
        """Decide everything anew: the policy, or what a person said, has changed."""
        self._judge()
        self._on_judged()
        self.note()

    def note(self) -> None:
        """Write down what was decided of everything."""
        self.decisions.note_judged(self.agenda.judged, self._policy())

    def _judge(self) -> None:
        opt_outs = self._ledger.calendars.opt_outs()
        self.agenda.rejudge(self._policy(), self._ledger.calendars.marks())
        self._opt_outs = opt_outs
        self._note_moved(self.agenda.judged)

    def _note_moved(self, judged: Iterable[Judged]) -> None:
        self.moved |= self.decisions.moved(judged)
