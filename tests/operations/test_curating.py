"""What a person sees of proposals and decisions, on the page and on the command line, and does."""

import hashlib
import io
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import uvicorn
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from operations import curating
from operations.__main__ import app
from operations.curation_page import application
from operations.instance import free_port
from operations.wording import LONGEST, Names, actor_text, clean, figures, sentence
from pinlanding_assets.curation.desk import Desk, open_proposals
from pinlanding_assets.decisions.operations import OPERATIONS, parse
from pinlanding_assets.decisions.state import fold
from resources.decisions import DecisionLog, LogMoved
from resources.lake import Lake, MissingPartition
from resources.profiles import settings
from tests.curation.small_view import SHIRTS, SmallView
from tests.curation.test_desk import ALL, NAVY
from tests.operations.chromium import CHROMIUM, FLAGS, WHY

ORIGIN = "http://127.0.0.1:3002"
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)> {{ 97*89 }} \u202egnp"
EVIDENCE = {"weight": 120, "searches": 120, "products": 14, "examples": ["p1", "p2", "gone"]}
PREVIEW = {"pages won": ["Navy shirts"], "pages lost": [], "searches served": 1200}
MANY = [f"p{n}" for n in range(40)]
KEEP = parse({"operation": "word.keep", "key": "color", "word": "crimson"})
DROP = parse({"operation": "word.drop", "key": "color", "word": "red"})


def jpeg(seed: int) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "JPEG")
    return buffer.getvalue()


def name_of(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


@pytest.fixture
def lake(tmp_path) -> Lake:
    """Three products, the third without a picture; a vocabulary, and a topic with its title."""
    found = Lake(root=str(tmp_path / "lake"))
    products = {
        "product_id": ["p1", "p2", "p3"],
        "operation": ["upsert"] * 3,
        "title": ["Blue shirt", HOSTILE, "No picture"],
        "images": [[name_of(jpeg(1))], [name_of(jpeg(2)), name_of(jpeg(3))], []],
    }
    frame = pl.DataFrame(products, schema_overrides={"images": pl.List(pl.String)})
    found.commit("catalog", {"products": frame}, partition="2026-11-01")
    found.commit("attribute_vocabulary", {"entries": SmallView.entries})
    topics = SmallView.topics.with_columns(title=pl.lit("Blue shirts"))
    found.commit("topics", {"topics": topics})
    for seed in (1, 2, 3):
        found.put_image(name_of(jpeg(seed)), jpeg(seed))
    return found


@pytest.fixture
def log(tmp_path) -> DecisionLog:
    return DecisionLog(url=f"sqlite:///{tmp_path / 'log.sqlite'}", catalog="shop")


@pytest.fixture
def desk(log) -> Desk:
    return Desk(log, SmallView())


@pytest.fixture
def page(lake, log, desk) -> TestClient:
    return browser(lake, log, desk)


def browser(lake: Lake, log: DecisionLog, desk: Desk, name: str | None = "ann") -> TestClient:
    shown = application(lake, log, lambda: desk, "shop")
    client = TestClient(shown, base_url=ORIGIN, headers={"Origin": ORIGIN})
    if name is not None:
        assert client.post("/name", data={"name": name}).status_code == 200
    return client


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found
    return found[1]


def form_of(html: str) -> dict[str, str]:
    """What the first Approve of a page sends."""
    sent = html[html.index('action="/approve"') :]
    sent = sent[: sent.index("</form>")]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', sent))


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html)))


# --- the queue


def test_a_proposal_is_shown_with_all_that_speaks_for_it(page, desk):
    desk.propose(DROP, "agent:words", evidence={"weight": 2})
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE, preview=PREVIEW)
    html = page.get("/").text
    told = words_of(html)
    assert "In color, count navy as blue" in told
    assert "proposed by the agent words" in told
    assert told.index("count navy") < told.index("ignore red")  # the weightiest first
    for figure in ("Navy shirts", "1,200", "pages lost none", "pages won · 1", "Blue shirt"):
        assert figure in told
    assert "Waiting 2 Decided 0" in told


