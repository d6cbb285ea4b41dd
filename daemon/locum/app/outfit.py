"""What attendances, passes and summaries are given, as the config has it.

A config is taken whole or not at all: what can fail comes before anything is given out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from locum.app.aftermath import Aftermath
from locum.app.briefing import desk
from locum.app.parts import Workshop, personas_of, policy_of, prices_of, purse_of, sinks_of
from locum.app.personas import PersonaKeeper
from locum.app.state import State
from locum.attendance import Company
from locum.config.model import Config
from locum.controller import Setting
from locum.core.policy import Policy
from locum.metrics import Metrics
from locum.persona import Wardrobe
from locum.ports import Clock, PresenceEngine


class Outfit:
    """Has nothing to give until `take`. `on_standing` is called when somebody's standing moves."""

    engines: Mapping[str, PresenceEngine]

    def __init__(
        self,
        *,
        state: State,
        clock: Clock,
        metrics: Metrics,
        workshop: Workshop,
        aftermath: Aftermath,
        on_standing: Callable[[], None],
    ) -> None:
        self._folder = state.folder
        self._ledger = state.ledger
        self._clock = clock
        self._metrics = metrics
        self._workshop = workshop
        self._aftermath = aftermath
        self.keeper = PersonaKeeper(
            clock, state.folder, Wardrobe(state.folder), on_change=on_standing
        )

    def take(self, config: Config) -> Setting:
        """Give out from now on what a config says; answers what passes are to go by.

        Raises:
            LocumError: Something of it can't be had; all stays as it was.
        """
        engines, personas = self._workshop.engines(config), personas_of(config, self._folder)
        cloners = self._workshop.cloners(config)
        sinks = sinks_of(config, self._folder)
        brain = self._workshop.brain(config)
        purse = purse_of(config, self._ledger.database)
        self.keeper.take(personas)
        setting = Setting(
            policy_of(config, self.keeper.standings),
            engines,
            prices_of(config),
            purse,
            notice=timedelta(0) if config.notify is None else config.notify.before,
            funds_ahead=config.budget.check_ahead,
        )
        self.engines = engines
        self.keeper.wardrobe.cloners = cloners
        debrief, remembering = self._aftermath.debrief, self._aftermath.remembering
        debrief.engines, debrief.personas = engines, personas
        debrief.sinks, debrief.hold = sinks, config.summary.hold
        debrief.brain = brain
        self._desk = desk(config, self._folder, remembering.boundaries, remembering.lines)
        self._aftermath.contacts = self._desk.contacts
        return setting

    def company(self, policy: Policy) -> Company:
        """Answer what an attendance that begins now is given."""
        return Company(
            ledger=self._ledger,
            clock=self._clock,
            metrics=self._metrics,
            engines=self.engines,
            personas=self.keeper.personas,
            policy=policy,
            wardrobe=self.keeper.wardrobe,
            brief=self._desk.brief,
        )
