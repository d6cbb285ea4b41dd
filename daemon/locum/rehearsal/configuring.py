"""Writes the config with which a daemon plays on the stage, and the files that it names."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from locum.rehearsal.engine import StageEngine
from locum.rehearsal.face import face_png
from locum.rehearsal.google.identity import DEFAULT_SCOPES, SCOPE_ROOT
from locum.rehearsal.google.meet import SCOPES as MEET_SCOPES
from locum.rehearsal.scenario import HearingBy, Scenario
from locum.rehearsal.stage import ACCOUNT, Addresses, Stage
from locum.rehearsal.world import furnish

_MEET_SCOPE = SCOPE_ROOT + MEET_SCOPES[0]


def write_config(
    stage: Stage,
    addresses: Addresses,
    folder: Path,
    *,
    notices: bool = False,
    engine: StageEngine = StageEngine.PIKASTREAM,
) -> Path:
    """Write everything that a daemon needs to play on this stage; answers the config's path.

    The sign-in and the key are the stage's own and open nothing else. With `notices` its owner
    is told, where the extra for that is installed.
    """
    scenario = stage.scenario
    folder.mkdir(parents=True, exist_ok=True)
    scopes = DEFAULT_SCOPES if scenario.meet is None else (*DEFAULT_SCOPES, _MEET_SCOPE)
    token = stage.google.authorized_user_info(
        scenario.owner.email, f"{addresses.google}/token", scopes
    )
    _write_private(folder / "token.json", json.dumps(token))
    _write_private(folder / "client.json", json.dumps(_client(stage, addresses)))
    _write_private(folder / "pika_dev_key", stage.pikastream.settings.api_key + "\n")
    _write_private(folder / "brain.key", stage.model.settings.api_key + "\n")
    if addresses.recogniser:
        from locum.rehearsal.recognition import RecognitionSettings

        _write_private(folder / "hearing.key", RecognitionSettings().api_key + "\n")
    host = addresses.notices.removeprefix("http://")
    _write_private(folder / "notify.urls", f"ntfy://{host}/owner\n")
    (folder / "face.png").write_bytes(face_png())
    furnish(scenario, folder, datetime.now(timezone.utc))
    path = folder / "locum.toml"
    path.write_text(
        _config_text(stage, addresses, notices=notices, engine=engine), encoding="utf-8"
    )
    return path


def _client(stage: Stage, addresses: Addresses) -> dict[str, Any]:
    return stage.google.client_secrets(addresses.google)


def _config_text(
    stage: Stage, addresses: Addresses, *, notices: bool, engine: StageEngine
) -> str:
    scenario = stage.scenario
    speed = stage.clock.speed
    tells = notices and find_spec("apprise") is not None
    notify = '[notify]\nurls_file = "notify.urls"\n' if tells else ""
    brain = _brain_text(stage, addresses)
    # After a leap, what it knows of today's meeting is what it heard itself.
    fetched = scenario.meet is not None and not stage.has_leapt
    fetches = "meet_transcripts = true\n" if fetched else ""
    # Seconds of the stage: near ones are short, because a rehearsal is.
    return f"""\
# Written by `locum rehearse`: a daemon on the stage. Everything here is on loopback.
state_dir = "state"
runtime_dir = "state"

[calendar]
api_root = {_toml(addresses.google + "/")}
token_uri = {_toml(addresses.google + "/token")}
poll_near = "2s"
poll_idle = "2s"

[[calendar.accounts]]
name = "{ACCOUNT}"
calendars = ["primary"]
client_secrets = "client.json"
token_file = "token.json"
{fetches}
[transcripts]
first_after = "3s"

[attend]
lead = "2s"
grace = "60s"

[personas.stand-in]
display_name = {_toml(scenario.persona.display_name)}
owner = {_toml(scenario.owner.name)}
image = "face.png"
instructions = {_toml(scenario.persona.instructions)}
{_conduct_text(scenario)}
{_world_text(scenario, addresses)}{_engine_text(addresses, engine)}
[[sinks]]
type = "markdown"
folder = "summaries"

{notify}{brain}
[stage]
speed = {speed!r}
epoch_host = {stage.clock.epoch_host.isoformat()}
epoch = {stage.clock.epoch.isoformat()}
"""


def _engine_text(addresses: Addresses, engine: StageEngine) -> str:
    if engine is StageEngine.PIKASTREAM:
        return f"""\
[engines.pikastream]
type = "pikastream"
base_url = {_toml(addresses.pikastream)}
api_key_file = "pika_dev_key"
"""
    # As root there is no sandbox to be had; anywhere else it stays on.
    sandbox = "" if os.geteuid() else "sandbox = false\n"
    return f"""\
[engines.chromium]
type = "chromium"
meet_url = {_toml(addresses.meet + "/")}
{sandbox}"""


def _conduct_text(scenario: Scenario) -> str:
    """Nothing where nobody converses: such configs stay as they were."""
    if scenario.talk is None:
        return ""
    conduct = scenario.persona.conduct
    lists = {
        "may_say": conduct.may_say,
        "may_commit": conduct.may_commit,
        "must_defer": conduct.must_defer,
        "tools": conduct.tools,
    }
    lines = [f"attention = {_toml(conduct.attention.value)}"]
    lines += [f"{key} = {json.dumps(values)}" for key, values in lists.items() if values]
    if conduct.update:
        lines.append('update = "update.txt"')
    return "\n".join(lines) + "\n"


def _world_text(scenario: Scenario, addresses: Addresses) -> str:
    text = '[contacts]\nfiles = ["contacts.csv"]\n\n' if scenario.contacts else ""
    for each in scenario.folders:
        text += f"""\
[[workspace]]
name = {_toml(each.name)}
folder = {_toml("work/" + each.name)}
include = {json.dumps(each.include)}
audience = {json.dumps(each.audience)}

"""
    if scenario.talk is not None:
        domain = scenario.owner.email.partition("@")[2]
        hearing = _hearing_text(scenario, addresses)
        text += f"[memory]\nown_domains = [{_toml(domain)}]\n\n{hearing}\n"
    return text


def _hearing_text(scenario: Scenario, addresses: Addresses) -> str:
    by = scenario.hearing.by
    if by is not HearingBy.STAGE:
        return f"[hearing]\ntype = {_toml(by.value)}\n"
    return f"""\
[hearing]
type = "openai"
base_url = {_toml(addresses.recogniser)}
model = "stage-hears"
api_key_file = "hearing.key"
"""


def _brain_text(stage: Stage, addresses: Addresses) -> str:
    """Let the stage's model write the minutes: where the scenario has one, and the extra is there."""
    if stage.scenario.model is None or find_spec("pydantic_ai") is None:
        return ""
    return f"""\
[brain]
model = {_toml(stage.model.settings.model)}
base_url = {_toml(addresses.model)}
api_key_file = "brain.key"
"""


def _toml(text: str) -> str:
    """Write a text as TOML's basic string: JSON's escapes are valid there."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
