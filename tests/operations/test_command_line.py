"""`python -m operations map` and `products`, and a demo of files, as a user runs them."""

import gzip
import json
import os

import pytest
import yaml
from typer.testing import CliRunner

from operations.__main__ import app
from operations.files import use_files
from resources.profiles import settings

FEED = """sku;name;preis;farbe
1;Rote Tasse;4,50 €;rot
2;Blaue Tasse;1.299,00 €;blau
3;Tasse;x1x;rot
4;Teller;9,90 €;rot
5;Topf;19,90 €;blau
6;Glas;3,00 €;rot
"""


def run(*arguments: str):
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False)


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "artikel.csv"
    path.write_text(FEED, encoding="utf-8")
    return path


def test_map_prints_a_draft_or_writes_it_once(feed, tmp_path):
    printed = run("map", str(feed))
    assert printed.exit_code == 0
    assert yaml.safe_load(printed.stdout)["columns"]["id"] == "sku"
    assert "Rote Tasse" in printed.stderr
    out = tmp_path / "new" / "catalog.yaml"
    assert run("map", str(feed), "--out", str(out)).exit_code == 0
    assert yaml.safe_load(out.read_text())["feeds"] == ["../artikel.csv"]
    out.write_text("mine")
    again = run("map", str(feed), "--out", str(out))
    assert "there already" in str(again.exception)
    assert out.read_text() == "mine"
    assert "no such file" in str(run("map", str(tmp_path / "none.csv")).exception)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("<!DOCTYPE html><html><body>Log in</body></html>", "is a web page"),
        (
            "1,Red shirt,19.90,https://i.example/1.jpg\n2,Hat,9.90,https://i.example/2.jpg\n",
            "names",
        ),
        ("sku,title\n", "no rows"),
    ],
)
def test_a_file_that_cannot_be_mapped_says_why_and_nothing_else(tmp_path, content, message):
    (tmp_path / "p.csv").write_text(content)
    said = str(run("map", str(tmp_path / "p.csv")).exception)
    assert message in said
    assert "What to do" not in said
    assert said.count("p.csv") <= 1


def test_products_of_a_feed_says_what_drafts_a_catalog(feed):
    assert "operations map" in str(run("products", str(feed)).exception)


def test_products_prints_products_and_rejects(feed, tmp_path):
    out = tmp_path / "catalog.yaml"
    run("map", str(feed), "--out", str(out))
    found = run("products", str(out))
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert lines[0] == {
        **{"day": "2026-11-01", "product_id": "1", "operation": "upsert", "title": "Rote Tasse"},
        **{"parent": None, "description": "", "price": 4.5, "currency": "EUR", "seller": None},
        **{"availability": "unknown", "url": None, "images": [], "attributes": {"farbe": ["rot"]}},
    }
    assert [line["price"] for line in lines] == [4.5, 1299.0, 9.9, 19.9, 3.0]
    assert "artikel.csv row 3 (3): price: not a number: x1x" in found.stderr
    wrong = str(run("products", str(out), "--day", "2026-12-24").exception)
    assert "no feed for 2026-12-24" in wrong
    assert "What to do" not in wrong
    assert "cannot be read" in str(run("products", str(tmp_path / "none.yaml")).exception)


def test_products_says_which_checks_would_stop_a_day(tmp_path):
    for day, ids in (("01", ("101", "102")), ("02", ("00101", "00102"))):
        rows = "".join(f"{one},A\n" for one in ids)
        (tmp_path / f"2026-11-{day}.csv").write_text(f"sku,name\n{rows}")
    catalog = {"feeds": ["{day}.csv"], "columns": {"id": "sku", "title": "name"}}
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    told = run("products", str(tmp_path / "catalog.yaml")).stderr
    assert "2026-11-02: check ids would stop this day" in told
    assert "2026-11-01: check" not in told


def test_a_draft_without_ids_is_not_written(tmp_path):
    (tmp_path / "p.csv").write_text("name,color\nCup,red\nCup,blue\nCup,red\n")
    found = run("map", str(tmp_path / "p.csv"), "--out", str(tmp_path / "catalog.yaml"))
    assert found.exit_code
    assert not (tmp_path / "catalog.yaml").exists()