def test_an_approval_is_of_what_the_page_has_shown(page, desk, log):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE, preview=PREVIEW)
    form = form_of(page.get("/").text)
    assert set(form) == {"proposal", "seen"}
    for wrong in ({"seen": "0" * 16}, {"seen": ""}, {"proposal": "0" * 16}, {"proposal": ""}):
        answer = page.post("/approve", data=form | wrong)
        assert answer.status_code == 409
        assert re.search('role="alert">(What was approved|There is no open proposal)', answer.text)
    assert desk.state().decisions == {}
    answer = page.post("/approve", data=form)
    assert "Approved." in answer.text
    assert [one.actor for one in desk.state().of("words")] == ["person:ann"]
    assert page.post("/approve", data=form).status_code == 409  # pressed twice
    assert [one.event for one in log.events()] == ["propose", "apply"]


def test_evidence_that_has_changed_under_the_page_is_not_approved(page, desk, log):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    form = form_of(page.get("/").text)
    (waiting,) = open_proposals(log.events())
    body = {"operation": NAVY.model_dump(mode="json"), "evidence": {"weight": 1}, "preview": {}}
    log.add("propose", waiting.id, "agent:words", body)
    assert "look at it again" in page.post("/approve", data=form).text
    assert desk.state().decisions == {}


def test_what_was_decided_otherwise_since_cannot_be_approved_before_that_is_undone(page, desk):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    form = form_of(page.get("/").text)
    desk.decide(DROP, "person:ben")  # about another word
    assert form_of(page.get("/").text) == form
    keep = parse({"operation": "word.keep", "key": "color", "word": "navy"})
    kept = desk.decide(keep, "person:ben")  # about the same
    answer = page.post("/approve", data=form)
    assert "It was decided otherwise since it was shown" in answer.text
    said = "This was decided otherwise since, by ben: In color, keep navy as a value of its own."
    assert said in words_of(answer.text)
    assert 'action="/approve"' not in answer.text
    assert 'action="/refuse"' in answer.text
    page.post("/undo", data={"proposal": kept.proposal})
    assert "Approved." in page.post("/approve", data=form_of(page.get("/").text)).text


def test_what_a_yes_would_replace_is_shown(page, desk):
    desk.decide(parse({"operation": "word.keep", "key": "color", "word": "navy"}), "person:ben")
    desk.propose(NAVY, "mcp:ann", evidence=EVIDENCE)
    html = page.get("/").text
    said = "Yes would take the place of this, by ben: In color, keep navy as a value of its own."
    assert said in words_of(html)
    assert "Approved." in page.post("/approve", data=form_of(html)).text


def test_a_refusal_is_written_down_with_its_reason(page, desk, log):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    form = form_of(page.get("/").text)
    answer = page.post("/refuse", data={"proposal": form["proposal"], "why": "no\n" * 200})
    assert "Refused." in answer.text
    assert "Nothing waits for an answer" in answer.text
    (*_, last) = log.events()
    assert (last.event, last.actor, len(last.body["why"])) == ("refuse", "person:ann", LONGEST)
    assert "no no no" in page.get("/history").text
    assert page.post("/refuse", data={"proposal": form["proposal"]}).status_code == 409
    assert page.post("/approve", data=form).status_code == 409  # a no stays a no


def test_what_cannot_be_done_any_more_is_said_in_a_line(page, desk):
    desk.propose(NAVY, "agent:words")
    form = form_of(page.get("/").text)
    desk.view.aliases = SmallView.aliases.filter(pl.col("raw_value") != "navy")
    desk.view.entries = SmallView.entries.filter(pl.col("value") != "navy")
    answer = page.post("/approve", data=form)
    assert answer.status_code == 409
    assert "Nothing in the catalog is said to have 'color' 'navy'." in words_of(answer.text)


def test_a_writer_of_the_same_moment_is_told(page, desk, monkeypatch):
    desk.propose(NAVY, "agent:words")
    form = form_of(page.get("/").text)

    def moved(*_, **__):
        raise LogMoved("the log has 9 events, not 1: read it again")

    monkeypatch.setattr(DecisionLog, "add_all", moved)
    for path in ("/approve", "/refuse"):
        answer = page.post(path, data=form)
        assert answer.status_code == 409
        assert "Somebody else has decided something at this moment" in answer.text


