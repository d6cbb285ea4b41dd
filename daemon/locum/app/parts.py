"""Builds every adapter that a config asks for; the only place that knows both sides.

A reload keeps what did not change: a rebuilt engine would forget what it is running, and a
rebuilt calendar would sign in anew.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from dateutil.tz import tzlocal

from locum.app import sinks
from locum.app.accounts import google_account
from locum.app.chromium import chromium_engine, chromium_settings
from locum.app.personas import card_in
from locum.app.places import persona_folder
from locum.brains.extractive.brain import ExtractiveBrain
from locum.brains.fallback import FallbackBrain
from locum.brains.model import ModelBrain, ModelSettings, Segment
from locum.calendars.google import GoogleCalendarSource
from locum.calendars.google_meet import GoogleMeetTranscripts
from locum.calendars.google_push import GooglePush
from locum.calendars.google_token import GoogleAccount
from locum.clock import StageClock, SystemClock
from locum.config.attendance import PersonaTable, RuleAction
from locum.config.attendance import Rule as RuleTable
from locum.config.engines import ChromiumEngine as ChromiumTable
from locum.config.engines import PikaStream
from locum.config.model import Config
from locum.config.values import home_directory
from locum.core.identity import Standing
from locum.core.money import Caps
from locum.core.notices import Kind
from locum.core.pacing import Limits
from locum.core.policy import Effect, Policy, Rule
from locum.core.when import resolve_due
from locum.engines.openai_images import OpenAIImages
from locum.engines.pikastream import PikaStreamEngine, PikaStreamSettings
from locum.engines.pikastream_images import PikaStreamImages
from locum.engines.pikastream_key import find_key
from locum.engines.pikastream_voice import PikaStreamVoices
from locum.errors import PermanentError
from locum.gathering import GatherSetting
from locum.ledger import Database, Purse
from locum.notify import Targets
from locum.notifying import NotifySetting
from locum.persona import PersonaCard
from locum.polling import Pace
from locum.ports import (
    Brain,
    CalendarSource,
    ChannelSource,
    Clock,
    ImageMaker,
    PresenceEngine,
    SummarySink,
    TranscriptSource,
    VoiceCloner,
)
from locum.providers import find_key as find_model_key
from locum.push import PushSettings

_EFFECTS = {
    RuleAction.JOIN: Effect.JOIN,
    RuleAction.SKIP: Effect.SKIP,
    RuleAction.USE: Effect.USE,
}


@dataclass
class _Built:
    """An adapter and the settings that it was built from."""

    settings: Any
    adapter: Any


@dataclass
class Workshop:
    """Builds adapters, and keeps those whose settings stay the same."""

    clock: Clock
    state_dir: Path
    environ: Mapping[str, str]
    _built: dict[tuple[str, str], _Built] = field(default_factory=dict)
    _retired: list[Any] = field(default_factory=list)

    def _accounts(self, config: Config) -> list[GoogleAccount]:
        return [
            google_account(account, config, self.state_dir)
            for account in config.calendar.accounts
        ]

    def sources(self, config: Config) -> tuple[CalendarSource, ...]:
        return tuple(
            self._keep(
                ("source", account.name),
                account,
                lambda account=account: GoogleCalendarSource(account, clock=self.clock),
            )
            for account in self._accounts(config)
        )

    def channel_sources(self, config: Config) -> tuple[ChannelSource, ...]:
        """Answer what opens push channels; it costs nothing while nobody uses it."""
        return tuple(
            self._keep(
                ("push", account.name),
                account,
                lambda account=account: GooglePush(account, clock=self.clock),
            )
            for account in self._accounts(config)
        )

    def transcript_sources(self, config: Config) -> tuple[TranscriptSource, ...]:
        """Answer who is asked after meetings; they cost nothing until then."""
        return tuple(
            self._keep(
                ("transcripts", account.name),
                account,
                lambda account=account: GoogleMeetTranscripts(account, clock=self.clock),
            )
            for account in self._accounts(config)
            if "transcripts" in account.permissions
        )

    def brain(self, config: Config) -> Brain:
        return self._keep(  # type: ignore[no-any-return]
            ("brain", ""),
            config.brain,
            lambda: brain_of(config, self.environ, clock=self.clock),
        )

    def gathering(self, config: Config) -> GatherSetting:
        return GatherSetting(
            sources=self.transcript_sources(config),
            first_after=config.transcripts.first_after,
            give_up_after=config.transcripts.give_up_after,
        )

    def engines(self, config: Config) -> dict[str, PresenceEngine]:
        """Answer what carries personas; building one starts nothing."""
        return {name: self._engine(name, config) for name in config.engines}

    def _engine(self, name: str, config: Config) -> PresenceEngine:
        table = config.engines[name]
        if isinstance(table, ChromiumTable):
            settings = chromium_settings(table, config, self.state_dir)
            return self._keep(  # type: ignore[no-any-return]
                ("engine", name), settings, lambda: chromium_engine(settings, self.clock)
            )
        return self._keep(  # type: ignore[no-any-return]
            ("engine", name),
            table,
            lambda: PikaStreamEngine(
                pikastream_settings(table, self.environ), clock=self.clock
            ),
        )

    def memory_limit(self, config: Config, engine: str) -> int | None:
        """Answer how many bytes a session's process tree may take; None where none is set."""
        mib = getattr(config.engines.get(engine), "memory_limit", None)
        return None if mib is None else int(mib) << 20

    def cloners(self, config: Config) -> dict[str, VoiceCloner]:
        """Answer where voices are cloned, by the engine that then speaks with them."""
        return {
            name: self._keep(
                ("voices", name),
                table,
                lambda table=table: PikaStreamVoices(
                    pikastream_settings(table, self.environ), clock=self.clock
                ),
            )
            for name, table in config.engines.items()
            if isinstance(table, PikaStream)
        }

    def _keep(self, place: tuple[str, str], settings: Any, build: Any) -> Any:
        found = self._built.get(place)
        if found is not None and found.settings == settings:
            return found.adapter
        if found is not None:
            # A session or a read may still use it; it is closed with everything else.
            self._retired.append(found.adapter)
        made = _Built(settings, build())
        self._built[place] = made
        return made.adapter

    async def aclose(self) -> None:
        for adapter in (*self._retired, *(built.adapter for built in self._built.values())):
            await adapter.aclose()


