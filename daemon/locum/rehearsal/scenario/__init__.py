"""What a rehearsal plays: a day's invitations, edits, people and faults, out of a TOML file.

Pure data: offsets are seconds from the rehearsal's beginning, and others put them on the
stage. A file may come from anywhere, so it is capped, checked whole, and refused with every
problem at once.

A conversation has no offsets, because people react::

    [talk]
    room = "abc-defg-hij"              # the room of an event

    [[talk.lines]]
    who = "Dana Reyes"                 # one of [[people]]
    says = "Robin, how far is the export?"
    recording = "standup/2.opus"       # else a synthetic voice says it
    expect = "answers"                 # or "silent", "writes", "stops", "anything"
    within = 4                         # seconds from the line's last sound
    hears = ["finished|done", "export"]
    never = ["Thursday"]

    [[talk.lines]]
    who = "Dana Reyes"
    after = "voice"                    # cuts in, `pause` seconds after the answer began
    pause = 1
    says = "Stop, please."
    expect = "stops"
    within = 1

    [[filed]]                          # what the filed summary must hold
    section = "decisions"              # or actions, asked, questions, carried, transcript
    by = "Dana Reyes"
    has = ["Thursday"]

`[persona.conduct]`, `[hearing]`, `[[folders]]` (with `[[folders.commits]]`), `[[contacts]]` and
`[earlier]` make the world it happens in: see `talk`, `world` and, for everything else, `tables`.
"""

from locum.rehearsal.scenario.reading import (
    LARGEST_FILE,
    builtin_scenarios,
    find_scenario,
    load_scenario,
    parse_scenario,
)
from locum.rehearsal.scenario.tables import (
    EditKind,
    FaultTarget,
    Owner,
    Says,
    Scenario,
    ScenarioAttendee,
    ScenarioEdit,
    ScenarioEvent,
    ScenarioFault,
    ScenarioMeet,
    ScenarioPerson,
    ScenarioPersona,
)
from locum.rehearsal.scenario.talk import (
    After,
    Earlier,
    Expect,
    Filed,
    Hearing,
    HearingBy,
    Section,
    Talk,
    TalkLine,
    Told,
)
from locum.rehearsal.scenario.world import Commit, Conduct, Contact, Folder

__all__ = [
    "LARGEST_FILE",
    "After",
    "Commit",
    "Conduct",
    "Contact",
    "Earlier",
    "EditKind",
    "Expect",
    "FaultTarget",
    "Filed",
    "Folder",
    "Hearing",
    "HearingBy",
    "Owner",
    "Says",
    "Scenario",
    "ScenarioAttendee",
    "ScenarioEdit",
    "ScenarioEvent",
    "ScenarioFault",
    "ScenarioMeet",
    "ScenarioPerson",
    "ScenarioPersona",
    "Section",
    "Talk",
    "TalkLine",
    "Told",
    "builtin_scenarios",
    "find_scenario",
    "load_scenario",
    "parse_scenario",
]