def test_without_proposals_the_page_says_what_to_do(page, tmp_path, log, desk):
    assert "Agents put their proposals here" in page.get("/").text
    assert "operations curate decide" in page.get("/").text
    assert "Nothing is decided" in page.get("/decided").text
    assert "Nothing has happened yet" in page.get("/history").text
    empty = browser(Lake(root=str(tmp_path / "empty")), log, desk)
    assert "There is no catalog to decide on yet" in empty.get("/").text
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)  # its products are nowhere
    assert "gone" in empty.get("/").text


def test_a_long_queue_has_pages(page, desk, log):
    for number in range(45):
        told = {"operation": "label.set", "product": f"p{number % 15}", "holds": False}
        entry = ("color=red", "color=blue", "color=navy")[number // 15]
        desk.propose(parse(told | {"entry": entry}), "agent:quality")
    assert page.get("/").text.count('class="card"') == 20
    assert "Page 1 of 3" in page.get("/").text
    assert page.get("/?page=3").text.count('class="card"') == 5
    for odd in ("0", "99", "-1", "x", "1e9", "9" * 5000, "²", ""):
        assert page.get("/", params={"page": odd}).status_code == 200


def test_pictures_are_those_of_products_in_open_proposals(page, desk, lake):
    found = desk.propose(NAVY, "agent:words", evidence=EVIDENCE | {"examples": ["p2", "p3", "x"]})
    html = page.get("/").text
    assert re.findall(r'src="(/picture[^"]+)"', html) == [f"/picture/{found.id}/0"]
    answer = page.get(f"/picture/{found.id}/0")
    assert answer.content == jpeg(2)
    assert answer.headers["content-type"] == "image/jpeg"
    for path in (f"{found.id}/1", f"{found.id}/2", f"{found.id}/3", "0" * 16 + "/0", "x/y", "1/-1"):
        assert page.get(f"/picture/{path}").status_code == 404
    stored = lake._image_path(name_of(jpeg(2)))
    (Path(lake.root) / stored).write_bytes(b"damaged")
    assert page.get(f"/picture/{found.id}/0").status_code == 404
    (Path(lake.root) / stored).unlink()
    assert page.get(f"/picture/{found.id}/0").status_code == 404
    lake.put_image(name_of(jpeg(2)), jpeg(2))
    assert page.get(f"/picture/{found.id}/0").status_code == 200
    page.post("/refuse", data={"proposal": found.id})
    assert page.get(f"/picture/{found.id}/0").status_code == 404


@pytest.mark.parametrize("examples", ["p1", {"p1": 1}, [1, None, ["p1"]], 7, MANY])
def test_examples_of_any_form_do_no_harm(page, desk, examples):
    desk.propose(NAVY, "agent:words", evidence={"examples": examples, "weight": "heavy"})
    html = page.get("/").text
    assert html.count("<figcaption>") == (12 if examples == MANY else 0)


# --- decisions and history


def test_a_decision_is_taken_back(page, desk):
    desk.decide(NAVY, "agent:words")
    html = page.get("/decided").text
    assert "by the agent words" in html
    answer = page.post("/undo", data={"proposal": field(html, "proposal")})
    assert "Taken back." in answer.text
    assert desk.state().decisions == {}
    assert page.post("/undo", data={"proposal": field(html, "proposal")}).status_code == 409


def test_decisions_that_stand_on_one_are_shown_and_taken_back_with_it(page, desk):
    kept = desk.decide(parse({"operation": "word.keep", "key": "color", "word": "red"}), "agent:w")
    desk.decide(parse(ALL[9]), "person:ben")
    answer = page.post("/undo", data={"proposal": kept.proposal})
    assert answer.status_code == 409
    assert "Make a page for color: red and type: hat" in words_of(answer.text)
    assert "Undo these 2 together" in answer.text
    assert len(desk.state().decisions) == 2  # asking changes nothing
    form = {"proposal": field(answer.text, "proposal"), "seen": field(answer.text, "seen")}
    label = {"operation": "label.set", "product": "p3", "entry": "color=red", "holds": True}
    desk.decide(parse(label), "person:ben")  # since it was shown, one more
    answer = page.post("/undo", data=form)
    assert "What stands on it has changed since it was shown" in answer.text
    assert len(desk.state().decisions) == 3
    answer = page.post("/undo", data={"proposal": kept.proposal})
    assert "Undo these 3 together" in answer.text
    form = {"proposal": field(answer.text, "proposal"), "seen": field(answer.text, "seen")}
    assert "Taken back." in page.post("/undo", data=form).text
    assert desk.state().decisions == {}


def test_decisions_stand_under_their_facets_and_history_has_them_all(page, desk):
    for told in ALL:
        desk.decide(parse(told), "mcp:ann")
    told = words_of(page.get("/decided").text)
    for said in ("feeds", "labels", "pages", "words", "ann, through a program", "Blue shirts"):
        assert said in told
    assert "Say that Blue shirt (p1)" not in told
    assert "Say that No picture (p3) is not color: red" in told
    for _ in range(20):
        (one, *_) = desk.state().of("words")
        desk.revert(one.proposal, "person:ann", cascade=True)
        desk.decide(one.operation, "person:ann")
    assert page.get("/history").text.count("<li>") == 50
    assert page.get("/history?page=2").text.count("<li>") == len(ALL) + 40 - 50
    assert "Taken back" in page.get("/history").text


def test_looking_changes_nothing(page, desk, log):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    before = log.events()
    form = form_of(page.get("/").text)
    for path in ("/", "/decided", "/history", "/name", "/?done=approved"):
        assert page.get(path).status_code == 200
    for path in ("/approve", "/refuse", "/undo"):
        assert page.get(path, params=form).status_code == 405
    assert log.events() == before
    assert "<script>x" not in page.get("/?done=<script>x").text


# --- who may, and what cannot be trusted


def test_another_site_can_neither_answer_nor_read(page, desk, log):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    form = form_of(page.get("/").text)
    for origin in ("http://evil.example", "null", "", "http://127.0.0.1:3001"):
        for path in ("/approve", "/refuse", "/undo", "/name"):
            assert page.post(path, data=form, headers={"Origin": origin}).status_code == 403
    evil = {"Host": "evil.example:3002", "Origin": "http://evil.example:3002"}
    assert page.get("/", headers=evil).status_code == 400
    assert page.post("/approve", data=form, headers=evil).status_code == 400
    assert page.post("/approve", data=form | {"more": "x" * 5000}).status_code == 413
    assert len(log.events()) == 1


def test_who_has_not_given_a_name_is_asked_first(lake, log, desk):
    found = desk.propose(NAVY, "agent:words")
    nobody = browser(lake, log, desk, None)
    for path in ("/", "/decided", "/history"):
        assert "Your name" in nobody.get(path).text
    for path in ("/approve", "/refuse", "/undo"):
        form = {"proposal": found.id, "seen": found.seen}
        assert "Your name" in nobody.post(path, data=form).text
    assert len(log.events()) == 1


def test_hostile_text_is_text_everywhere(lake, log, desk):
    page = browser(lake, log, desk, HOSTILE.replace("\u202e", "")[:64])
    body = {
        "evidence": {HOSTILE: HOSTILE, "examples": ["p2", HOSTILE], "n": [HOSTILE, {HOSTILE: 1}]}
    }
    body["preview"] = {HOSTILE: {HOSTILE: HOSTILE}, "pages lost": [HOSTILE] * 3, "weight": HOSTILE}
    hostile = [
        {"operation": "word.merge", "key": HOSTILE, "word": HOSTILE, "into": HOSTILE},
        {"operation": "source.distrust", "seller": HOSTILE, "key": HOSTILE},
        {"operation": "label.set", "product": "p2", "entry": HOSTILE, "holds": True},
        {"operation": "topic.add", "entries": [HOSTILE, f"{HOSTILE}={HOSTILE}"]},
        {"operation": "topic.title", "topic": SHIRTS, "title": HOSTILE},
        {"operation": "feed.value", "attribute": HOSTILE, "value": HOSTILE, "means": HOSTILE},
    ]
    actor = f"agent:{HOSTILE}"[:100]
    for number, told in enumerate(hostile):
        log.add("propose", f"'><script>x{number}", actor, body | {"operation": told})
        log.add("apply", f"'><script>y{number}", actor, {"operation": told | _other(told)})
        log.add("refuse", f"'><script>y{number}", actor, {"why": HOSTILE})
    for path in ("/", "/decided", "/history", "/name"):
        answer = page.get(path)
        assert answer.status_code == 200
        written = re.sub(r'<(script|style) nonce="[^"]+">.*?</\1>', "", answer.text, flags=re.S)
        assert "<script" not in written
        assert "<img src=x" not in written
        assert "8633" not in written  # the sum in the braces
        assert "\u202e" not in written
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        if path != "/name":
            assert "<script>alert(1)</script>" in unescape(written)


def _other(told: dict) -> dict:
    """Changes an operation, so that deciding it does not answer the proposal."""
    return {
        "word.merge": {"word": "other"},
        "source.distrust": {"seller": HOSTILE * 2},
        "label.set": {"holds": False},
        "topic.add": {"entries": [HOSTILE]},
        "topic.title": {"title": HOSTILE[:40]},
        "feed.value": {"value": "other"},
    }[told["operation"]]


def test_a_log_that_was_changed_is_said_and_not_used(page, desk, tmp_path):
    desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    form = form_of(page.get("/").text)
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        database.execute("update curation_log set actor = 'person:eve'")
    answers = [page.get(path) for path in ("/", "/decided", "/history")]
    answers += [page.post(path, data=form) for path in ("/approve", "/refuse", "/undo")]
    for answer in answers:
        assert answer.status_code == 503
        assert "Event 1 of the log of decisions is not what was written" in answer.text
        assert "Traceback" not in answer.text


def test_a_log_of_a_later_release_or_out_of_reach_is_said(page, log, tmp_path):
    log.add("apply", "p" * 16, "person:ann", {"operation": {"operation": "word.invent"}})
    assert "this release does not know" in page.get("/").text
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        database.execute("drop table curation_log")
    answer = page.get("/")
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text


def test_a_catalog_that_cannot_be_read_is_said_and_nothing_is_decided(lake, log, desk):
    def broken() -> Desk:
        raise MissingPartition("catalog: no day is materialized; <b>materialize</b> catalog first")

    desk.propose(NAVY, "agent:words")
    page = TestClient(
        application(lake, log, broken, "shop"), base_url=ORIGIN, headers={"Origin": ORIGIN}
    )
    page.post("/name", data={"name": "ann"})
    answer = page.post("/approve", data=form_of(page.get("/").text))
    assert answer.status_code == 503
    assert "Catalog: no day is materialized; <b>materialize</b>" in unescape(answer.text)
    assert "<b>materialize" not in answer.text
    assert len(log.events()) == 1


# --- plain words


def test_every_operation_is_said_in_plain_words():
    names = Names({"p3": "Cap", "p2": "Hat"}, {SHIRTS: "Blue shirts"})
    said = {}
    for told in ALL:
        text = "".join(part.text for part in sentence(parse(told), names))
        assert not re.search(r"[{}]|None|True|False", text)
        said.setdefault(told["operation"], []).append(text)
    assert set(said) == set(OPERATIONS)
    assert said["word.merge"] == ["In color, count navy as blue"]
    assert said["key.set"] == [
        "Let a product have several values of color",
        "Call products by their type",
    ]
    assert said["label.set"] == ["Say that Cap (p3) is not color: red"]
    assert said["item.hide"] == ["Hide Hat (p2) on the page Blue shirts"]
    dated = parse({**ALL[14], "since": "2026-11-01"})
    text = "".join(part.text for part in sentence(dated, names))
    assert text == "Read title from the column Farbe, too since 2026-11-01"


def test_figures_are_bounded_and_readable():
    told = {
        **{"agreement": 0.93456, "share": 0.0001, "searches": 120000, "ok": True},
        **{"none": None, "huge": 10**400, "odd": float("nan"), "before_and": {"a": 1, "b": 2}},
        **{"empty": [], "nobody": {}, "long": [f"page {n}" for n in range(90)]},
    }
    shown = {one.label: one for one in figures(told)}
    texts = {label: one.text for label, one in shown.items() if not one.items}
    assert texts == {
        **{"agreement": "0.935", "share": "0.0001", "searches": "120,000"},
        **{"ok": "yes", "none": "not known", "huge": "a number of over 15 digits", "odd": "nan"},
        **{"before and": "a 1, b 2", "empty": "none", "nobody": "none"},
    }
    assert (len(shown["long"].items), shown["long"].count) == (12, 90)
    assert len(figures({str(n): n for n in range(99)})) == 12
    assert clean("a\x00b\u202ec\n d") == "a�b�c d"
    assert len(clean("x" * 10_000)) == LONGEST
    assert actor_text("person:ann") == "ann"
    assert actor_text("odd") == "odd"
    assert actor_text("{x}:{y}") == "{x}:{y}"


# --- the command line


@pytest.fixture
def command(monkeypatch, desk, log):
    monkeypatch.setenv("PLATFORM_CATALOG", "")
    monkeypatch.setattr(curating, "desk", lambda: desk)
    monkeypatch.setattr(curating, "decision_log", lambda: log)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["curate", *arguments])

    return run


