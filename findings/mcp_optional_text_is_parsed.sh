#!/usr/bin/env bash
# In the official MCP server library a tool's parameter of type `str | None` is first read as JSON: the
# text "null" arrives as None, and the text "[1]" is refused. A parameter of type `str` is left alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mcp==2.3.0 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import asyncio
from importlib.metadata import version

from mcp import Client
from mcp.server.mcpserver import MCPServer

server = MCPServer("shop", log_level="ERROR")


@server.tool()
def optional(text: str | None = None) -> str:
    return repr(text)


@server.tool()
def plain(text: str) -> str:
    return repr(text)


async def main() -> None:
    told = {}
    async with Client(server) as client:
        for tool in ("optional", "plain"):
            for text in ("red", "null", "[1]"):
                found = await client.call_tool(tool, {"text": text})
                told[tool, text] = "refused" if found.is_error else found.content[0].text
    print("mcp", version("mcp"))
    for (tool, text), answer in told.items():
        print(f"  {tool}(text={text!r}) -> {answer}")
    assert told["optional", "red"] == told["plain", "red"] == "'red'"
    assert (told["plain", "null"], told["plain", "[1]"]) == ("'null'", "'[1]'")
    assert (told["optional", "null"], told["optional", "[1]"]) == ("None", "refused"), "changed"


asyncio.run(main())
PY
