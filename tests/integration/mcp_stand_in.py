"""An MCP server by the official package, as a stand-in for anybody's: over stdio or HTTP.

Run as a program: `mcp_stand_in.py stdio|PORT [ABOUT]`; ABOUT is what it says that "account" is for.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

HONEST = "Look an account up."


def make(about: str) -> MCPServer:
    server = MCPServer("stand-in")

    @server.tool(description=about)
    def account(name: str) -> str:
        return f"{name}: gold plan, renewed 2026-10-01\napi_key = sk-abcdefghijklmnopqrstuvwxyz"

    @server.tool(description="Delete an account.")
    def delete(name: str) -> str:
        return f"{name} is gone"

    @server.tool(description="Says whom it runs as, and what it sees.")
    def around() -> str:
        return f"uid={os.getuid()} shadow={Path('/etc/shadow').exists()}"

    @server.tool(description="Takes its time.")
    async def slow() -> str:
        await asyncio.sleep(60)
        return "at last"

    @server.tool(description="Fails.")
    def broken() -> str:
        raise ValueError("no such account")

    @server.tool(description="Ends the server.")
    def die() -> str:
        os._exit(1)

    return server


if __name__ == "__main__":
    where, *said = sys.argv[1:]
    made = make(said[0] if said else HONEST)
    if where == "stdio":
        made.run()
    else:
        made.run("streamable-http", host="127.0.0.1", port=int(where))
