"""What a rater may see, what a vote leaves behind, and what it adds up to."""

import hashlib
import io
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from operations.ballot import Ballot, destination, take_pairs, wilson
from operations.rating import application
from resources.feeds.studio import Studio
from resources.lake import Lake
from rl_diffusion_assets.preferences.formats import read_votes

ORIGIN = "http://127.0.0.1:3001"
HOSTILE = "a \"cat\" & <script>alert('tuned')</script><img src=x onerror=alert(1)> {{ 7*7 }}"
RATINGS = [{"path": "ratings/{day}.jsonl", "format": "pairs"}]


def picture(seed: int, size: int = 32, **info: str) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
    chunks, buffer = PngInfo(), io.BytesIO()
    for name, text in info.items():
        chunks.add_text(name, text)
    Image.fromarray(drawn).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def studio_yaml(folder: Path, **settings) -> Path:
    content = {"name": "test", "ratings": RATINGS, "images": "images"} | settings
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "studio.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return path


def evaluated(folder: Path, prompts: list[str], tuned_size: int = 32) -> Lake:
    """A lake with one pair a prompt: pictures 2n (base) and 2n + 1 (tuned, as the judge likes)."""
    lake, rows = Lake(root=str(folder / "lake")), []
    for number, prompt in enumerate(prompts):
        names = []
        for model, side in enumerate((32, tuned_size)):
            drawn = picture(2 * number + model, side, Software=f"model {model}")
            names.append(hashlib.sha256(drawn).hexdigest())
            lake.put_image(names[-1], drawn)
        rows.append((prompt, "scenes", number, *names, 0.0, 1.0))
    columns = ["prompt", "family", "seed", "base_image", "tuned_image", "judge_base", "judge_tuned"]
    samples = pl.DataFrame(rows, schema=columns, orient="row")
    lake.commit("rl_evaluation", {"samples": samples}, partition="joint")
    return lake


def ballot(folder: Path, prompts: list[str] | None = None, count: int = 99) -> Ballot:
    """A ballot on a lake and a studio.yaml; a second call is a restart."""
    studio = folder / "studio" / "studio.yaml"
    if not studio.exists():
        evaluated(folder, prompts or [f"a red cup and a hat, {n}" for n in range(6)])
        studio_yaml(folder / "studio")
    lake, (_, images) = Lake(root=str(folder / "lake")), destination(studio)
    return Ballot(studio, take_pairs(lake, "joint", images, count))


def browser(used: Ballot, name: str | None = "ana") -> TestClient:
    client = TestClient(application(used), base_url=ORIGIN, headers={"Origin": ORIGIN})
    if name is not None:
        assert client.post("/name", data={"name": name}).status_code == 200
    return client


def key_of(html: str) -> str:
    found = re.search(r'name="pair" value="([0-9a-f]+)"', html)
    assert found
    return found[1]


def votes_of(folder: Path) -> list[dict]:
    files = sorted((folder / "studio" / "ratings").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_no_page_tells_the_models_apart(tmp_path):
    prompts = [f"cup {n}" for n in range(60)]
    used = ballot(tmp_path, prompts)
    client, tuned_left = browser(used), 0
    whole = {shown.key: shown for shown in used.shown("ana")}
    masked: set[str] = set()
    for number in range(60):
        html = client.get("/").text
        shown = whole[key_of(html)]
        tuned_left += shown.left == shown.pair.tuned
        assert not re.search(r"tuned|base\b|judge|model", html)
        assert shown.left not in html
        assert shown.right not in html
        assert f"{number + 1} of 60" in html
        heads = []
        for side, name in (("left", shown.left), ("right", shown.right)):
            answer = client.get(f"/picture/{shown.key}/{side}")
            assert answer.content == used.picture(name)
            assert Image.open(io.BytesIO(answer.content)).info == {}
            assert answer.headers["cache-control"] == "no-store"
            heads.append({k: v for k, v in answer.headers.items() if k != "content-length"})
        assert heads[0] == heads[1]
        # without what every page has of its own, all pages are one page
        for own in (shown.key, shown.pair.prompt, f"{number + 1} of 60", f'value="{number}"'):
            html = html.replace(own, "")
        masked.add(re.sub(r'nonce="[^"]+"', "", html))
        client.post("/vote", data={"pair": shown.key, "choice": "left"})
    assert len(masked) == 1
    assert 20 <= tuned_left <= 40
    assert [s.left for s in used.shown("ana")] == [s.left for s in used.shown("ana")]
    sides = [{s.pair: s.left for s in used.shown(name)} for name in ("ana", "bo")]
    assert sides[0] != sides[1]
    assert not {s.key for s in used.shown("ana")} & {s.key for s in used.shown("bo")}


def test_a_vote_reaches_the_ratings_as_preference_pairs_reads_them(tmp_path):
    used = ballot(tmp_path)
    client = browser(used, "Ana  Müller ")
    pressed = ["left", "right", "neither"]
    shown = used.shown("Ana Müller")
    for one, choice in zip(shown, pressed, strict=False):
        assert key_of(client.get("/").text) == one.key
        assert client.post("/vote", data={"pair": one.key, "choice": choice}).status_code == 200
    today = datetime.now(UTC).date().isoformat()
    studio = Studio(config_path=str(tmp_path / "studio" / "studio.yaml"))
    (received,) = studio.ratings(today)
    assert received.pixels
    votes, rejects = read_votes(received.rows, file=received.file, format=received.format)
    assert rejects == []
    assert [(v.rater, v.prompt, v.a, v.b, v.choice) for v in votes] == [
        ("Ana Müller", one.pair.prompt, one.left, one.right, letter)
        for one, letter in zip(shown, ["a", "b", "tie"], strict=False)
    ]
    assert all(studio.image(name).startswith(b"\x89PNG") for v in votes for name in (v.a, v.b))


def test_a_hostile_prompt_is_text(tmp_path):
    answer = browser(ballot(tmp_path, [HOSTILE])).get("/")
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert HOSTILE in unescape(answer.text)
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"choice": "left"}, 400),
        ({"pair": "0" * 20, "choice": "left"}, 400),
        ({"pair": "KEY", "choice": "a"}, 400),
        ({"pair": "KEY"}, 400),
        ({"pair": "KEY", "choice": "left", "more": "x" * 5000}, 413),
        ({"pair": "KEY", "choice": "left"} | {f"f{n}": "x" for n in range(9)}, 400),
    ],
)
def test_what_is_no_vote_is_refused_and_not_written(tmp_path, form, status):
    client = browser(ballot(tmp_path))
    key = key_of(client.get("/").text)
    form = {name: key if value == "KEY" else value for name, value in form.items()}
    assert client.post("/vote", data=form).status_code == status
    assert votes_of(tmp_path) == []