def test_the_command_line_lists_approves_and_takes_back(command, desk):
    assert "nothing waits" in command("list").stdout
    found = desk.propose(NAVY, "agent:words", evidence=EVIDENCE)
    listed = command("list").stdout
    assert f"open     {found.id}" in listed
    assert '"searches": 120' in listed
    other = command("approve", found.id, "0" * 16, "--as", "ann")
    assert "look at it again" in str(other.exception)
    assert f"seen {found.seen}" in command("list").stdout
    approved = command("approve", found.id, found.seen, "--as", "ann")
    assert approved.stdout.startswith(f"decided  {found.id}")
    assert f"decided  {found.id}" in command("list").stdout
    assert [one.actor for one in desk.state().of("words")] == ["person:ann"]
    again = command("approve", found.id, found.seen)
    assert again.exit_code == 1
    assert "there is no open proposal" in again.output or "no open" in str(again.exception)
    assert command("undo", found.id).stdout.startswith(f"undone   {found.id}")
    assert "is no decision in force" in str(command("undo", found.id).exception)
    lines = [json.loads(one) for one in command("log").stdout.splitlines()]
    assert [one["event"] for one in lines] == ["propose", "apply", "revert"]


def test_the_command_line_decides_and_refuses(command, desk, log):
    made = command("decide", json.dumps(NAVY.model_dump()), "--as", "ben")
    assert made.stdout.startswith("decided  ")
    assert desk.state().of("words")[0].actor == "person:ben"
    found = desk.propose(DROP, "agent:words")
    assert command("refuse", found.id, "--why", "it is a color").stdout == f"refused  {found.id}\n"
    assert log.events()[-1].body == {"why": "it is a color"}
    assert "no open proposal" in str(command("refuse", found.id).exception)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("navy is blue", "Invalid JSON"),
        ('{"operation": "run.shell"}', "does not match any of the expected tags"),
        ('{"operation": "word.drop", "key": "color"}', "Field required"),
        ('{"operation": "word.drop", "key": "size", "word": "xl"}', "nothing in the catalog"),
    ],
)
def test_the_command_line_says_in_a_line_what_is_no_operation(command, log, told, why):
    answer = command("decide", told)
    assert answer.exit_code == 1
    assert why in str(answer.exception)
    assert "\n" not in str(answer.exception)
    assert log.events() == []


