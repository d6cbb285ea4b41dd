"""Speech at a voice's own rate to the page's 48 kHz, in pieces, without a seam between them."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from locum.errors import PermanentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

SLOWEST_HZ = 4_000
FASTEST_HZ = 192_000
_ZEROS = 16  #: Zero crossings of the sinc on each side: what is aliased lies 80 dB below.
_ROLL_OFF = 0.945  #: Of the lower rate's half: where the filter begins to close.
_KAISER_BETA = 8.0


class Resampler:
    """From signed 16-bit mono at `rate` Hz to the same at `target` Hz.

    A windowed sinc in as many phases as the rates' ratio needs. What was given is kept as far
    as the filter reaches, so that pieces join as if they had been one.

    Raises:
        PermanentError: Nobody speaks at such a rate.
    """

    def __init__(self, rate: int, target: int) -> None:
        if not SLOWEST_HZ <= rate <= FASTEST_HZ:
            raise PermanentError(
                f"A voice gave sound at {rate} Hz. Only {SLOWEST_HZ} to {FASTEST_HZ} Hz can be "
                "played: set its sample rate, or choose another voice."
            )
        common = math.gcd(rate, target)
        self._up = target // common
        self._down = rate // common
        self._phases = _phases(self._up, self._down)
        self._reach = self._phases.shape[1] // 2
        # Before the first sample there was silence.
        self._held: Samples = np.zeros(self._reach - 1, dtype=np.float32)
        self._next = 0  #: Output's place on the grid of `up` steps a sample, from `held[0]`.

    def feed(self, pcm: bytes) -> bytes:
        """Take what comes next, and answer what is ready: half a filter's length less."""
        if self._up == self._down:
            return pcm
        return self._run(np.frombuffer(pcm, dtype="<i2").astype(np.float32))

    def flush(self) -> bytes:
        """Answer the rest. After that nothing more may be fed."""
        if self._up == self._down:
            return b""
        return self._run(np.zeros(self._reach, dtype=np.float32))

    def _run(self, fresh: Samples) -> bytes:
        held = np.concatenate([self._held, fresh])
        width = self._phases.shape[1]
        last = (held.size - width + 1) * self._up
        if last <= self._next:
            self._held = held
            return b""
        places = np.arange(self._next, last, self._down)
        first, phase = np.divmod(places, self._up)
        windows = np.lib.stride_tricks.sliding_window_view(held, width)[first]
        out = np.einsum("nk,nk->n", windows, self._phases[phase])
        following = int(places[-1]) + self._down
        used = min(following // self._up, held.size)
        self._held = held[used:]
        self._next = following - used * self._up
        rounded: NDArray[np.int16] = np.clip(np.rint(out), -32768, 32767).astype("<i2")
        return rounded.tobytes()


@functools.lru_cache(maxsize=8)
def _phases(up: int, down: int) -> Samples:
    """One row of filter taps for each place that an output can have between two inputs."""
    scale = min(1.0, up / down) * _ROLL_OFF
    reach = math.ceil(_ZEROS / scale)
    # Input k of a window lies at k - (reach - 1) - phase / up from the output.
    offsets = np.arange(2 * reach)[None, :] - (reach - 1) - np.arange(up)[:, None] / up
    window = np.i0(
        _KAISER_BETA * np.sqrt(np.clip(1 - (offsets / reach) ** 2, 0, None))
    ) / np.i0(_KAISER_BETA)
    taps = scale * np.sinc(scale * offsets) * window
    # Each phase lets silence and a constant pass alike.
    taps /= taps.sum(axis=1, keepdims=True)
    table: Samples = taps.astype(np.float32)
    return table