def test_another_site_can_neither_vote_nor_read(tmp_path):
    client = browser(ballot(tmp_path))
    form = {"pair": key_of(client.get("/").text), "choice": "left"}
    for origin in ("http://evil.example", "null", ""):
        assert client.post("/vote", data=form, headers={"Origin": origin}).status_code == 403
        assert (
            client.post("/name", data={"name": "x"}, headers={"Origin": origin}).status_code == 403
        )
    evil = {"Host": "evil.example:3001", "Origin": "http://evil.example:3001"}
    assert client.get("/", headers=evil).status_code == 400
    assert client.post("/vote", data=form, headers=evil).status_code == 400
    assert votes_of(tmp_path) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x00b", "a\u202eb"])
def test_a_name_is_short_and_printable(tmp_path, name):
    client = browser(ballot(tmp_path), None)
    assert "Your name" in client.get("/").text  # nobody votes without one
    assert client.post("/name", data={"name": name}).status_code == 400
    client.cookies.set("rater", "%ff%00")  # nor with one that was made up
    assert "Your name" in client.get("/").text


def test_a_hostile_name_is_text(tmp_path):
    client = browser(ballot(tmp_path), '"><script>x</script>;\u00e9')
    html = client.get("/").text
    assert "<script>x" not in html
    assert '"><script>x</script>;\u00e9' in unescape(html)


def test_a_picture_is_only_served_to_who_is_asked_about_it(tmp_path):
    used = ballot(tmp_path)
    client = browser(used)
    theirs = used.shown("bo")[0].key
    mine = used.shown("ana")[0].key
    for path in (f"{theirs}/left", f"{mine}/base", "..%2Fstudio.yaml/left"):
        assert client.get(f"/picture/{path}").status_code == 404


def test_a_second_vote_on_a_pair_changes_nothing(tmp_path):
    client = browser(ballot(tmp_path))
    form = {"pair": key_of(client.get("/").text)}
    for choice in ("left", "right"):
        client.post("/vote", data=form | {"choice": choice})
    assert [vote["choice"] for vote in votes_of(tmp_path)] == ["a"]


def test_a_restart_goes_on_where_it_stopped(tmp_path):
    client = browser(ballot(tmp_path))
    for _ in range(4):
        client.post("/vote", data={"pair": key_of(client.get("/").text), "choice": "left"})
    open_page = client.get("/").text
    (file,) = (tmp_path / "studio" / "ratings").iterdir()
    with file.open("a") as torn:
        torn.write('{"rater": "an')  # killed while it wrote
    again = ballot(tmp_path)
    client = browser(again)
    assert "5 of 6" in client.get("/").text
    assert key_of(client.get("/").text) == key_of(open_page)
    client.post("/vote", data={"pair": key_of(open_page), "choice": "right"})
    assert json.loads(file.read_text().splitlines()[-1])["choice"] == "b"
    assert "6 of 6" in browser(ballot(tmp_path)).get("/").text
    assert again.result().votes == 5


