#!/usr/bin/env bash
# DuckDB's CSV sniffer takes a separator that stands in texts over the one that stands in the header.
# The header line is then skipped as junk, the first product becomes the header, and nothing is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q duckdb==2.0.0 2>/dev/null
cat > "$folder/feed.csv" <<'CSV'
sku;title;text
1;Shirt, long;linen, white, soft
2;Shirt, short;cotton, blue, light
3;Hat, wide;straw, brown, large
CSV
"$folder/venv/bin/python" - "$folder/feed.csv" <<'PY'
import sys, duckdb

wanted = "SELECT Delimiter, SkipRows, [c.name FOR c IN Columns] FROM sniff_csv(?)"
separator, skipped, names = duckdb.execute(wanted, sys.argv[1:]).fetchone()
rows = duckdb.execute("SELECT count(*) FROM read_csv(?)", sys.argv[1:]).fetchone()[0]
print("duckdb", duckdb.__version__, "sniffs a file of 3 products under sku;title;text")
print("  separator:", repr(separator), " skipped rows:", skipped, " columns:", names)
print("  read_csv gives", rows, "rows")
assert (separator, skipped, rows) == (",", 1, 2), "changed: the header is found"
PY
