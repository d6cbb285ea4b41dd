"""`locum persona consent`: whose face and voice it is, and that they agreed, signed and dated."""

from __future__ import annotations

import re
import secrets
import sys
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locum.cli.ending import HUMAN_NEEDED, epilog
from locum.cli.places import ConfigOption, JsonOption
from locum.cli.terminal import out, out_json, say, table
from locum.cli.wardrobe import NameArgument, Place, place_of, tell_daemon
from locum.errors import PermanentError

if TYPE_CHECKING:
    from locum.persona.consent import Checked, ConsentKey, Statement
    from locum.persona.folder import Snapshot

_EPILOG = epilog(
    "locum persona consent robin                       what is needed, and asking for it",
    'locum persona consent robin --person "Alex Example" --how "in writing, 2026-11-20" --yes',
    "locum persona consent robin --passcode            a phrase to be read aloud and recorded",
    "locum persona consent robin --recording said.m4a --person Alex --how spoken --yes",
    "locum persona consent robin --show --json",
    exits="0 all that is needed is on file, 1 it can't be kept, 3 something is missing still",
)
_PASSCODE_FILE = "passcode.txt"
_WORDS = [
    "amber",
    "anchor",
    "apple",
    "autumn",
    "basket",
    "beacon",
    "bridge",
    "candle",
    "canyon",
    "carpet",
    "cedar",
    "cherry",
    "circle",
    "copper",
    "cotton",
    "desert",
    "dragon",
    "ember",
    "falcon",
    "feather",
    "forest",
    "garden",
    "ginger",
    "harbor",
    "helmet",
    "island",
    "jacket",
    "kettle",
    "lantern",
    "lemon",
    "maple",
    "marble",
    "meadow",
    "mirror",
    "needle",
    "ocean",
    "olive",
    "orchard",
    "paper",
    "pebble",
    "pencil",
    "pepper",
    "planet",
    "pocket",
    "quartz",
    "rabbit",
    "ribbon",
    "river",
    "saddle",
    "silver",
    "spider",
    "summer",
    "tunnel",
    "velvet",
    "violet",
    "walnut",
    "window",
    "winter",
    "yellow",
    "zebra",
]


class Asset(str, Enum):
    """What a consent is about."""

    face = "face"
    voice = "voice"


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog=_EPILOG, short_help="Put on file that a face's or voice's owner agreed."
    )(consent)


