"""The ears that the config names: which recogniser, for which meeting, and trying it.

Building a recogniser imports nothing heavy: a daemon that sits idle doesn't pay for a model.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NewType

from locum.config.engines import ChromiumEngine
from locum.config.model import Config
from locum.config.talking import HearingTable
from locum.core.transcript import Source
from locum.ears import deepgram, moonshine, openai, smart_turn
from locum.ears.deepgram import DeepgramRecognizer
from locum.ears.endpointing import WordsAndTone
from locum.ears.hearing import Hearing, Listening
from locum.ears.hosted import Service
from locum.ears.moonshine import MoonshineRecognizer
from locum.ears.openai import OpenAIRecognizer
from locum.ears.sherpa import SherpaRecognizer
from locum.ears.smart_turn import SmartTurn
from locum.ears.sphinx import SphinxRecognizer
from locum.errors import LocumError
from locum.keys import KeyPlace
from locum.models import find_model
from locum.ports import Endpointer, Finding, Health, Recognizer

CREDENTIAL_NAME = "hearing_api_key"
KEY_VARIABLE = "LOCUM_HEARING_API_KEY"

_LOOK_EVERY = timedelta(milliseconds=320)
LOOK_AGAIN_EVERY = timedelta(milliseconds=960)
"""Where each look hears the whole of what is being said again."""
_TRUST = 0.4
"""How far words are to be believed, to tell the end of a turn, where half of them are wrong."""

_PLACE = KeyPlace("Hearing's", "hearing.api_key_file", CREDENTIAL_NAME, KEY_VARIABLE)


Ears = NewType("Ears", HearingTable)
"""A table that says which ears are used: never "local"."""


def ears_of(table: HearingTable, state: Path) -> Ears:
    """Settle what "local" stands for here. Reads all of a model: not on a loop.

    Moonshine, where it can be used, else pocketsphinx, which comes with our engine.
    """
    if table.type != "local":
        return Ears(table)
    kind = "pocketsphinx" if _without_moonshine(table, state) else "moonshine"
    return Ears(table.model_copy(update={"type": kind}))


def _without_moonshine(table: HearingTable, state: Path) -> str:
    """Answer why Moonshine can't be used, with the next step; empty if it can."""
    if not table.language.startswith("en"):
        return 'Set hearing.type to "sherpa", "deepgram", "openai" or "captions".'
    try:
        folder = _moonshine(table, state)
    except LocumError as error:
        return str(error) if table.model else moonshine.GET
    return moonshine.unusable(folder)


def _moonshine(table: HearingTable, state: Path) -> Path:
    return find_model(state, table.model or moonshine.MODEL)


def recognizer_of(
    ears: Ears, *, state: Path, environ: Mapping[str, str] = os.environ
) -> Recognizer | None:
    """Answer what makes words of speech; None where captions are to. Close it after use."""
    match ears.type:
        case "local" | "pocketsphinx":
            return SphinxRecognizer(ears.language, environ=environ)
        case "moonshine":
            return MoonshineRecognizer(
                lambda: _moonshine(ears, state), ears.language, environ=environ
            )
        case "sherpa":
            return SherpaRecognizer(
                *(ears.model, lambda: find_model(state, ears.model), ears.language),
                environ=environ,
            )
        case "deepgram":
            return DeepgramRecognizer(
                _service(ears, environ, base_url=deepgram.BASE_URL, model=deepgram.MODEL)
            )
        case "openai":
            return OpenAIRecognizer(
                _service(ears, environ, base_url=openai.BASE_URL, model=openai.MODEL)
            )
        case "captions":
            return None


def _service(
    table: HearingTable, environ: Mapping[str, str], *, base_url: str, model: str
) -> Service:
    return Service(
        base_url=table.base_url or base_url,
        model=table.model or model,
        language=table.language,
        key=lambda: _PLACE.find(table.api_key_file, environ),
    )


def hearing_of(
    ears: Ears, recognizer: Recognizer | None, *, hints: Sequence[str] = ()
) -> Hearing:
    """Make one meeting's ears; `hints` are names that are likely to be said there."""
    # Where each look is an upload, nobody looks but who is about to answer.
    often = {"openai": None, "moonshine": LOOK_AGAIN_EVERY}
    partial = often.get(ears.type, _LOOK_EVERY)
    return Hearing(
        recognizer, Listening(partial=partial, streams=ears.streams, hints=tuple(hints))
    )


def source_of(ears: Ears) -> Source:
    """Answer how far heard words are to be trusted beside others' of the same meeting."""
    if ears.type == "captions":
        return Source.CAPTIONS
    return Source.ROUGH if ears.type == "pocketsphinx" else Source.EARS


def endpointer_of(ears: Ears, state: Path) -> Endpointer:
    """Make what tells when somebody has finished: smart-turn where it is pulled. Blocking."""
    trust = _TRUST if source_of(ears) is Source.ROUGH else 1.0
    by_words = WordsAndTone(trust=trust)
    model = _smart_turn(state)
    return by_words if model is None else SmartTurn(model, by_words)


def _smart_turn(state: Path) -> Path | None:
    try:
        model = find_model(state, smart_turn.MODEL) / smart_turn.FILE
    except LocumError:
        return None
    return None if smart_turn.unusable(model) else model


async def check_hearing(
    config: Config, *, state: Path, environ: Mapping[str, str] = os.environ
) -> tuple[Finding, ...]:
    """Try the ears, if there is an engine of ours to hear for. Raises nothing."""
    engines = [t for t in config.engines.values() if isinstance(t, ChromiumEngine)]
    if not engines:
        return ()
    return (*await _check_words(config, engines, state, environ), await _check_ends(state))


async def _check_ends(state: Path) -> Finding:
    """Tell by what the end of a turn is told."""
    model = await asyncio.to_thread(_smart_turn, state)
    if model is None:
        step = f"pip install 'locum[smart-turn]', then: locum models pull {smart_turn.MODEL}"
        detail = "by words and tone; it answers sooner, and cuts in less, with a model"
        return Finding("ends of turns", Health.WARNING, detail, step)
    return Finding("ends of turns", Health.OK, "by smart-turn v3.2 and the words")


async def _check_words(
    config: Config,
    engines: Sequence[ChromiumEngine],
    state: Path,
    environ: Mapping[str, str],
) -> tuple[Finding, ...]:
    ears = await asyncio.to_thread(ears_of, config.hearing, state)
    recognizer = recognizer_of(ears, state=state, environ=environ)
    if recognizer is None:
        if all(table.captions for table in engines):
            return (Finding("hearing", Health.OK, "Meet's captions (some 3 s late)"),)
        return (
            Finding(
                "hearing",
                Health.BROKEN,
                "words are to come from captions, and an engine doesn't read them",
                "Set captions = true in [engines], or another hearing.type.",
            ),
        )
    try:
        found = await recognizer.check()
    finally:
        await recognizer.aclose()
    if config.hearing.type == "local" and ears.type == "pocketsphinx":
        better = await asyncio.to_thread(_without_moonshine, config.hearing, state)
        return tuple(
            replace(each, next_step=better) if each.health is Health.WARNING else each
            for each in found
        )
    return found