def test_a_vote_that_cannot_be_written_is_not_counted(tmp_path, monkeypatch):
    used = ballot(tmp_path)
    client = browser(used)
    form = {"pair": key_of(client.get("/").text), "choice": "left"}

    def full(file, data):
        real(file, data[:5])
        raise OSError(28, "No space left on device")

    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr("operations.ballot.os.write", full)
        answer = client.post("/vote", data=form)
    assert answer.status_code == 503
    assert "No space left" in answer.text
    assert votes_of(tmp_path) == []
    assert used.result().votes == 0
    assert client.post("/vote", data=form).status_code == 200
    assert len(votes_of(tmp_path)) == 1


def test_of_two_servers_one_vote_of_a_rater_is_written(tmp_path):
    one, other = ballot(tmp_path), ballot(tmp_path)
    for shown in one.shown("ana"):
        one.vote("ana", shown.key, "left")
        other.vote("ana", shown.key, "right")
    assert [vote["choice"] for vote in votes_of(tmp_path)] == ["a"] * 6
    other.vote("bo", other.shown("bo")[0].key, "right")
    one.vote("bo", one.shown("bo")[1].key, "right")
    assert one.result() == ballot(tmp_path).result()


def test_servers_that_answer_at_the_same_time_write_one_vote(tmp_path):
    servers = [ballot(tmp_path) for _ in range(4)]
    shown = servers[0].shown("ana")

    def vote(used: Ballot) -> None:
        for one in shown:
            used.vote("ana", one.key, "left")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(vote, servers))
    assert len(votes_of(tmp_path)) == len(shown)


def test_the_result_waits_for_the_last_pair(tmp_path, capsys):
    used = ballot(tmp_path)
    client = browser(used)
    assert browser(used, None).get("/result").status_code == 403
    for number, shown in enumerate(used.shown("ana")):
        assert client.get("/result").status_code == 403
        assert capsys.readouterr().out == ""
        tuned, base = ("left", "right") if shown.left == shown.pair.tuned else ("right", "left")
        choice = "neither" if number == 5 else base if number == 4 else tuned
        client.post("/vote", data={"pair": shown.key, "choice": choice})
    result = used.result()
    assert (result.tuned, result.base, result.undecided, result.raters) == (4, 1, 1, 1)
    assert result.judge_agrees == 4
    assert "4 of 5 decided votes: 80.0% (95 % interval 37.6% to 96.4%)" in capsys.readouterr().out
    html = client.get("/result").text
    assert "80.0 %" in html
    assert "37.6 to 96.4 %" in html
    assert "6 votes of 1 person; 1 could not say" in html
    bo = browser(used, "bo")
    assert bo.get("/result").status_code == 403
    bo.post("/vote", data={"pair": key_of(bo.get("/").text), "choice": "neither"})
    assert used.result().raters == 2


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (321, 400, 0.7607, 0.8386),
    ],
)
def test_the_interval_is_wilsons(hits, tries, low, high):
    assert wilson(hits, tries) == pytest.approx((low, high), abs=1e-4)


def test_pairs_that_cannot_be_compared_are_passed_over(tmp_path):
    studio = studio_yaml(tmp_path / "studio")
    images = destination(studio)[1]
    lake = evaluated(tmp_path, ["cup", "", "a\x00b", "hat"], tuned_size=48)
    assert take_pairs(lake, "joint", images, 9) == []  # a size would tell the model
    lake = evaluated(tmp_path / "same", ["cup", "", "a\x00b", "hat"])
    assert {pair.prompt for pair in take_pairs(lake, "joint", images, 9)} == {"cup", "hat"}


def test_more_pairs_only_add_to_fewer(tmp_path):
    few = ballot(tmp_path, [f"cup {n}" for n in range(20)], count=5).shown("ana")
    more = ballot(tmp_path, count=12).shown("ana")
    assert {shown.key for shown in few} < {shown.key for shown in more}
    assert len(more) == 12


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ratings": []}, "add under `ratings:`"),
        ({"ratings": [{"path": "r.jsonl", "format": "pairs"}]}, "add under `ratings:`"),
        ({"ratings": [{"path": "s3://b/{day}.jsonl", "format": "pairs"}]}, "add under `ratings:`"),
        ({"ratings": [{"path": "*/{day}.jsonl", "format": "pairs"}]}, "add under `ratings:`"),
        ({"ratings": [{"path": "{day}.csv", "format": "agiqa"}]}, "add under `ratings:`"),
        ({"images": None}, "add `images: images`"),
        ({"images": "s3://bucket"}, "add `images: images`"),
    ],
)
def test_a_studio_without_a_place_for_votes_says_so(tmp_path, settings, said):
    with pytest.raises(SystemExit, match=re.escape(said)):
        destination(studio_yaml(tmp_path, **settings))


def test_votes_go_to_the_first_file_that_fits(tmp_path):
    others = [{"path": "{day}.csv", "format": "agiqa"}, {"path": "all.jsonl", "format": "pairs"}]
    path, images = destination(studio_yaml(tmp_path, ratings=[*others, *RATINGS]))
    assert Path(path) == tmp_path / "ratings" / "{day}.jsonl"
    assert images == tmp_path / "images"