def pikastream_settings(table: PikaStream, environ: Mapping[str, str]) -> PikaStreamSettings:
    return PikaStreamSettings(
        base_url=table.base_url,
        key=lambda: find_key(table.api_key_file, environ),
        key_file=table.api_key_file,
        price_per_minute=table.price_per_minute,
        minimum_balance=table.minimum_balance,
        credits_per_dollar=table.credits_per_dollar,
        ready_timeout=table.ready_timeout,
    )


def image_maker(config: Config, environ: Mapping[str, str]) -> ImageMaker:
    """Answer what draws faces: `[images]`, or else the engine that can; close it after use.

    Raises:
        PermanentError: There is nothing that draws.
    """
    if config.images is not None:
        return OpenAIImages(
            config.images.base_url, config.images.model, config.images.api_key_file
        )
    for table in config.engines.values():
        if isinstance(table, PikaStream):
            return PikaStreamImages(pikastream_settings(table, environ))
    raise PermanentError(
        "Nothing draws faces: add [images], or an engine, to the config. Or take a picture of "
        "your own: `locum persona avatar set`."
    )


def brain_of(
    config: Config,
    environ: Mapping[str, str],
    *,
    clock: Clock,
    plain: Brain | None = None,
    segment: Segment | None = None,
) -> Brain:
    """Answer what writes the minutes: `plain`, which needs no model, or `[brain]`'s.

    `segment` is lent to the model: it tells where topics begin.
    """
    plain = plain or ExtractiveBrain()
    table = config.brain
    if table is None:
        return plain
    settings = ModelSettings(
        model=table.model,
        base_url=table.base_url,
        key=lambda: find_model_key(table.api_key_file, environ),
        key_file=table.api_key_file,
        timeout=table.timeout,
        max_words=table.max_words,
    )
    brain = ModelBrain(settings, segment=segment, resolve=_due_day)
    return FallbackBrain(brain, plain, clock=clock) if table.fallback else brain


def _due_day(text: str, *, on: date) -> date | None:
    """Tell the model's words for a day by our own rules."""
    found = resolve_due(text, on=on)
    return None if found is None else found.day


def clock_of(config: Config) -> Clock:
    stage = config.stage
    if stage is None or stage.epoch_host is None or stage.epoch is None:
        return SystemClock()
    return StageClock(speed=stage.speed, epoch_host=stage.epoch_host, epoch=stage.epoch)


