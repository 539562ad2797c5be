#!/usr/bin/env bash
# A tool of an MCP server over stdio that prints: while the server runs, stdout points elsewhere. But
# Python holds the text in its buffer and writes it at exit, when stdout is the wire again.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mcp==2.3.0 2>/dev/null
cat > "$folder/server.py" <<'PY'
from mcp.server.mcpserver import MCPServer

server = MCPServer("shop", log_level="ERROR")


@server.tool()
def count() -> str:
    print("a library says hello")
    return "3"


server.run()
PY
cat > "$folder/client.py" <<'PY'
import json
import os
import subprocess
import sys
from importlib.metadata import version

environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
process = subprocess.Popen([sys.executable, sys.argv[1]], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True, env=environment)


def send(message):
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
send({"id": 1, "method": "initialize", "params": about})
process.stdout.readline()
send({"method": "notifications/initialized"})
send({"id": 2, "method": "tools/call", "params": {"name": "count", "arguments": {}}})
answer = json.loads(process.stdout.readline())
process.stdin.close()
rest = process.stdout.read()
process.wait()
print("mcp", version("mcp"), "answered", answer["result"]["content"][0]["text"])
print("  behind the last message the wire holds:", repr(rest))
assert rest == "a library says hello\n", "changed: nothing but the protocol is on the wire"
PY
"$folder/venv/bin/python" "$folder/client.py" "$folder/server.py"
