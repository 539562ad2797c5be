import json

import polars as pl
import pytest
import yaml

from resources.feeds.image_fetch import ImageUnavailable
from resources.feeds.rows import FeedError
from resources.feeds.studio import Studio
from resources.feeds.studio_config import StudioConfigError


def studio(folder, settings: dict | None = None, files: dict | None = None) -> Studio:
    """A studio.yaml and its files, in `folder`."""
    for name, content in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    folder.mkdir(exist_ok=True)
    (folder / "studio.yaml").write_text(yaml.safe_dump({"name": "test"} | (settings or {})))
    return Studio(config_path=str(folder / "studio.yaml"))


def prompts(path: str, format: str, **more) -> dict:
    return {"prompts": [{"path": path, "format": format, **more}]}


def ratings(*entries: tuple[str, str]) -> dict:
    return {"ratings": [{"path": path, "format": format} for path, format in entries]}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"templates": {"occupation": ["doctor"]}}, "templates.occupation"),
        ({"templates": {"objects": [" "]}}, "templates.objects.0"),
        (prompts("p.txt", "word"), "prompts.0.format"),
        (prompts("{day}.txt", "lines"), "prompts.0.path"),
        ({"day": "soon"}, "day"),
        (prompts("s3://key:secret@bucket/p.txt", "lines"), "prompts.0.path"),
        (ratings(("https://x.example/r.csv?token=abcdefgh", "pairs")), "ratings.0.path"),
        ({"images": "s3://me:pw@bucket/images"}, "images"),
        ({"rewards": {"judge": "https://me:pw@x.example/judge"}}, "rewards.judge"),
        ({"ratings": [{"path": "r.csv", "columns": {"a": "x"}}]}, "ratings.0.columns"),
        ({"ratings": [{"path": "r.csv", "words": {"links": "left"}}]}, "ratings.0.words.links"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, settings, named):
    with pytest.raises(StudioConfigError) as caught:
        studio(tmp_path, settings).config()
    assert "studio.yaml" in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_studio_says_how_to_make_one(tmp_path):
    path = tmp_path / "studio.yaml"
    with pytest.raises(StudioConfigError, match="no such file") as caught:
        Studio(config_path=str(path)).config()
    assert str(path) in str(caught.value)
    path.write_text(str(caught.value).partition("with:\n")[2])  # what it shows works
    assert Studio(config_path=str(path)).config().ratings[0].format == "pairs"


def test_days_of_paths_and_the_constant_day(tmp_path):
    row = '{"prompt":"x","a":"1","b":"2","choice":"a"}\n'
    files = {"r/2026-11-03.jsonl": row, "r/2026-13-01.jsonl": row, "all.json": "[]"}
    entries = ratings(("r/{day}.jsonl", "pairs"), ("all.json", "imagereward"))
    found = studio(tmp_path / "odd [1]* 2020-01-01", entries, files)
    assert found.days() == ["2026-11-01", "2026-11-03"]
    assert [r.file for r in found.ratings("2026-11-03")] == ["r/2026-11-03.jsonl"]
    assert [r.file for r in found.ratings("2026-11-01")] == ["all.json"]
    assert found.ratings("2026-11-02") == []
    dated = studio(tmp_path / "b", entries | {"day": "2026-12-24"}, files)
    assert dated.days() == ["2026-11-03", "2026-12-24"]


def test_rows_of_every_kind_of_file(tmp_path):
    array = json.dumps([{"prompt": "x"}, 5])
    files = {
        "p.tsv": 'Prompt\tCategory\r\nthe words "go\tSigns\r\n',  # its quotes are not CSV's
        "l.txt": "\ufeffa cat\n\n  \nein Fuß\n".encode() + b"\xff\n" + b"x" * 2_000_000,
        "g.jsonl": '{"prompt": "x"}\n{broken\n',
        "c.csv": 'caption\n"a, b"\n',
        "i.json": array,
    }
    entries = [
        *({"path": "p.tsv", "format": "parti"}, {"path": "l.txt", "format": "lines"}),
        {"path": "g.jsonl", "format": "geneval"},
        {"path": "c.csv", "format": "csv", "column": "caption"},
    ]
    found = studio(tmp_path, {"prompts": entries, **ratings(("i.json", "imagereward"))}, files)
    parti, lines, geneval, table = (received.rows for received in found.prompt_files())
    assert [(r.row, r.value) for r in parti] == [
        (1, {"Prompt": 'the words "go', "Category": "Signs"})
    ]
    assert [(r.row, (r.value or {}).get("prompt")) for r in lines] == [
        *((1, "a cat"), (4, "ein Fuß"), (5, None), (6, None))
    ]
    assert "UTF-8" in (lines[2].error or "")
    assert len(lines[3].record) < 1000
    assert [r.error is None for r in geneval] == [True, False]
    assert table[0].value == {"caption": "a, b"}
    (received,) = found.ratings("2026-11-01")
    assert [(r.row, r.error) for r in received.rows] == [(1, None), (2, "not a JSON object")]


