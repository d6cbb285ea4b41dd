"""A process that has a browser of its own, to be killed by tests: `… STATE_DIR ACCOUNT`.

It prints one line of JSON once the browser has a page, and ends in order when its browser does,
or when its stdin is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from locum.engines.chromium.browser import BrowserSettings, launched
from locum.engines.chromium.profiles import Profiles

PAGE = "data:text/html,<title>held</title>"


async def closed_stdin() -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


async def main(state_dir: Path, account: str) -> None:
    gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with Profiles(state_dir).taken(account) as profile:
        settings = BrowserSettings(width=640, height=360)
        async with launched(settings, profile, on_gone=gone.set_result) as context:
            page = await context.new_page()
            await page.goto(PAGE)
            print(json.dumps({"profile": str(profile)}), flush=True)
            told = asyncio.create_task(closed_stdin())
            ends: list[asyncio.Future[Any]] = [told, gone]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()
    print(json.dumps({"gone": gone.result() if gone.done() else None}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