def consent(  # noqa: PLR0913 - One option a word of the statement.
    name: NameArgument,
    *,
    scope: Annotated[
        list[Asset] | None, typer.Option(help="[default: all that needs one]")
    ] = None,
    person: Annotated[
        str, typer.Option(metavar="TEXT", help="Whose face or voice it is.")
    ] = "",
    given_to: Annotated[
        str, typer.Option(metavar="TEXT", help="To whom it was given. [default: the owner]")
    ] = "",
    how: Annotated[
        str, typer.Option(metavar="TEXT", help="How they agreed, and where that can be found.")
    ] = "",
    expires: Annotated[
        str, typer.Option(metavar="DATE|Nd", help="Until when: 2027-11-24, or 365d.")
    ] = "365d",
    passcode: Annotated[
        bool, typer.Option("--passcode", help="Make a phrase for them to read aloud.")
    ] = False,
    recording: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Their reading of that phrase, to be kept."),
    ] = None,
    heard_by: Annotated[
        str,
        typer.Option(metavar="WHO", help="Who listened to the recording, and it was right."),
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="State that all this is true, without being asked.")
    ] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only say what is on file.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put on file that the owner of a face or voice agreed to its use by this persona.

    Needed for a photograph and for a cloned voice, for exactly that file; nobody goes without.
    The statement is signed with a key of this installation. That proves that it was made here
    and not changed since. It doesn't prove that the person agreed: for that, --how says where
    their own word is found, and a spoken passcode can be kept beside it. No machine checks that
    here yet; somebody has to listen (--heard-by).

    What models have read a recorded voice into is kept only as long as its consent counts: taken
    back or at its end, it is deleted. The recording itself stays until you delete it.
    """
    from locum.persona.consent import ConsentKey

    place = place_of(config, name)
    if place.inline:
        raise PermanentError(
            f"[personas.{name}] stands in {place.config_path}, where no consent can be on file. "
            f"Make a persona with a folder: `locum persona new`."
        )
    place.card()
    desk = _Desk(place, ConsentKey(place.state), [each.value for each in scope or ()])
    if passcode:
        desk.make_passcode()
        return
    if revoke:
        desk.revoke()
    elif heard_by:
        desk.heard(heard_by)
    elif not show:
        said = {"person": person, "given_to": given_to, "how": how, "expires": expires}
        desk.state(said, recording, yes=yes)
    desk.forget()
    tell_daemon(config)
    missing = desk.tell(as_json=json)
    if missing and not revoke:
        raise typer.Exit(HUMAN_NEEDED)


class _Desk:
    """Where one persona's statements are made."""

    def __init__(self, place: Place, key: ConsentKey, scopes: list[str]) -> None:
        from locum.persona.folder import read_snapshot

        self._place = place
        self._key = key
        self._scopes = scopes
        self._snapshot: Snapshot = read_snapshot(place.folder)

    def _checked(self) -> list[Checked]:
        from locum.persona.consent import assets_needing_consent
        from locum.persona.wardrobe import checked_consents

        needs = assets_needing_consent(self._snapshot)
        for wanted in self._scopes:
            if wanted not in {each.value for each in needs}:
                say(f"The {wanted} needs no consent: it is nobody's.")
        if self._scopes:
            needs = {s: asset for s, asset in needs.items() if s.value in self._scopes}
        found = checked_consents(self._place.folder, needs, self._key, self._place.now)
        return list(found)

    def tell(self, *, as_json: bool) -> bool:
        """Show what is on file; answers whether something is missing."""
        found = self._checked()
        if as_json:
            out_json([_as_json(each) for each in found])
        elif not found:
            out("Nothing of this persona needs a consent.")
        else:
            table([_row(each) for each in found])
        return any(each.trouble for each in found)

    def state(self, said: dict[str, str], recording: Path | None, *, yes: bool) -> None:
        from locum.persona.consent import assets_needing_consent

        needed = [each for each in self._checked() if each.trouble or yes]
        if not needed:
            return
        assets = assets_needing_consent(self._snapshot)
        given_to = said["given_to"] or self._snapshot.settings.owner
        for each in needed:
            what = f"the {each.scope.value} of {self._place.name}"
            person = said["person"] or _asked(f"Whose is {what}?", "--person")
            how = said["how"] or _asked("How did they agree, and where is that kept?", "--how")
            values: dict[str, Any] = {
                "persona": self._place.name,
                "scope": each.scope,
                "person": person,
                "given_to": given_to,
                "asset": assets[each.scope],
                "given": self._place.now.replace(microsecond=0),
                "expires": _parse_end(said["expires"], self._place.now),
                "how": how,
            }
            values |= self._kept_passcode(recording)
            until = f"{values['expires']:%Y-%m-%d}"
            claim = f"{person} has agreed that {given_to} uses {what} until {until} ({how})."
            if not yes and not _confirmed(claim):
                raise PermanentError("Nothing was put on file.")
            self._file(values)

    def _file(self, values: dict[str, Any]) -> None:
        from pydantic import ValidationError

        from locum.persona.consent import Statement, file_consent
        from locum.persona.folder import explain

        try:
            statement = Statement.model_validate(values)
        except ValidationError as error:
            raise PermanentError(f"The statement can't be made: {explain(error)}.") from None
        file_consent(self._place.folder, statement, self._key)

    def heard(self, by: str) -> None:
        """Note who listened to the spoken passcode."""
        for each in self._checked():
            statement = each.statement
            if statement is None or each.trouble or not statement.passcode_recording:
                raise PermanentError("There is no recording of a passcode on file.")
            self._file({**statement.model_dump(), "heard_by": by})

    def revoke(self) -> None:
        from locum.persona.consent import Scope

        scopes = [each for each in Scope if not self._scopes or each.value in self._scopes]
        for scope in scopes:
            (self._place.folder / scope.file_name).unlink(missing_ok=True)
        say("Taken back: nobody joins with it any more. `locum leave` ends what is running.")
        if Scope.VOICE in scopes:
            self._tell_what_stays()

    def _tell_what_stays(self) -> None:
        """Say where a voice is still that nobody may use any more."""
        from locum.persona.voices import clones_of

        folder = self._place.folder
        if self._snapshot.sample_name:
            say(f"The recording stays, with its versions, until you delete {folder}.")
        for clone in clones_of(folder).values():
            say(
                f"The clone {clone.voice_id} at {clone.place} can't be deleted from here: its "
                "service deletes it after seven days without use."
            )

    def forget(self) -> None:
        """Delete what models have read of recordings that nobody consents to (any more)."""
        from locum.persona.states import forget_unconsented

        place = self._place
        tables = () if place.config is None else place.config.personas.values()
        folders = [table.folder for table in tables if table.folder is not None]
        count = forget_unconsented(place.state, place.now, folders)
        if count:
            say(f"Deleted what models had read of voices without a consent ({count} in all).")

    # ── the spoken passcode ──────────────────────────────────────────────────────────────

    def make_passcode(self) -> None:
        from locum.files import replace_file

        words = [secrets.choice(_WORDS) for _ in range(4)]
        phrase = f"{' '.join(words)} {secrets.randbelow(90) + 10}"
        replace_file(self._place.folder / _PASSCODE_FILE, f"{phrase}\n".encode())
        out(phrase)
        say(
            "Have them say: their name, that they agree, and this phrase. Then keep it: "
            f"`locum persona consent {self._place.name} --recording FILE …`."
        )

    def _kept_passcode(self, recording: Path | None) -> dict[str, str]:
        if recording is None:
            return {}
        from locum.core.identity import sha256
        from locum.files import UnreadableError, read_regular, replace_file
        from locum.persona.folder import LARGEST_SAMPLE

        folder = self._place.folder
        try:
            phrase, _ = read_regular(folder / _PASSCODE_FILE, limit=200, follow=False)
        except UnreadableError:
            raise PermanentError(
                f"No phrase was made for {self._place.name} yet: --passcode makes one."
            ) from None
        try:
            content, _ = read_regular(recording, limit=LARGEST_SAMPLE + 1, follow=False)
        except UnreadableError as error:
            raise PermanentError(f"{recording}: {error}.") from None
        if not 1024 < len(content) <= LARGEST_SAMPLE:
            raise PermanentError(f"{recording}: 1 KB to 20 MB are taken.")
        digest = sha256(content)
        replace_file(folder / f"passcode-{digest[:16]}.recording", content)
        say("Nobody has listened to it yet, and no machine does here: see --heard-by.")
        return {
            "passcode": phrase.decode("utf-8", "replace").strip(),
            "passcode_recording": digest,
        }