@pytest.mark.parametrize(
    ("settings", "files", "message"),
    [
        (prompts("nowhere.txt", "lines"), {}, "nowhere.txt.*prompts.0.path in studio.yaml"),
        (prompts("p.csv", "csv", column="text"), {"p.csv": "prompt\nx\n"}, "no column 'text'"),
        (prompts("p.tsv", "parti"), {"p.tsv": "prompt\nx\n"}, "no column 'Prompt'"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path, settings, files, message):
    with pytest.raises(FeedError, match=message):
        studio(tmp_path, settings, files).prompt_files()


@pytest.mark.parametrize("content", ["{", "[" * 100_000, '{"a": 1}', b"\xff"])
def test_a_broken_ranking_file_is_an_error_that_names_it(tmp_path, content):
    found = studio(tmp_path, ratings(("i.json", "imagereward")), {"i.json": content})
    with pytest.raises(FeedError, match=r"i\.json"):
        found.ratings("2026-11-01")


def test_images_lead_into_their_folder_and_never_out(tmp_path):
    files = {"pictures/a.png": b"pixels", "secret": b"secret"}
    found = studio(tmp_path, {"images": "pictures"}, files)
    (tmp_path / "pictures/link").symlink_to(tmp_path / "secret")
    assert found.image("a.png") == b"pixels"
    bad = ["../secret", str(tmp_path / "secret"), "link", "http://localhost/x", "none", "", "a\0"]
    for reference in bad:
        with pytest.raises(ImageUnavailable):
            found.image(reference)
    with pytest.raises(ImageUnavailable, match="no folder"):
        studio(tmp_path).image("a.png")


def test_images_in_cells_of_rating_files(tmp_path):
    names = ("one", "two")
    for name in names:
        cells = [{"jpg": {"bytes": f"\0{name}{i}".encode(), "path": "x"}} for i in range(30)]
        cells[3] = {"jpg": {"bytes": None, "path": "x"}}
        frame = pl.DataFrame([cell | {"other": b"\0" + bytes([i])} for i, cell in enumerate(cells)])
        frame.write_parquet(tmp_path / f"{name}.parquet", row_group_size=7)
    found = studio(tmp_path, {"ratings": [{"path": "*.parquet"}]})
    (_, received) = found.ratings("2026-11-01")
    assert received.rows[2].value == {
        "jpg": {"bytes": {"$bytes": "jpg.bytes:2"}, "path": "x"},
        "other": {"$bytes": "other:2"},
    }
    for i in (0, 29, 8, 7, 6):
        for name in names:
            assert found.image(f"bytes:jpg.bytes:{i}", f"{name}.parquet") == f"\0{name}{i}".encode()
            assert found.image(f"bytes:other:{i}", f"{name}.parquet") == b"\0" + bytes([i])
    fresh = studio(tmp_path, {"ratings": [{"path": "*.parquet"}]})
    assert fresh.image("bytes:other:1", "two.parquet") == b"\0\1"
    for cell in ("jpg.bytes:3", "jpg.bytes:30", "jpg.bytes:-1", "none:1", "jpg.bytes", ""):
        with pytest.raises(ImageUnavailable):
            found.image(f"bytes:{cell}", "one.parquet")
    with pytest.raises(ImageUnavailable, match="no such file"):
        found.image("bytes:other:1", "three.parquet")


def test_provenance_changes_with_the_file_and_only_of_its_day(tmp_path):
    files = {"2026-11-01.jsonl": "{}\n", "2026-11-02.jsonl": "{}\n", "p.txt": "x\n"}
    settings = ratings(("{day}.jsonl", "pairs")) | prompts("p.txt", "lines")
    found = studio(tmp_path, settings, files)
    first, second = found.provenance("2026-11-01"), found.provenance("2026-11-02")
    (tmp_path / "2026-11-02.jsonl").write_text("{} \n")
    assert found.provenance("2026-11-01") == first
    assert found.provenance("2026-11-02") != second
    assert first[0]["size"] == 3
    assert [entry["file"] for entry in found.provenance()] == ["p.txt"]
    assert found.provenance("2026-11-03") == []


def test_labelled_pictures(tmp_path):
    frame = pl.DataFrame({"image": [b"pixels"], "monk": [3]})
    frame.write_parquet(tmp_path / "people.parquet")
    settings = {"people": "people.parquet", "objects": "none.parquet"}
    found = studio(tmp_path, settings | {"captioned": "bad.parquet"}, {"bad.parquet": b"PAR1"})
    assert found.labelled("people").equals(frame)
    for kind, message in [("objects", "none.parquet: no such"), ("captioned", "bad.parquet")]:
        with pytest.raises(FeedError, match=message):
            found.labelled(kind)
    with pytest.raises(FeedError, match="names no people"):
        studio(tmp_path).labelled("people")


def test_a_studio_in_an_object_store(tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/studio-test/2026-11-05.jsonl", b'{"prompt":"x"}\n')
    memory.pipe_file("/studio-test/images/a.png", b"pixels")
    found = studio(
        tmp_path,
        ratings(("memory://studio-test/{day}.jsonl", "pairs"))
        | {"images": "memory://studio-test/images"},
    )
    assert found.days() == ["2026-11-05"]
    assert found.ratings("2026-11-05")[0].rows[0].value == {"prompt": "x"}
    assert found.image("a.png") == b"pixels"


def test_a_folder_of_a_reward_model_lies_beside_the_file(tmp_path):
    rewards = {"rewards": {"person": "models/face", "judge": "models/none"}}
    (tmp_path / "models" / "face").mkdir(parents=True)
    found = studio(tmp_path, rewards)
    assert found.reward_folder("person") == tmp_path / "models" / "face"
    assert found.reward_folder("preference") is None
    with pytest.raises(
        StudioConfigError, match=r"studio.yaml: rewards\.judge: .*none is no folder"
    ):
        found.reward_folder("judge")
    with pytest.raises(StudioConfigError, match=r"rewards\.taste"):
        studio(tmp_path, {"rewards": {"taste": "x"}}).config()
