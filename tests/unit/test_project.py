"""What must hold for the project as a whole: its pins, its modules, what it ships.

Nothing here needs the network: the wheel is built from what the set-up left in uv's cache.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import locum

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PIN_FILES = (
    "requirements.txt",
    "requirements-chromium.txt",
    "requirements-dev.txt",
    "requirements-setup.txt",
)

# ── pins ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Pin:
    name: str
    version: Version
    marker: Marker | None
    hashes: tuple[str, ...]

    def applies_to(self, python: str) -> bool:
        return self.marker is None or self.marker.evaluate(linux_on(python))


def linux_on(python: str) -> dict[str, str]:
    """Answer the markers' environment of one Python on Debian."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def pins_in(text: str) -> tuple[Pin, ...]:
    """Read a requirements file of `name==version ; marker --hash=… --hash=…` entries."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    entries = "\n".join(lines).replace("\\\n", " ").splitlines()
    return tuple(pin_of(entry) for entry in entries if entry.strip())


def pin_of(entry: str) -> Pin:
    stated, *hashes = re.split(r"\s+--hash=", entry.strip())
    requirement = Requirement(stated)
    (specifier,) = requirement.specifier
    if specifier.operator != "==":
        raise ValueError(f"{entry!r} pins nothing")
    return Pin(
        name=canonicalize_name(requirement.name),
        version=Version(specifier.version),
        marker=requirement.marker,
        hashes=tuple(hashes),
    )


def unmet(
    wanted: Sequence[str], pins: Sequence[Pin], pythons: Sequence[str] = PYTHONS
) -> tuple[str, ...]:
    """Answer every requirement that the pins don't meet on some Python."""
    problems = []
    for python in pythons:
        pinned = {pin.name: pin.version for pin in pins if pin.applies_to(python)}
        for requirement in map(Requirement, wanted):
            if requirement.marker and not requirement.marker.evaluate(linux_on(python)):
                continue
            version = pinned.get(canonicalize_name(requirement.name))
            if version is None or version not in requirement.specifier:
                problems.append(f"Python {python}: {requirement} is pinned to {version}")
    return tuple(problems)


def project() -> Mapping[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def extras_of(content: Mapping[str, Any], *names: str) -> list[str]:
    """Answer what some extras ask for; all of them where none is named."""
    extras = content["project"]["optional-dependencies"]
    return [requirement for name in names or extras for requirement in extras[name]]


def pins_of(name: str) -> tuple[Pin, ...]:
    return pins_in((ROOT / name).read_text("utf-8"))


def test_runtime_pins_meet_the_project() -> None:
    """Whatever pyproject.toml depends on is pinned, within its range, on every Python."""
    wanted = project()["project"]["dependencies"]

    assert unmet(wanted, pins_of("requirements.txt")) == (), "python3 daemon/bootstrap.py lock"


def test_engine_pins_meet_the_project() -> None:
    """A rehearsal with our own engine gets that extra, the stage's, the runtime, and no other."""
    content = project()
    wanted = content["project"]["dependencies"] + extras_of(
        content, "chromium", "stage", "brain"
    )
    pins = pins_of("requirements-chromium.txt")

    assert unmet(wanted, pins) == (), "python3 daemon/bootstrap.py lock"
    others = {Requirement(one).name for one in extras_of(content, "notify")}
    assert "apprise" in others
    assert others & {pin.name for pin in pins} == set()


def test_development_pins_meet_the_project() -> None:
    """The tests' environment holds the development group, the extras and the runtime."""
    content = project()
    wanted = content["project"]["dependencies"] + content["dependency-groups"]["dev"]
    tried = set(content["project"]["optional-dependencies"]) - {"pocket"}  # It pulls torch.
    wanted += extras_of(content, *sorted(tried))

    assert unmet(wanted, pins_of("requirements-dev.txt")) == (), (
        "python3 daemon/bootstrap.py lock"
    )


def test_runtime_pins_hold_no_extra() -> None:
    """Whoever installs locum alone gets nothing of what only an extra needs."""
    extras = {canonicalize_name(Requirement(one).name) for one in extras_of(project())}

    assert "apprise" in extras
    assert extras & {pin.name for pin in pins_of("requirements.txt")} == set()


def test_setup_pins_meet_the_project() -> None:
    """The installer and what builds locum are pinned too."""
    wanted = [*project()["build-system"]["requires"], "uv", "editables"]

    assert unmet(wanted, pins_of("requirements-setup.txt")) == (), (
        "python3 daemon/bootstrap.py lock"
    )


@pytest.mark.parametrize("python", PYTHONS)
def test_development_pins_are_the_users_pins(python: str) -> None:
    """Tests run on the very versions that users get, with our own engine or without."""
    runtime, engine, development = (
        {(pin.name, pin.version) for pin in pins_of(name) if pin.applies_to(python)}
        for name in PIN_FILES[:3]
    )

    assert runtime
    assert runtime - engine == set()
    assert engine - development == set()


def test_extras_of_the_project_are_pinned_whole() -> None:
    """No pyproject dependency asks for an extra that a pin's name alone would hide."""
    content = project()
    wanted = content["project"]["dependencies"] + content["dependency-groups"]["dev"]
    wanted += extras_of(content)

    assert [one for one in wanted if Requirement(one).extras] == []


@pytest.mark.parametrize("name", PIN_FILES)
def test_pins_are_hashed(name: str) -> None:
    """Every pin names the sha256 of each file that may be installed for it."""
    pins = pins_of(name)

    assert pins
    assert [
        pin.name
        for pin in pins
        if not pin.hashes
        or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in pin.hashes)
    ] == []