def test_the_command_line_takes_back_others_only_when_told(command, desk):
    kept = desk.decide(parse({"operation": "word.keep", "key": "color", "word": "red"}), "agent:w")
    desk.decide(parse(ALL[9]), "person:ben")
    assert "decisions stand on it" in str(command("undo", kept.proposal).exception)
    assert command("undo", kept.proposal, "--cascade").stdout.count("undone") == 2
    assert desk.state().decisions == {}


def test_the_command_line_does_not_use_a_log_that_was_changed(command, desk, tmp_path):
    desk.propose(NAVY, "agent:words")
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        database.execute("update curation_log set actor = 'person:eve'")
    for arguments in (["list"], ["log"], ["approve", "x", "y"], ["page"]):
        assert "is not what was written" in str(command(*arguments).exception)


def test_a_catalog_that_was_never_made_can_be_looked_at_and_not_decided_on(tmp_path, monkeypatch):
    (tmp_path / "shop.csv").write_text("sku,title,color\n1,Hat,red\n2,Cap,blue\n")
    (tmp_path / "shop.yaml").write_text("feeds: [shop.csv]\ncolumns: {id: sku, title: title}\n")
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PLATFORM_CATALOG", "")
    catalog = ("--catalog", str(tmp_path / "shop.yaml"))
    assert "nothing waits" in CliRunner().invoke(app, ["curate", "list", *catalog]).stdout
    told = json.dumps(NAVY.model_dump())
    answer = CliRunner().invoke(app, ["curate", "decide", told, *catalog])
    assert "there is nothing to decide on yet" in str(answer.exception)