def test_products_of_full_exports_are_deleted_when_they_are_gone(tmp_path):
    for day, rows in (("01", "1,A\n2,B\n"), ("02", "1,A\n")):
        (tmp_path / f"2026-11-{day}.csv").write_text(f"sku,name\n{rows}")
    catalog = {
        "feeds": ["{day}.csv"],
        "columns": {"id": "sku", "title": "name"},
        "snapshot": "full",
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    lines = run("products", str(tmp_path / "catalog.yaml"), "--day", "2026-11-02").stdout
    told = [json.loads(line) for line in lines.splitlines()]
    assert [(line["product_id"], line["operation"]) for line in told] == [
        *(("1", "upsert"), ("2", "delete"))
    ]


def test_a_demo_of_a_file_drafts_its_catalog_once(feed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PLATFORM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PLATFORM_CATALOG", "")
    use_files(str(feed))
    drafted = tmp_path / "data" / "artikel.yaml"
    assert yaml.safe_load(drafted.read_text())["columns"]["title"] == "name"
    assert "Rote Tasse" in capsys.readouterr().out
    drafted.write_text(drafted.read_text() + "# mine\n")
    monkeypatch.setenv("PLATFORM_CATALOG", "")
    use_files(str(feed))
    assert drafted.read_text().endswith("# mine\n")
    assert "yours to change" in capsys.readouterr().out
    other = tmp_path / "other" / feed.name  # another shop's file of the same name
    other.parent.mkdir()
    other.write_text(feed.read_text(encoding="utf-8").replace("Rote Tasse", "Blaue Kanne"))
    monkeypatch.setenv("PLATFORM_CATALOG", "")
    use_files(str(other))
    assert "Blaue Kanne" in capsys.readouterr().out
    assert os.environ["PLATFORM_CATALOG"] != str(drafted)
    assert len(list(drafted.parent.glob("artikel*.yaml"))) == 2
    for name in ("list [1].csv", "list [1].csv"):
        (tmp_path / name).write_text(FEED, encoding="utf-8")
        monkeypatch.setenv("PLATFORM_CATALOG", "")
        use_files(str(tmp_path / name))
    assert len(list(drafted.parent.glob("list-1*.yaml"))) == 1
    for name in ("list-20261101.csv", "list-20261101.csv", "list-20261101.csv.gz"):  # a day: a feed
        dated = tmp_path / name
        packed = gzip.compress(FEED.encode()) if name.endswith(".gz") else FEED.encode()
        dated.write_bytes(packed)
        monkeypatch.setenv("PLATFORM_CATALOG", "")
        use_files(str(dated))
    assert len(list(drafted.parent.glob("list-20261101*.yaml"))) == 2  # the packed one is another
    monkeypatch.setenv("PLATFORM_CATALOG", "")
    with pytest.raises(SystemExit, match="no such file"):
        use_files(str(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize("arguments", [["mop"], ["products"], ["plan", "extra"]])
def test_what_there_is_not_is_refused(arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("rl", "--objective", "beauty"),
        ("rl", "--seed", "-1"),
        ("pinlanding", "--world", "one"),
        ("dev", "--port", "99999"),
        ("rate", "--pairs", "0"),
        ("prune", "--days", "soon"),
        ("plan", "--products", "many"),
        ("plan", "--gpu", "tpu"),
        ("plan", "--gpus", "1e99"),
    ],
)
def test_a_wrong_option_is_named_before_any_work(command):
    found = CliRunner().invoke(app, list(command))
    assert found.exit_code == 2
    assert f"'{command[1]}'" in found.stderr


def test_every_option_says_what_it_is():
    for command in ("demo", "pinlanding", "rl", "dev", "rate", "rate-collections", "prune", "plan"):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
        options = [line for line in shown.splitlines() if "--" in line and "--help" not in line]
        assert options, command
        for line in options:
            assert len(line.split("--", 1)[1].strip("│ ").split()) > 2, line


def test_without_a_catalog_that_of_the_settings_is_used(tmp_path, monkeypatch):
    (tmp_path / "platform.yaml").write_text("catalog: shop.yaml\n")
    (tmp_path / "shop.yaml").write_text("name: shop\nfeeds: [a.csv]\ncolumns: {id: sku}\n")
    (tmp_path / "other.yaml").write_text("name: other\nfeeds: [a.csv]\ncolumns: {id: sku}\n")
    monkeypatch.setenv("PLATFORM_SETTINGS", str(tmp_path / "platform.yaml"))
    monkeypatch.setenv("PLATFORM_CATALOG", "")  # is taken back at the end
    monkeypatch.delenv("PLATFORM_CATALOG")
    use_files("")
    assert settings().name == "shop"
    use_files(str(tmp_path / "other.yaml"))
    assert settings().name == "other"
