"""`python -m tests.fuzz`: spoil good inputs for as long as one likes, and keep what breaks.

By chance, from a seed, so that a run can be repeated. With `--atheris`, where that is
installed, coverage leads the way instead: one reader, and pure ones only.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import mmap
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import drawn_steps, mutated
from tests.fuzz.promises import timed, weighed
from tests.fuzz.reader import Reader

HANG_S = 20
"""After so long, the stacks are shown and the process ends; the input stays in the folder."""

WEIGHED_EVERY = 200
KEPT = 5  # Crashers of one reader, before the next one's turn.


def fuzz(reader: Reader, seconds: float, *, seed: int, largest: int, kept_in: Path) -> int:
    """Fuzz one reader, and answer how many inputs broke it."""
    chance = random.Random(f"{reader.name}/{seed}")
    seen: set[str] = set()
    runs, slowest = 0, 0.0
    most = max(largest, *map(len, reader.seeds))
    armed_at, ends_at = 0.0, time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory() as folder,
        _running(kept_in / f"{reader.name}.running", most) as note,
        reader.opened(Path(folder)) as read,
    ):
        while time.monotonic() < ends_at and len(seen) < KEPT:
            begin, steps = chance.getrandbits(16), drawn_steps(chance)
            # Most inputs short, so that there are many; some long, so that slowness shows.
            room = largest if chance.random() < 0.02 else min(largest, 4096)
            content = mutated(reader.seeds, begin, steps, largest=room)
            note(content)
            if time.monotonic() > armed_at + 1:  # Not each time: that begins a thread.
                armed_at = time.monotonic()
                faulthandler.dump_traceback_later(HANG_S, exit=True)
            begun = time.process_time()
            try:
                (weighed if runs % WEIGHED_EVERY == 1 else timed)(read, content)
            except Exception:  # noqa: BLE001 - Whatever it is, it is what we are here for.
                _keep(reader, content, kept_in, seen)
            slowest = max(slowest, time.process_time() - begun)
            runs += 1
    faulthandler.cancel_dump_traceback_later()
    print(f"{reader.name:20} {runs:8} runs, slowest {slowest:.3f} s, {len(seen)} broke it")
    return len(seen)


@contextlib.contextmanager
def _running(path: Path, room: int) -> Iterator[Callable[[bytes], None]]:
    """Note each input where it outlives the process: its length, a line's end, and itself.

    Mapped, because writing a file a thousand times a second is slower than most readers.
    """
    with path.open("w+b") as file:
        file.truncate(room + 64)
        with mmap.mmap(file.fileno(), 0) as mapped:

            def note(content: bytes) -> None:
                noted = b"%d\n%s" % (len(content), content)
                mapped[: len(noted)] = noted

            yield note
    path.unlink()


def _keep(reader: Reader, content: bytes, kept_in: Path, seen: set[str]) -> None:
    """Keep an input that broke a promise, one for each place where one was broken."""
    place = "".join(traceback.format_exc(limit=-2))
    if place in seen:
        return
    seen.add(place)
    path = kept_in / f"{reader.name}-{hashlib.sha256(content).hexdigest()[:12]}"
    path.write_bytes(content)
    print(f"{reader.name}: {path}\n{traceback.format_exc(limit=-6)}", file=sys.stderr)


def fuzz_by_coverage(name: str, seconds: float, *, seed: int, kept_in: Path) -> None:
    """Have atheris fuzz a reader; it ends the process itself."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["locum", "tomllib", "tomli", "json"]):
        from tests.fuzz.readers import READERS
    reader = READERS[name]
    corpus = kept_in / f"{name}.corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(reader.seeds):
        (corpus / f"seed-{number}").write_bytes(content)
    stack = contextlib.ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    read = stack.enter_context(reader.opened(Path(folder)))

    def mutate(content: bytes, most: int, drawn: int) -> bytes:
        chance = random.Random(drawn)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(content, most))
        seeds = (content, *reader.seeds)
        return mutated(seeds, 0, drawn_steps(chance), largest=most)[:most]

    options = [
        f"-max_total_time={seconds:.0f}",
        f"-seed={seed + 1}",
        f"-artifact_prefix={kept_in}/{name}-",
        f"-timeout={HANG_S}",
        "-max_len=8192",
        str(corpus),
    ]
    atheris.Setup(
        [sys.argv[0], *options], lambda content: timed(read, content), custom_mutator=mutate
    )
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--reader", action="append", metavar="NAME", help="default: all")
    parser.add_argument("--seconds", type=float, default=60, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=256 * 1024, help="bytes of an input")
    parser.add_argument("--atheris", action="store_true", help="led by coverage; one reader")
    parser.add_argument("--keep", type=Path, help="where crashers go")
    given = parser.parse_args(arguments)
    kept_in = given.keep or Path(tempfile.mkdtemp(prefix="locum-fuzz-"))
    kept_in.mkdir(parents=True, exist_ok=True)
    if given.atheris:
        if len(given.reader or ()) != 1:
            parser.error("--atheris takes one --reader")
        fuzz_by_coverage(given.reader[0], given.seconds, seed=given.seed, kept_in=kept_in)
    from tests.fuzz.readers import READERS

    names = given.reader or list(READERS)
    if unknown := [name for name in names if name not in READERS]:
        parser.error(f"no reader {unknown[0]!r}; there are {', '.join(READERS)}")
    broken = [
        fuzz(
            READERS[name],
            given.seconds,
            seed=given.seed,
            largest=given.largest,
            kept_in=kept_in,
        )
        for name in names
    ]
    return 1 if any(broken) else 0


if __name__ == "__main__":
    sys.exit(main())
