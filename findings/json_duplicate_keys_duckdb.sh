#!/usr/bin/env bash
# Of a JSON object with a key twice, DuckDB's JSON functions and Polars' json_decode take the first
# value, Python's json and orjson the last. One record has two readings in a pipeline that uses both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==2.0.0 orjson==3.13.0 polars==2.1.0 2>/dev/null
"$folder/venv/bin/python" - <<'PY'
import json, duckdb, orjson, polars as pl

text = '{"price": "old", "price": "new"}'
readings = {
    "duckdb json_extract_string": duckdb.execute(
        "SELECT json_extract_string(?::VARCHAR, '$.price')", [text]).fetchone()[0],
    "duckdb from_json": duckdb.execute(
        """SELECT from_json(?::VARCHAR, '{"price": "VARCHAR"}').price""", [text]).fetchone()[0],
    "json": json.loads(text)["price"],
    "orjson": orjson.loads(text)["price"],
    "polars": pl.Series([text]).str.json_decode(pl.Struct({"price": pl.String}))[0]["price"],
}
print("duckdb", duckdb.__version__, "orjson", orjson.__version__, "polars", pl.__version__, "read", text)
for name, value in readings.items():
    print(f"  {name}: {value}")
assert list(readings.values()) == ["old", "old", "new", "new", "old"], "changed"
PY
