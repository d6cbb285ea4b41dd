"""Statements of consent: whose face or voice it is, and that they agreed, signed and dated.

A statement names the very file that it is about, by hash: another photograph, or another
recording, needs a consent of its own. It is signed with a key that this installation made for
itself. What that proves: the statement was made by somebody who could use this state directory,
and not one word of it was changed since. What it doesn't prove: that the person named in it
really agreed. That stands in `how`, which says where a human finds their own word.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from locum.core.identity import sha256
from locum.core.names import parse_shown_name
from locum.errors import HumanNeededError, PermanentError
from locum.files import UnreadableError, read_regular, replace_file
from locum.persona.folder import Snapshot, as_toml, broken, explain, read_toml

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LONGEST = timedelta(days=5 * 366)
KEY_FILE = "consent-key.pem"
_LARGEST_KEY = 4096

_ABOVE = """\
Signed by locum: a changed word makes it worthless. `locum persona consent --help` says what
the signature proves, and what it doesn't."""


class Scope(Enum):
    FACE = "face"
    VOICE = "voice"

    @property
    def file_name(self) -> str:
        return f"consent-{self.value}.toml"


Words = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(parse_shown_name)]


class Statement(BaseModel):
    """What was agreed. `asset` is the SHA-256 of the picture, or of the recording.

    `heard_by` is the human who listened to the passcode being read: no machine does that here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    persona: Words
    scope: Scope
    person: Words
    given_to: Words
    asset: str = Field(pattern=r"^[0-9a-f]{64}$")
    given: AwareDatetime
    expires: AwareDatetime
    how: Words
    passcode: str = Field(default="", max_length=200)
    passcode_recording: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    heard_by: str = Field(default="", max_length=100)

    def canonical(self) -> bytes:
        """Answer the bytes that are signed."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")
        ).encode()


@dataclass(frozen=True)
class Checked:
    """A statement that was read: what keeps it from counting, if anything, and its hash."""

    scope: Scope
    trouble: str = ""
    statement: Statement | None = None
    digest: str = ""


class ConsentKey:
    """The key that signs this installation's statements: `consent-key.pem` in the state."""

    def __init__(self, state: Path) -> None:
        self._path = state / KEY_FILE
        self._key: Ed25519PrivateKey | None = None

    def sign(self, statement: Statement) -> str:
        """Sign; makes the key at the first use.

        Raises:
            PermanentError: The key can't be read or made.
        """
        key = self._load() or self._make()
        return base64.b64encode(key.sign(statement.canonical())).decode()

    def verifies(self, statement: Statement, signature: str) -> bool:
        from cryptography.exceptions import InvalidSignature

        key = self._load()
        if key is None:
            return False
        try:
            key.public_key().verify(
                base64.b64decode(signature, validate=True), statement.canonical()
            )
        except (InvalidSignature, ValueError):
            return False
        return True

    def _load(self) -> Ed25519PrivateKey | None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if self._key is not None:
            return self._key
        try:
            content, _ = read_regular(self._path, limit=_LARGEST_KEY, follow=False)
        except UnreadableError as error:
            if str(error) == "no such file":
                return None
            raise PermanentError(f"{self._path}: {error}.") from None
        try:
            key = load_pem_private_key(content, password=None)
        except (ValueError, TypeError):
            raise PermanentError(f"{self._path} is damaged: it holds no key.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise PermanentError(f"{self._path} holds another kind of key.")
        self._key = key
        return key

    def _make(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Linked into place, so that of two that begin at once the first one's key stays.
            draft = self._path.with_name(f".{KEY_FILE}.{os.getpid()}")
            replace_file(draft, pem)
            try:
                os.link(draft, self._path)
            except FileExistsError:
                return self._load() or key
            finally:
                draft.unlink()
        except OSError as error:
            raise PermanentError(f"{self._path} can't be made: {error.strerror}.") from error
        self._key = key
        return key


# ── needed, given, checked ───────────────────────────────────────────────────────────────


def assets_needing_consent(snapshot: Snapshot) -> dict[Scope, str]:
    """Answer what of a persona is a real person's, with its SHA-256.

    A face that was drawn or generated, a mascot and a logo are nobody's; so is a stock voice.
    """
    needed = {}
    if snapshot.settings.face.is_somebodys:
        needed[Scope.FACE] = snapshot.face.sha256
    if snapshot.settings.is_cloned:
        needed[Scope.VOICE] = snapshot.sample
    return needed


def check_consent(
    folder: Path, scope: Scope, asset: str, key: ConsentKey, *, at: datetime
) -> Checked:
    """Read the statement for one asset, and judge it at an instant."""
    try:
        values = read_toml(folder, scope.file_name)
    except HumanNeededError as error:
        return Checked(scope, str(error.args[0]))
    if values is None:
        return Checked(scope, f"nobody's consent to using this {scope.value} is on file")
    signature = values.pop("signature", "")
    try:
        statement = Statement.model_validate(values)
    except ValidationError as error:
        return Checked(scope, f"{scope.file_name}: {explain(error)}")
    digest = sha256(statement.canonical())
    if isinstance(signature, str) and key.verifies(statement, signature):
        trouble = _trouble(folder, statement, scope, asset, at)
    else:
        trouble = f"{scope.file_name} isn't signed by this installation, or was changed since"
    return Checked(scope, trouble, statement, digest)


def _trouble(folder: Path, statement: Statement, scope: Scope, asset: str, at: datetime) -> str:
    if statement.scope is not scope or statement.persona != folder.name:
        return f"{scope.file_name} is about something else"
    if statement.asset != asset:
        return f"the consent on file is for another {scope.value} than this one"
    if at >= statement.expires:
        return f"{statement.person}'s consent ended on {statement.expires:%Y-%m-%d}"
    if statement.given > at + timedelta(days=1):
        return f"the consent is from the future ({statement.given:%Y-%m-%d})"
    return ""


def next_step(name: str, scope: Scope) -> str:
    return f"Put it on file: `locum persona consent {name} --scope {scope.value}`."


def file_consent(folder: Path, statement: Statement, key: ConsentKey) -> Path:
    """Sign a statement and put it into the persona's folder; answers its path.

    Raises:
        PermanentError: It can't be written.
        HumanNeededError: Its words can't be kept.
    """
    values: dict[str, Any] = statement.model_dump(mode="json")
    content = as_toml({**values, "signature": key.sign(statement)}, above=_ABOVE)
    path = folder / statement.scope.file_name
    try:
        replace_file(path, content)
    except OSError as error:
        raise PermanentError(f"{path} can't be written: {error.strerror}.") from error
    if read_toml(folder, path.name) is None:
        raise broken(folder, path.name, "it has vanished")
    return path