def policy_of(config: Config, standings: Mapping[str, Standing] | None = None) -> Policy:
    attend = config.attend
    return Policy(
        lead=attend.lead,
        grace=attend.grace,
        capacity=attend.capacity,
        max_length=attend.max_length,
        forget_on_opt_out=config.privacy.forget_on_opt_out,
        merge_window=attend.merge_window,
        trusted_organizers=attend.trusted_organizers,
        join_unanswered=attend.join_unanswered,
        join_all_day=attend.join_all_day,
        leave_when_cancelled=attend.leave_when_cancelled,
        stay_with_people=attend.stay_with_people,
        platforms=attend.platforms,
        rules=tuple(_rule(number, rule) for number, rule in enumerate(config.rules, start=1)),
        default_persona=attend.persona or _only(config.personas),
        default_engine=attend.engine or _only(config.engines),
        personas=frozenset(config.personas),
        standings=standings or {},
        account_personas={
            account.name: account.persona
            for account in config.calendar.accounts
            if account.persona
        },
    )


def _rule(number: int, table: RuleTable) -> Rule:
    return Rule(
        name=table.name or f"rule {number}",
        effect=_EFFECTS[table.action],
        title=table.match.title,
        organizer=table.match.organizer,
        attendee=table.match.attendee,
        calendar=table.match.calendar,
        platform=table.match.platform,
        persona=table.persona,
        engine=table.engine,
    )


def _only(named: Mapping[str, object]) -> str:
    """Where there is just one, nobody needs to name it."""
    return next(iter(named)) if len(named) == 1 else ""


def personas_of(config: Config, state_dir: Path) -> dict[str, PersonaCard]:
    """Answer who can go. A folder that can't be used is no error here: it has no standing."""
    return {name: _card(name, table, state_dir) for name, table in config.personas.items()}


def _card(name: str, table: PersonaTable, state_dir: Path) -> PersonaCard:
    if table.display_name is None or table.owner is None or table.image is None:
        return card_in(persona_folder(name, table, state_dir), name)
    return PersonaCard(
        name=name,
        display_name=table.display_name,
        owner=table.owner,
        image=table.image,
        voice_id=table.voice_id,
        instructions=table.instructions,
    )


def sinks_of(config: Config, state_dir: Path) -> tuple[SummarySink, ...]:
    """Answer where summaries go. See `locum.app.sinks`."""
    return sinks.sinks_of(config, state_dir, clock=clock_of(config))


def notify_of(config: Config, path: Path, environ: Mapping[str, str]) -> NotifySetting | None:
    """Answer how the owner is told, None if not; `path` is the config's."""
    table = config.notify
    if table is None:
        return None
    kinds = {kind for kind in Kind if getattr(table.kinds, kind.value, False)}
    home = home_directory(environ.get("HOME"), os.getuid())
    usual = home is not None and path == home / ".config/locum/locum.toml"
    return NotifySetting(
        before=table.before,
        kinds=frozenset(kinds | {Kind.BEFORE}),
        zone=tzlocal(),
        targets=targets_of(config, environ),
        options="" if usual else f" --config {shlex.quote(str(path))}",
    )


def targets_of(config: Config, environ: Mapping[str, str]) -> Targets:
    """Answer where the owner is told. On a stage, nothing leaves this machine."""
    urls_file = None if config.notify is None else config.notify.urls_file
    return Targets(urls_file, environ=environ, loopback_only=config.stage is not None)


def prices_of(config: Config) -> dict[str, float]:
    """Answer what a minute costs, in US dollars, by engine; our own costs nothing."""
    return {
        name: engine.price_per_minute if isinstance(engine, PikaStream) else 0.0
        for name, engine in config.engines.items()
    }


def purse_of(config: Config, database: Database) -> Purse:
    """Answer the purse that holds to `[budget]`; days and months are those of this machine."""
    return Purse(
        database,
        Caps.of_dollars(**config.budget.model_dump(exclude={"check_ahead"})),
        max_length=config.attend.max_length,
        zone=tzlocal(),
    )


def pace_of(config: Config) -> Pace:
    calendar = config.calendar
    return Pace(
        near=calendar.poll_near,
        idle=calendar.poll_idle,
        horizon=calendar.horizon,
        delta_from=calendar.delta_from,
        safety=timedelta(0) if calendar.push is None else calendar.push.safety_poll,
        keep_refused=calendar.keep_refused,
        limits=Limits(
            per_minute=calendar.requests_per_minute,
            project_per_day=calendar.requests_per_day,
        ),
    )


def push_of(config: Config) -> PushSettings | None:
    push = config.calendar.push
    if push is None:
        return None
    return PushSettings(
        public_url=push.public_url,
        host=push.listen_host,
        port=push.listen_port,
        lifetime=push.ttl,
    )