def test_the_page_is_started_by_its_command(command, desk, lake, monkeypatch):
    desk.propose(NAVY, "agent:words")
    started = []
    monkeypatch.setattr(curating.pages, "run", lambda *given: started.append(given))
    monkeypatch.setattr(curating, "resources", lambda: {"lake": lake})
    assert command("page", "--port", "3009").exit_code == 0
    ((_, said, port),) = started
    assert said == f"1 proposal waits for an answer on {settings().name}"
    assert port == 3009
    assert CliRunner().invoke(app, ["curate", "page", "--port", "99999"]).exit_code == 2


# --- in a browser


@pytest.fixture
def url(lake, log, desk) -> Iterator[str]:
    shown, port = application(lake, log, lambda: desk, "shop"), free_port()
    config = uvicorn.Config(shown, host="127.0.0.1", port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(not CHROMIUM, reason=WHY)
def test_a_person_curates_by_clicks(url, desk, log):
    from playwright.sync_api import expect, sync_playwright

    keep = parse({"operation": "word.keep", "key": "color", "word": "red"})
    for weight, operation in enumerate([keep, NAVY, parse(ALL[9])]):
        evidence = EVIDENCE | {"weight": weight, "why": HOSTILE}
        desk.propose(operation, "agent:words", evidence=evidence, preview=PREVIEW)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = chromium.new_context(base_url=url, viewport={"width": 390, "height": 844})
        context.set_default_timeout(60_000)
        page, wrong = context.new_page(), []
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto("/")
        page.get_by_label("Your name").fill("Ann")
        page.get_by_role("button", name="Begin").click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        picture = page.locator("article img").first
        expect(picture).to_have_js_property("naturalWidth", 16)

        def card(text: str):
            return page.locator("article", has_text=text)

        card("Make a page").get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status")).to_contain_text("Approved.")
        card("keep red").get_by_role("button", name="Approve").click()
        expect(card("keep red")).to_have_count(0)
        why = card("count navy").get_by_label("Why not")
        why.fill("navy is its own")
        why.press("Enter")  # what is typed there is a reason for a no
        expect(page.get_by_role("heading", name="Nothing waits")).to_be_visible()
        page.get_by_role("link", name="Decided").click()
        page.locator("li", has_text="keep red").get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Make a page for")).to_be_visible()
        page.get_by_role("button", name="Undo these 2 together").click()
        expect(page.get_by_role("heading", name="Nothing is decided")).to_be_visible()
        page.get_by_role("link", name="History").click()
        expect(page.get_by_text("navy is its own")).to_be_visible()
        assert wrong == []
        chromium.close()
    events = [(one.event, one.actor) for one in log.events()[3:]]
    assert events == [
        (name, "person:Ann") for name in ("apply", "apply", "refuse", *["revert"] * 2)
    ]
    assert fold(log.events()).decisions == {}
