"""A program that reads strangers' files gets so much and no more."""

from __future__ import annotations

import sys

import pytest

from locum.persona.bounded import Done, Limits, OverLimitError, run_bounded

SMALL = Limits(memory=256 << 20, output=1 << 20, cpu_s=1, wall_s=120.0)


def python(code: str, limits: Limits = SMALL, stdin: bytes = b"") -> Done:
    return run_bounded([sys.executable, "-I", "-c", code], limits=limits, stdin=stdin)


def test_what_goes_in_and_comes_out() -> None:
    """Input, output, messages and the status pass through as they are."""
    done = python(
        "import sys; sys.stdout.write(sys.stdin.read()[::-1]); sys.stderr.write('no'); sys.exit(3)",
        stdin=b"abc",
    )

    assert done == Done(3, b"cba", "no")


def test_memory_is_bounded() -> None:
    """What asks for more than it was given doesn't get it."""
    done = python("b = bytearray(512 << 20)")

    assert done.status == 1
    assert "MemoryError" in done.errors


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("while True: pass", "of the processor"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "wrote more than"),
    ],
)
def test_time_and_disk_are_bounded(code: str, told: str) -> None:
    """An endless loop and an endless answer are stopped, and said to be."""
    unsignalled = f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n{code}"
    with pytest.raises(OverLimitError, match=told):
        python(unsignalled)


def test_waiting_is_bounded() -> None:
    """What sleeps takes no processor, and is stopped all the same."""
    with pytest.raises(OverLimitError, match=r"more than 1 s"):
        python("import time; time.sleep(60)", Limits(wall_s=1.0))


def test_no_secret_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and proxies of the caller's environment don't reach it."""
    monkeypatch.setenv("PIKA_DEV_KEY", "dk_planted")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    told = python("import os; print(sorted(os.environ))").output.decode()

    assert "PIKA" not in told
    assert "PROXY" not in told


def test_a_missing_program_is_one() -> None:
    """It is told apart from a program that fails."""
    with pytest.raises(FileNotFoundError):
        run_bounded(["no-such-program-here"], limits=SMALL)