def _asked(question: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise PermanentError(f"{question} Say it with {option}.")
    return str(typer.prompt(question, err=True)).strip()


def _confirmed(claim: str) -> bool:
    if not sys.stdin.isatty():
        raise PermanentError(f"Nobody can be asked here. If it is true, say --yes: {claim}")
    return typer.confirm(f"{claim} Is that true?", err=True)


def _parse_end(text: str, now: datetime) -> datetime:
    from locum.persona.consent import LONGEST

    days = re.fullmatch(r"(\d{1,4})d", text)
    try:
        end = (
            now + timedelta(days=int(days[1]))
            if days
            else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
        )
    except ValueError:
        raise PermanentError(f"{text[:40]!r} is no end: write 2027-11-24, or 365d.") from None
    if not now < end <= now + LONGEST:
        raise PermanentError(f"{end:%Y-%m-%d} is no end: at most five years from now.")
    return end.replace(microsecond=0)


def _row(found: Checked) -> tuple[str, ...]:
    if found.trouble or found.statement is None:
        return "broken", found.scope.value, found.trouble
    told = found.statement
    passcode = ""
    if told.passcode_recording:
        passcode = (
            f"; passcode heard by {told.heard_by}" if told.heard_by else "; passcode unheard"
        )
    return (
        "ok",
        told.scope.value,
        f"{told.person} to {told.given_to}, until {told.expires:%Y-%m-%d}: {told.how}{passcode}",
    )


def _as_json(found: Checked) -> dict[str, Any]:
    statement: Statement | None = found.statement
    return {
        "scope": found.scope.value,
        "ok": not found.trouble,
        "trouble": found.trouble,
        "statement": None if statement is None else statement.model_dump(mode="json"),
        "sha256": found.digest or None,
    }
