"""The example of a consumer, as a person tries it in a shell."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

SHOW = Path(__file__).parents[1] / "examples" / "consumer" / "show.py"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    lines = [{"handle": f"hats-{at}", "title": "Hats", "total": at} for at in range(20_000)]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    (tmp_path / "collections.jsonl").write_bytes(data)
    files = {"collections.jsonl": {"sha256": hashlib.sha256(data).hexdigest()}}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "files": files}))
    with subprocess.Popen(
        [sys.executable, SHOW, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as show:
        assert show.stdout.readline() == "hats-0: Hats (0)\n"
        show.stdout.close()
        assert show.stderr.read() == ""
    assert show.returncode == 0
