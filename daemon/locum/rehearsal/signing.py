"""The person who signs the stand-in's browser in on the stage: `locum meet login`, and a hand.

The command is the real one, shown through its tunnel; who types there is a script, since nobody
else knows the stage's password.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from locum.errors import PermanentError

_PORT = re.compile(rb"127\.0\.0\.1:(\d{4,5})")
_WITHIN_S = 60.0
_MOST_LINES = 200


def sign_in(config: Path, account: str, email: str, password: str) -> None:
    """Sign the account's browser in, as whom the stage knows by `email`.

    Raises:
        PermanentError: It didn't work; the message has what the command said.
    """
    asyncio.run(_sign_in(config, account, email, password))


async def _sign_in(config: Path, account: str, email: str, password: str) -> None:
    command = [sys.executable, "-m", "locum", "meet", "login", account]
    command += ["--remote", "--port", "0", "--within", "60s", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PIKA_", "LOCUM_"))},
    )
    said: list[bytes] = []
    try:
        port = await asyncio.wait_for(_port_of(process, said), _WITHIN_S)
        if port is not None:
            reading = asyncio.ensure_future(_rest(process, said))
            await _type(port, email, password)
            await asyncio.wait_for(process.wait(), _WITHIN_S)
            await reading
    except asyncio.TimeoutError:
        said.append(b"it takes too long")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    if process.returncode != 0:
        words = b" ".join(said[-5:]).decode("utf-8", "replace")
        raise PermanentError(f"The browser couldn't be signed in on the stage: {words}")


async def _port_of(process: asyncio.subprocess.Process, said: list[bytes]) -> int | None:
    """Read where the page can be seen; None where the command ended before it said so."""
    while process.stdout is not None and (line := await process.stdout.readline()):
        said.append(line.strip())
        found = _PORT.search(line)
        if found is not None:
            return int(found[1])
    return None


async def _rest(process: asyncio.subprocess.Process, said: list[bytes]) -> None:
    while process.stdout is not None and (line := await process.stdout.readline()):
        if len(said) < _MOST_LINES:
            said.append(line.strip())


async def _type(port: int, email: str, password: str) -> None:
    """Do what a person does who looks at the page through the tunnel."""
    from playwright.async_api import Error, async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        pages = [page for context in browser.contexts for page in context.pages]
        page = next(page for page in pages if page.url.startswith("http"))
        await page.get_by_role("textbox", name="Email or phone").fill(email)
        await page.get_by_role("button", name="Next").click()
        await page.get_by_label("Enter your password").fill(password)
        try:
            await page.get_by_role("button", name="Next").click()
        except Error:
            return  # It worked so fast that the browser is gone already.
