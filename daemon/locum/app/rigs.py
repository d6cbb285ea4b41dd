"""Where the rigs of faces come from: their store, with the models that this machine has."""

from __future__ import annotations

from pathlib import Path

from locum.errors import LocumError
from locum.models import pulled_folder
from locum.persona.rigging.store import PULL, RigStore
from locum.ports import Finding, Health, Picture


def rig_store(state: Path) -> RigStore:
    """Answer the rigs of a state directory; makes and changes nothing."""
    return RigStore(state, pulled_folder(state, "face"))


def rig_finding(name: str, picture: Picture, state: Path) -> Finding:
    """Tell `locum doctor` whether a persona's face will move in our own engine; makes nothing."""
    subject = f"face of {name}"
    store = rig_store(state)
    try:
        kept = store.known(picture.sha256)
        if kept is not None:
            store.load(picture)
    except LocumError as error:
        step = f"Have it made anew: `locum persona avatar rig {name} --anew`."
        return Finding(subject, Health.BROKEN, str(error.args[0]), step)
    if kept is not None:
        told = "speaks and blinks" if kept.kind == "face" else "moves as a mascot"
        return Finding(subject, Health.OK, f"{told}, rig {kept.rig[:16]}")
    if store.can_look(picture):
        return Finding(subject, Health.OK, "its rig is made at the first meeting")
    return Finding(
        subject,
        Health.WARNING,
        "its lips won't move: where they are can't be told without the landmark models",
        f"Fetch them: `{PULL}`; then `locum persona avatar rig {name}`.",
    )