@pytest.mark.parametrize("name", PIN_FILES)
def test_pins_say_nothing_of_servers(name: str) -> None:
    """Where packages come from is each machine's own setting."""
    text = (ROOT / name).read_text("utf-8")

    assert re.findall(r"(?im)^.*(?:https?:|index-url|find-links|trusted-host).*$", text) == []


def test_unmet_requirements_are_found() -> None:
    """The checks above can fail: a missing, an old and a half-marked pin are each named."""
    pins = pins_in(
        "# via nobody\n"
        "rich==13.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n"
        "tomli==2.2 ; python_full_version < '3.10' \\\n    --hash=sha256:02\n"
    )

    assert pins[0].hashes == ("sha256:00", "sha256:01")
    assert unmet(
        ["rich>=14", "tomli; python_version < '3.11'", "anyio"], pins, ("3.10", "3.11")
    ) == (
        "Python 3.10: rich>=14 is pinned to 13.0",
        'Python 3.10: tomli; python_version < "3.11" is pinned to None',
        "Python 3.10: anyio is pinned to None",
        "Python 3.11: rich>=14 is pinned to 13.0",
        "Python 3.11: anyio is pinned to None",
    )


# ── modules ──────────────────────────────────────────────────────────────────────────────

IMPORT_EACH_ALONE = """\
import gc, importlib, json, os, sys, traceback, warnings

def tried(name):
    # A fork a module: none profits from what another one has imported.
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

libraries, modules = json.load(sys.stdin)
for library in libraries:
    importlib.import_module(library)
gc.disable()  # It costs a fifth of the time, and nothing lives for long.
warnings.simplefilter("error")
sys.exit(" ".join(name for name in modules if not tried(name)) or None)
"""


def module_names(package: Path) -> list[str]:
    """Answer the dotted names of all modules under a package's folder."""
    paths = sorted(path.relative_to(package.parent) for path in package.rglob("*.py"))
    return [
        ".".join(path.parent.parts if path.stem == "__init__" else path.with_suffix("").parts)
        for path in paths
    ]


