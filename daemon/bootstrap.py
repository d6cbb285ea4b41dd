"""Gets a bare machine to run locum, with one command and nothing but Python and git there.

Standard library only, because it runs before anything is installed. It writes into this
checkout alone (.uv, .venv); only Debian packages, where some are missing, go elsewhere, and
it says so first. It isn't part of the package, and nothing imports it but its tests.
"""

# No `from __future__ import annotations`: Python 3.6 would stop at that line with a syntax
# error, before the sentence below that says what is wrong.

import hashlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

if not (3, 10) <= sys.version_info[:2] < (3, 15):
    print(
        f"bootstrap: locum needs Python 3.10 to 3.14, and this is {sys.version.split()[0]} "
        f"({sys.executable}). Run it with another one, e.g. python3.11 daemon/bootstrap.py.",
        file=sys.stderr,
    )
    sys.exit(3)

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".uv"
UV_MINIMUM = (0, 8)
RUNTIME, CHROMIUM, DEVELOPMENT, SETUP = (
    "requirements.txt",
    "requirements-chromium.txt",
    "requirements-dev.txt",
    "requirements-setup.txt",
)
LARGER = {RUNTIME: (CHROMIUM, DEVELOPMENT), CHROMIUM: (DEVELOPMENT,), DEVELOPMENT: ()}
"""Which files hold all that one pins, and more."""

SCENARIOS = ROOT / "daemon" / "locum" / "rehearsal" / "scenarios"
COMMANDS = ("rehearse", "test", "setup", "lock")
FAILED, USAGE, MACHINE_LACKS, NO_NETWORK = 1, 2, 3, 4

HELP = """\
usage: python3 daemon/bootstrap.py COMMAND [ARGUMENTS]

Sets locum up in this checkout (.venv and .uv; nothing outside it but Debian packages that
are missing), then runs it. A second run finds everything in place and starts at once.

  rehearse [ARGUMENTS]   set up, then `locum rehearse ARGUMENTS`; with `--engine chromium`, or
                         a scenario that is a conversation, a browser and a voice too
  test [ARGUMENTS]       set up with every extra but pocket, and what tests need of Debian, then
                         `pytest ARGUMENTS`; without root, tests that need more skip themselves
  setup                  set up with every extra but pocket, and stop
  lock [--upgrade]       resolve pyproject.toml anew into requirements*.txt

Exit status: that of the command which was run; or, where a line beginning "bootstrap:" ends
the output, the set-up's own: 1 a step failed, 2 unknown command, 3 something must be
installed on this machine first (the line says how), 4 nothing could be downloaded.

Environment: UV_PROJECT_ENVIRONMENT puts the environment elsewhere than .venv; whatever else
uv and pip understand (HTTPS_PROXY, UV_DEFAULT_INDEX, PIP_INDEX_URL) reaches them.
"""

CHROMIUM_PACKAGES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "espeak-ng": ("espeak-ng",),
}
"""Debian packages that our own engine needs, each with commands of which one is enough."""

TEST_PACKAGES = {
    "systemd": ("systemctl",),
    "iproute2": ("ip",),
    "sox": ("sox",),
    "strace": ("strace",),
    "util-linux": ("unshare",),
    "ffmpeg": ("ffmpeg",),
    "faketime": ("faketime",),
    "bubblewrap": ("bwrap",),
    **CHROMIUM_PACKAGES,
    "xvfb": ("Xvfb",),
}
"""Debian packages that some tests need, likewise."""

NETWORK_SIGNS = (
    "dns error",
    "failed to lookup address",
    "name resolution",
    "name or service not known",
    "temporary failure resolving",
    "could not resolve",
    "could not connect",
    "connection refused",
    "network is unreachable",
    "newconnectionerror",
    "error sending request",
    "timed out",
    "invalid peer certificate",
    "certificate_verify_failed",
)


