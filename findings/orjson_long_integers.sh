#!/usr/bin/env bash
# orjson reads an integer of more than 64 bits as a float, without an error, and its digits are lost.
# Python's own json keeps it. Ids of 20 digits and more (order numbers, keys of warehouses) meet this.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q orjson==3.13.0 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import json, orjson

text = '{"id": 12345678901234567890123}'
found, expected = orjson.loads(text)["id"], json.loads(text)["id"]
print("orjson", orjson.__version__, "reads", text)
print("  orjson.loads:", repr(found))
print("  json.loads:  ", repr(expected))
assert expected == 12345678901234567890123
assert isinstance(found, float), "changed: it is no float any more"
assert int(found) != expected, "changed: no digit is lost"
PY