def import_each(modules: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # The slow libraries come first, once, and may warn (Google's do, on old Pythons).
    libraries = ["googleapiclient.discovery", "google_auth_oauthlib.flow", "httpx", "pydantic"]
    libraries += ["rich.console", "starlette.applications", "structlog", "typer", "uvicorn"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    # Compiling everything anew in every fork takes most of the time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, "-c", IMPORT_EACH_ALONE],
        input=json.dumps([libraries, list(modules)]),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_imports_on_its_own() -> None:
    """No module needs another to be imported first, and none warns."""
    modules = module_names(ROOT / "daemon" / "locum")

    done = import_each(modules, ROOT / "daemon")

    assert "locum.core.model" in modules
    assert done.returncode == 0, done.stderr


def test_import_check_notices(tmp_path: Path) -> None:
    """The check above can fail: a cycle, a warning and a plain error are each named."""
    package = tmp_path / "limping"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "sound": "",
        "one": "before = 1\nfrom limping.two import after",
        "two": "from limping.one import before\nafter = before",
        "warns": "import warnings\nwarnings.warn('old', DeprecationWarning)",
        "broken": "1 / 0",
    }.items():
        (package / f"{name}.py").write_text(text + "\n", "utf-8")

    done = import_each(module_names(package), tmp_path)

    assert done.stderr.splitlines()[-1] == "limping.broken limping.two limping.warns"


def test_version_is_the_metadata_version() -> None:
    """`locum --version` and the installed package agree."""
    assert importlib.metadata.version("locum") == locum.__version__


# ── files ────────────────────────────────────────────────────────────────────────────────


def repository_files() -> list[Path]:
    """Answer every file that is committed or could be; skip where there is no git."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what belongs to it can't be told")
    listed = subprocess.run(
        # As root in somebody else's checkout, git refuses to answer unless told.
        [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_package_index() -> None:
    """Packages come from wherever a machine is set to get them."""
    # Put together here, so that this file isn't a finding itself.
    hosts = [b"pypi" + b".org", b"pypi" + b".python", b"python" + b"hosted"]
    files = repository_files()

    named = [
        str(path.relative_to(ROOT))
        for path in files
        if any(host in path.read_bytes().lower() for host in hosts)
    ]

    assert len(files) > 30
    assert named == []


def uv_path() -> str:
    """Answer the uv that set this environment up; skip without one."""
    own = ROOT / ".uv" / "bin" / "uv"
    found = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        pytest.skip("uv is missing")
    return found


def built_wheel(folder: Path) -> Path:
    """Build the wheel from the checkout as it stands."""
    uv = uv_path()
    command = [uv, "build", "--wheel", "--offline", "--quiet", "--python", sys.executable]
    command += ["--build-constraints", "requirements-setup.txt", "--out-dir", str(folder), "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "network was disabled" in done.stderr:
        pytest.skip("what builds locum isn't in uv's cache: run daemon/bootstrap.py setup")
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """Every file of the package is shipped, and no test, secret or left-over."""
    package = ROOT / "daemon" / "locum"
    expected = {
        str(path.relative_to(ROOT / "daemon"))
        for path in repository_files()
        if path.is_relative_to(package)
    }
    expected.add("locum/config/locum.toml")
    information = f"locum-{locum.__version__}.dist-info"

    wheel = built_wheel(tmp_path)

    with zipfile.ZipFile(wheel) as archive:
        actual = set(archive.namelist())
        metadata = archive.read(f"{information}/METADATA").decode()
        scripts = archive.read(f"{information}/entry_points.txt").decode()
        example = archive.read("locum/config/locum.toml")
    assert wheel.name == f"locum-{locum.__version__}-py3-none-any.whl"
    assert {name for name in actual if not name.startswith(information)} == expected
    assert f"{information}/licenses/LICENSE" in actual
    assert "locum/py.typed" in actual
    assert example == (ROOT / "config" / "locum.toml").read_bytes()
    assert "Requires-Python: <3.15,>=3.10" in metadata
    assert "locum = locum.cli:main" in scripts
