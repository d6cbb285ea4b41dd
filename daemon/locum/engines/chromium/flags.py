"""The command line of our Chromium, and the variables it is given: what each is for.

Nothing here hides that a program drives it: `navigator.webdriver` stays true, and a headless
one says so in its name.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

_ALWAYS = (
    # No window, question, report or download of its own.
    "--no-startup-window",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--hide-crash-restore-bubble",
    "--disable-search-engine-choice-screen",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-hang-monitor",
    "--disable-sync",
    "--allow-browser-signin=false",
    # A key ring would ask for its password on a screen that nobody sees.
    "--password-store=basic",
    # WebGL on a processor takes longer than the frame that it draws.
    "--disable-gpu",
    # Rooms are reached by TCP and TURN as everywhere; one way in less to go wrong.
    "--disable-quic",
    # A page that nobody looks at must go on at full pace.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    # The room is heard by our own ears, on machines without a loudspeaker too.
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    # Bare headless has no devices, and a page without any doesn't even ask for one.
    "--use-fake-device-for-media-stream",
)
_CACHE = 64 * 1024 * 1024
_FEATURES_OFF = (
    "DialMediaRouteProvider",
    "IntensiveWakeUpThrottling",
    "MediaRouter",
    "OptimizationHints",
    "Translate",
)
_LOOPBACK_FEATURES_OFF = ("WebRtcHideLocalIpsWithMdns",)
_SMALL_SHARED_MEMORY = 512 * 1024 * 1024

_PASSED_ON = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "TZ",
        "XDG_RUNTIME_DIR",
        "LD_LIBRARY_PATH",
        "FONTCONFIG_FILE",
        "FONTCONFIG_PATH",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ]
)
_OF_A_SCREEN = frozenset({"DISPLAY", "XAUTHORITY"})


def command_line(
    profile: Path,
    *,
    headless: bool,
    sandboxed: bool,
    language: str,
    size: tuple[int, int],
    origin: str = "",
    extra: Iterable[str] = (),
) -> list[str]:
    """Write the arguments of one browser; `extra` has the last word.

    `origin` is where it will meet: a stage on loopback is told our real addresses.
    """
    arguments = [
        # The new headless is a whole browser without a screen; before 132 it isn't the default.
        *(["--headless=new"] if headless else []),
        *([] if sandboxed else ["--no-sandbox"]),
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        f"--lang={language}",
        f"--window-size={size[0]},{size[1]}",
        f"--disk-cache-size={_CACHE}",
        f"--media-cache-size={_CACHE}",
        *_ALWAYS,
    ]
    features_off = list(_FEATURES_OFF)
    if is_loopback(origin):
        arguments.append("--allow-loopback-in-peer-connection")
        features_off += _LOOPBACK_FEATURES_OFF
    if _shared_memory_is_small():
        arguments.append("--disable-dev-shm-usage")
    return [*_merged([*arguments, f"--disable-features={','.join(features_off)}", *extra])]


def for_a_person(profile: Path, *, sandboxed: bool, language: str) -> list[str]:
    """Write the arguments of an ordinary window, for somebody who signs in: nothing drives it."""
    return [
        *([] if sandboxed else ["--no-sandbox"]),
        f"--user-data-dir={profile}",
        f"--lang={language}",
        "--no-first-run",
        "--no-default-browser-check",
        "--password-store=basic",
        "--disable-breakpad",
        "--disable-crash-reporter",
        "--disable-sync",
        "--allow-browser-signin=false",
        "--disable-gpu",
        "--new-window",
    ]


def _merged(arguments: Iterable[str]) -> Iterator[str]:
    """Make one list of features of several: Chromium takes only the last."""
    features: dict[str, list[str]] = {"--enable-features": [], "--disable-features": []}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name in features:
            features[name] += value.split(",")
        else:
            yield argument
    for name, values in features.items():
        if values:
            yield f"{name}={','.join(dict.fromkeys(values))}"


def is_loopback(address: str) -> bool:
    """Answer whether an address (http…) is on this very machine."""
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment(
    environ: Mapping[str, str], profile: Path, *, screen: Mapping[str, str] | None
) -> dict[str, str]:
    """Answer the browser's variables: what it needs, and no key of ours.

    `screen` says how a display is found; None for a browser without one.
    """
    passed = {name: value for name, value in environ.items() if name in _PASSED_ON}
    passed.setdefault("PATH", os.defpath)
    passed.setdefault("HOME", str(profile))
    return {
        **passed,
        **(screen or {}),
        "LANG": "C.UTF-8",
        # What it keeps for itself goes with the profile, and is cleaned with it.
        "XDG_CONFIG_HOME": str(profile / "xdg"),
        "XDG_CACHE_HOME": str(profile / "xdg"),
        # A session bus would be started for it where there is a display, and stay.
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
    }


def screen_of(environ: Mapping[str, str]) -> dict[str, str] | None:
    """Answer the variables of the person's own display, or None if there is none."""
    if not environ.get("DISPLAY"):
        return None
    return {name: environ[name] for name in _OF_A_SCREEN if name in environ}


def _shared_memory_is_small() -> bool:
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108 - Where Chromium itself puts it.
    except OSError:
        return True
    return found.f_bavail * found.f_frsize < _SMALL_SHARED_MEMORY