class SetupError(Exception):
    """Set-up can't go on; the message says what to do, `status` is what we exit with."""

    def __init__(self, message: str, *, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


def say(line: str) -> None:
    # On stderr, so that stdout is the started command's alone and can be piped.
    print(line, file=sys.stderr, flush=True)


# ── running commands ─────────────────────────────────────────────────────────────────────


def watched(command: list[str], *, stdin: str = "") -> tuple[int, str]:
    """Run a command in the checkout, showing its lines, or a dot every 2 s without one.

    Answers its exit status and the last lines that it wrote.
    """
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=tool_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if process.stdin is None or process.stdout is None:
        raise SetupError(f"{command[0]} started without pipes.")
    process.stdin.write(stdin.encode())
    process.stdin.close()
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    output = process.stdout

    def read() -> None:
        with output:
            for line in output:
                # Counters overwrite themselves with "\r"; only their last state is worth a line.
                lines.put(line.decode("utf-8", "replace").rstrip().rpartition("\r")[2])
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    tail: deque[str] = deque(maxlen=200)
    dotting = False
    while True:
        try:
            line = lines.get(timeout=2)
        except queue.Empty:
            print("." if dotting else "  .", end="", file=sys.stderr, flush=True)
            dotting = True
            continue
        if dotting:
            say("")
            dotting = False
        if line is None:
            return process.wait(), "\n".join(tail)
        tail.append(line)
        say(f"  {line}")


def step(sentence: str, command: list[str], *, stdin: str = "") -> None:
    """Say what happens now, do it, and raise with the next step if it fails."""
    say(f"{sentence} …")
    began = time.monotonic()
    status, tail = watched(command, stdin=stdin)
    if status == -signal.SIGSEGV:
        # uv can crash as it ends, rarely, its work done: https://github.com/astral-sh/uv/issues/21428
        say(f"  {Path(command[0]).name} crashed; trying once more …")
        status, tail = watched(command, stdin=stdin)
    if status == 0:
        say(f"  done in {time.monotonic() - began:.0f} s")
        return
    refuse_without_network(tail)
    raise SetupError(
        f"This failed with status {status}: {shlex.join(command)}. Its own lines above say why; "
        "when that is mended, give the same command again."
    )


def refuse_without_network(output: str) -> None:
    """Raise if a command's lines say that it reached nobody; other failures are its own."""
    if any(sign in output.lower() for sign in NETWORK_SIGNS):
        raise SetupError(
            "Nothing could be downloaded: the servers that packages come from can't be reached "
            "from here. Connect this machine (a proxy goes into HTTPS_PROXY; a mirror into "
            "UV_DEFAULT_INDEX and PIP_INDEX_URL, apt's into its own sources), then give the same "
            "command again: what is done stays done.",
            status=NO_NETWORK,
        )


def answer_of(command: list[str]) -> str | None:
    """Run a quick question; None if the command is missing, broken or says no."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def tool_environment() -> dict[str, str]:
    """Answer the environment for uv: the caller's, with defaults that stay in the checkout."""
    environment = dict(os.environ)
    # Ours is named on each command line; an active one would only draw warnings, and UV_PYTHON
    # would make `uv run` replace it.
    for foreign in ("VIRTUAL_ENV", "UV_PYTHON"):
        environment.pop(foreign, None)
    environment.setdefault("UV_CACHE_DIR", str(TOOLS / "cache"))
    environment.setdefault("UV_PROJECT_ENVIRONMENT", ".venv")
    environment.setdefault("UV_PYTHON_DOWNLOADS", "never")
    environment.setdefault("UV_NO_PROGRESS", "1")
    if Path("/etc/ssl/certs/ca-certificates.crt").exists():
        # Where a company's proxy signs, its certificate is in Debian's store and nowhere else.
        environment.setdefault("UV_SYSTEM_CERTS", "1")
        environment.setdefault("UV_NATIVE_TLS", "1")  # Its name in older uvs.
    return environment


# ── Debian packages ──────────────────────────────────────────────────────────────────────


def apt_get() -> list[str] | None:
    """Answer how to call apt-get without a question asked; None where we may not."""
    if shutil.which("apt-get") is None:
        return None
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    quiet += ["-o", "DPkg::Lock::Timeout=120"]
    if os.geteuid() == 0:
        return quiet
    if answer_of(["sudo", "-n", "true"]) is not None:
        return ["sudo", "-n", *quiet]
    return None


def by_hand_of(packages: list[str]) -> str:
    """Answer the command by which a person installs these."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y {' '.join(packages)}"


def install_debian(packages: list[str], reason: str) -> None:
    """Install Debian packages.

    Raises:
        SetupError: We aren't root, or it failed; the message has the command to give by hand.
    """
    by_hand = by_hand_of(packages)
    plural = "s" if len(packages) > 1 else ""
    apt = apt_get()
    if apt is None:
        told = f"Missing: {', '.join(packages)} ({reason})"
        if shutil.which("apt-get") is None:
            raise SetupError(
                f"{told}, and there is no apt-get here. Install what your system calls these "
                f"(on Debian: {by_hand}), then give the same command again.",
                status=MACHINE_LACKS,
            )
        raise SetupError(
            f"{told}, and we may install nothing: this isn't root, and sudo asks for a password "
            f"or isn't there. Give: {by_hand}; then the same command again.",
            status=MACHINE_LACKS,
        )
    say(f"Installing Debian package{plural} {', '.join(packages)} ({reason}) …")
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    status, tail = watched(install)
    if status == 0:
        return
    refuse_without_network(tail)
    say("  That failed; the package lists may be old. Fetching new ones …")
    _, fetched = watched([*apt, "update"])
    status, tail = watched(install)
    if status != 0:
        # With no list at all, the install itself never gets to try the network.
        refuse_without_network(f"{fetched}\n{tail}")
        raise SetupError(
            f"apt-get could not install {', '.join(packages)} ({reason}); its lines above say "
            f"why. When that is mended, give: {by_hand}",
            status=MACHINE_LACKS,
        )


def missing_of(packages: dict[str, tuple[str, ...]]) -> list[str]:
    """Answer the packages of which no command is there."""
    # Debian keeps /usr/sbin out of an ordinary user's PATH.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return [
        name
        for name, commands in packages.items()
        if not any(shutil.which(command, path=path) for command in commands)
    ]


def offer_test_packages() -> None:
    """Install what some tests need, if we may; without it those tests skip themselves."""
    missing = missing_of(TEST_PACKAGES)
    if not missing:
        return
    try:
        install_debian(missing, "some tests need it")
    except SetupError as error:
        say(f"  {error}")
        say("  Going on: tests that need it will be skipped.")


def need_chromium_packages() -> None:
    """Install what our own engine needs.

    Raises:
        SetupError: We may not; the message has the command to give by hand.
    """
    missing = missing_of(CHROMIUM_PACKAGES)
    if missing:
        install_debian(missing, "our own engine joins with a browser, and speaks")


# ── uv ───────────────────────────────────────────────────────────────────────────────────


def uv_version(uv: str) -> tuple[int, ...] | None:
    """Answer the version of a uv that really runs."""
    words = (answer_of([uv, "--version"]) or "").split()
    if len(words) < 2 or words[0] != "uv":
        return None
    return tuple(int(part) for part in words[1].split(".") if part.isdecimal())


def find_uv() -> str:
    """Answer a uv that works: the machine's own if it is new enough, otherwise ours in .uv."""
    ours = str(TOOLS / "bin" / "uv")
    for candidate in (shutil.which("uv"), ours):
        version = uv_version(candidate) if candidate else None
        if candidate and version and version >= UV_MINIMUM:
            return candidate
    install_uv()
    if uv_version(ours) is None:
        raise SetupError(
            f"{ours} was installed, but doesn't run here. Delete .uv and try again."
        )
    return ours


def install_uv() -> None:
    """Install the pinned uv into .uv, with whatever Python came with."""
    fetch = ["install", "--require-hashes", "--requirement", SETUP, "--only-binary", ":all:"]
    fetch += ["--no-cache-dir", "--progress-bar", "off", "--disable-pip-version-check"]
    sentence = f"Installing uv into {TOOLS} (it makes the environment; pinned by hash)"
    if not venv_works() and find_spec("pip"):
        # Debian's python3-pip without python3-venv: enough, and no root is needed.
        step(
            sentence, [sys.executable, "-m", "pip", *fetch, "--upgrade", "--target", str(TOOLS)]
        )
        return
    if not venv_works():
        install_debian([venv_package()], "needed to make an environment")
    if (
        not (TOOLS / "bin" / "python").exists()
        or answer_of([str(TOOLS / "bin" / "pip"), "--version"]) is None
    ):
        step(f"Making {TOOLS}", [sys.executable, "-m", "venv", "--clear", str(TOOLS)])
    step(sentence, [str(TOOLS / "bin" / "python"), "-m", "pip", *fetch])


def venv_works() -> bool:
    # Asked of a fresh interpreter: ours remembers what was missing when it started.
    return (
        answer_of([sys.executable, "-c", "import ensurepip, venv; ensurepip.version()"])
        is not None
    )


def venv_package() -> str:
    """Answer Debian's package with venv and ensurepip for the Python that runs this."""
    default = Path("/usr/bin/python3")
    if default.exists() and default.resolve() == Path(sys.executable).resolve():
        return "python3-venv"
    return f"python3.{sys.version_info[1]}-venv"


# ── the environment ──────────────────────────────────────────────────────────────────────


def environment_folder() -> Path:
    return ROOT / tool_environment()["UV_PROJECT_ENVIRONMENT"]


def inputs_digest(requirements: str) -> str:
    """Answer a digest of all that the environment is made from."""
    digest = hashlib.sha256(f"{ROOT}\n{sys.version_info[:2]}\n".encode())
    for name in ("pyproject.toml", requirements, SETUP, "daemon/locum/__init__.py"):
        digest.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()


def installed(stamp: Path) -> tuple[str, str]:
    """Answer which requirements file the environment was made from, and their digest."""
    try:
        content = json.loads(stamp.read_text("utf-8"))
        return str(content["requirements"]), str(content["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def prepare_environment(uv: str, requirements: str) -> None:
    """Bring the environment to what the pins say; nothing happens if it is so already."""
    folder = environment_folder()
    stamp = folder / ".locum-set-up"
    made_from, digest = installed(stamp)
    if made_from in LARGER[requirements]:
        # It holds everything that is needed; going back and forth would cost each time.
        requirements = made_from
    python = str(folder / "bin" / "python")
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    theirs = answer_of([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    if theirs == ours and made_from == requirements and digest == inputs_digest(requirements):
        say(f"Set-up in {folder} is up to date.")
        return
    stamp.unlink(missing_ok=True)
    if theirs != ours:
        make = [uv, "venv", "--python", sys.executable, str(folder)]
        if (folder / "pyvenv.cfg").exists():
            say(f"{folder} is of Python {theirs or '(broken)'}, not {ours}: making it anew.")
            make.insert(2, "--clear")
        step(f"Making {folder} for Python {ours}", make)
    step(
        f"Installing what {requirements} pins (downloads on a first run)",
        [uv, "pip", "sync", "--python", python, "--require-hashes", requirements],
    )
    into = [uv, "pip", "install", "--python", python]
    step(
        "Installing locum itself from this checkout",
        [*into, "--no-deps", "--build-constraints", SETUP, "--editable", "."],
    )
    content = {"requirements": requirements, "digest": inputs_digest(requirements)}
    stamp.write_text(json.dumps(content) + "\n", "utf-8")


def hand_over(uv: str, command: list[str]) -> None:
    """Become the command: its status, signals and terminal are the caller's from here on."""
    # A relative environment counts from the project's folder for uv too.
    arguments = [uv, "run", "--project", str(ROOT), "--no-sync", *command]
    os.execvpe(uv, arguments, tool_environment())  # noqa: S606 - That there is no shell is the point.


# ── pins ─────────────────────────────────────────────────────────────────────────────────


def lock(uv: str, options: list[str]) -> None:
    """Resolve pyproject.toml into the pinned files, for every supported Python at once."""
    compile_ = [uv, "pip", "compile", "--quiet", "--generate-hashes", "--universal"]
    compile_ += ["--python-version", "3.10", "--no-emit-index-url", "--no-emit-find-links"]
    compile_ += ["--custom-compile-command", "python3 daemon/bootstrap.py lock", *options]
    # What a rehearsal with our own engine needs: it, and the meeting page on the stage.
    engine = [*extras("chromium", "stage", "brain"), "--constraint", RUNTIME]
    # With every extra but "pocket", which pulls gigabytes: the tests try what the plain install
    # does without.
    tried = ("notify", "brain", "chromium", "ditto", "stage", "sherpa", "smart-turn", "mcp")
    development = [*extras(*tried), "--group", "dev", "--constraint", CHROMIUM]
    for file, wanted in ((RUNTIME, []), (CHROMIUM, engine), (DEVELOPMENT, development)):
        step(f"Resolving {file}", [*compile_, *wanted, "-o", file, "pyproject.toml"])
    # What set-up itself runs on: uv, and what builds locum (build-system.requires, and what
    # an editable build adds).
    step(
        f"Resolving {SETUP}", [*compile_, "-o", SETUP, "-"], stdin="editables\nhatchling\nuv\n"
    )


def extras(*names: str) -> list[str]:
    return [word for name in names for word in ("--extra", name)]


def perform(command: str, rest: list[str]) -> None:
    """Do what one command asks; `rehearse` and `test` don't come back from it."""
    uv = find_uv()
    if command == "lock":
        lock(uv, rest)
        return
    requirements = DEVELOPMENT
    if command == "test":
        offer_test_packages()
    if command == "rehearse":
        requirements = RUNTIME
        if wants_chromium(rest):
            need_chromium_packages()
            requirements = CHROMIUM
    prepare_environment(uv, requirements)
    if command == "test":
        # pytest finds its settings from where it starts; a rehearsal's paths are the caller's.
        os.chdir(ROOT)
        hand_over(uv, ["pytest", *rest])
    if command == "rehearse":
        hand_over(uv, ["locum", "rehearse", *rest])
    tell_next_steps()


def tell_next_steps() -> None:
    """Say how to go on after `setup`, and what an engine of our own would still need."""
    say(f"Next: . {environment_folder()}/bin/activate; locum config init")
    missing = missing_of(CHROMIUM_PACKAGES)
    if missing:
        say(f"Our own engine also needs: {by_hand_of(missing)}")


def wants_chromium(arguments: list[str]) -> bool:
    """Answer whether a rehearsal is to be played by our own engine: asked for, or talked in."""
    if option_of(arguments, "--engine") == "chromium":
        return True
    scenario = option_of(arguments, "--scenario")
    if not scenario:
        return False
    for file in (SCENARIOS / f"{scenario}.toml", Path(scenario)):
        try:
            return "\n[talk]" in file.read_text("utf-8")
        except (OSError, ValueError):
            continue
    return False


def option_of(arguments: list[str], option: str) -> str:
    """Answer what an option is given, "" if nothing; the last one counts."""
    given = [value for name, value in pairwise(arguments) if name == option]
    given += [each.partition("=")[2] for each in arguments if each.startswith(f"{option}=")]
    return given[-1] if given else ""


def parse(arguments: list[str]) -> tuple[str, list[str]]:
    """Answer the command and what it is given; a leading "--" may set that apart."""
    command, *rest = arguments
    if command not in COMMANDS:
        raise SetupError(
            f'Unknown command "{command}"; there are {", ".join(COMMANDS)}. See --help.',
            status=USAGE,
        )
    if rest[:1] == ["--"]:
        rest = rest[1:]
    if command == "setup" and rest:
        raise SetupError(
            f"setup takes no arguments, and got: {shlex.join(rest)}.", status=USAGE
        )
    return command, rest


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(HELP, end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else USAGE
    try:
        perform(*parse(arguments))
    except SetupError as error:
        say(f"bootstrap: {error}")
        return error.status
    except OSError as error:
        say(f"bootstrap: {error}. Mend that, then give the same command again.")
        return FAILED
    except KeyboardInterrupt:
        say("\nbootstrap: Stopped. Give the same command again to go on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
