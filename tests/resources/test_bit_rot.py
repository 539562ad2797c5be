"""No bit that changed on the disk is read as if nothing had happened."""

import hashlib
import json
import random
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from resources.checkpoints import Checkpoints
from resources.lake import ComputeCache, DamagedFile, Lake, MissingPartition
from resources.manifests import unsealed
from resources.site import SiteStore
from resources.vector_index import VectorIndex

DAY = "2026-11-01"


@pytest.fixture
def written(tmp_path) -> Path:
    """A lake with a table of a day, one without days, and a picture."""
    lake = Lake(root=str(tmp_path / "lake"))
    draw = np.random.default_rng(0)
    prices = {"id": [f"p{n}" for n in range(50)], "price": draw.random(50)}
    lake.commit("catalog", {"products": pl.DataFrame(prices)}, partition=DAY)
    lake.commit("model", {"t": pl.DataFrame({"x": [1]})}, versions={"checkpoint": "abc"})
    lake.put_image(hashlib.sha256(b"jpeg").hexdigest()[:32], b"jpeg")
    return tmp_path / "lake"


def everything(lake: Lake) -> tuple[object, ...]:
    """All that a lake can be asked for."""
    image = hashlib.sha256(b"jpeg").hexdigest()[:32]
    return (
        lake.read("catalog", "products", DAY).rows(),
        lake.scan("catalog", "products").collect().rows(),
        lake.manifest("catalog", DAY),
        lake.read("model", "t").rows(),
        lake.manifest("model"),
        lake.rows("catalog", "products", DAY),
        lake.image(image),
    )


def flip(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def test_no_flipped_bit_is_silent(written, tmp_path):
    """Each in a fresh copy: a table is looked at once a process. The doctor sees each as well."""
    expected = everything(Lake(root=str(written)))
    for seed in range(200):
        draw, copy = random.Random(seed), tmp_path / "copies" / str(seed) / "lake"
        shutil.copytree(written, copy)
        lake = Lake(root=str(copy))
        path = draw.choice(sorted(p for p in copy.rglob("*") if p.is_file()))
        flip(path, draw)
        with pytest.raises(DamagedFile, match=path.name):
            assert everything(lake) == expected, (seed, path)
        assert any(str(path) in line for line in lake.damage())


def broken(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes(
        {"half": data[: len(data) // 2], "empty": b"", "list": b"[]", "{}": b"{}"}[how]
    )


@pytest.mark.parametrize("how", ["half", "empty", "list", "{}"])
@pytest.mark.parametrize("file", ["products-*.parquet", "manifest.json"])
def test_an_error_names_the_file_and_what_to_materialize(written, file, how):
    (path,) = (written / "catalog").rglob(file)
    broken(path, how)
    lake = Lake(root=str(written))
    with pytest.raises(DamagedFile) as caught:
        lake.read("catalog", "products", DAY)
    assert str(path) in str(caught.value)
    assert f"materialize catalog of {DAY} again" in str(caught.value)
    lake.commit("catalog", {"products": pl.DataFrame({"x": [1]})}, partition=DAY)
    assert lake.read("catalog", "products", DAY)["x"].to_list() == [1]
    assert list(lake.damage()) == []


def test_a_table_that_is_gone_is_damage_and_not_a_missing_partition(written):
    (path,) = (written / "catalog").rglob("*.parquet")
    path.unlink()
    with pytest.raises(DamagedFile, match=r"products-\w+\.parquet is gone: materialize catalog of"):
        Lake(root=str(written)).read("catalog", "products", DAY)
    with pytest.raises(MissingPartition):
        Lake(root=str(written)).read("catalog", "products", "2026-11-02")


def test_a_table_of_the_wrong_size_in_a_bucket_is_found(bucket):
    lake = Lake(root=f"{bucket}/lake")
    lake.commit("cut", {"t": pl.DataFrame({"x": [1]})})
    (path,) = (e.path for e in lake._store.list("cut") if e.path.endswith(".parquet"))
    data, _ = lake._store.get(path)
    lake._store.put(path, data[:-1])
    with pytest.raises(
        DamagedFile, match=r"t-\w+\.parquet has \d+ bytes of \d+: materialize cut again"
    ):
        lake.read("cut", "t")
    lake._store.put(path, bytes(len(data)))
    assert ["other bytes" in line for line in lake.damage()] == [True]


def test_a_version_is_hashed_once_a_process(written, monkeypatch):
    lake, hashed = Lake(root=str(written)), []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *a: hashed.append(a[0].name) or digest(*a))
    for _ in range(5):
        lake.read("catalog", "products", DAY)
        Lake(root=str(written)).scan("catalog", "products").collect()
    assert len(hashed) == 1
    lake.commit("catalog", {"products": pl.DataFrame({"x": [1]})}, partition=DAY)
    lake.read("catalog", "products", DAY)
    assert len(hashed) == 2


def test_a_manifest_of_an_earlier_version_is_read(written):
    path = written / "model" / "manifest.json"
    body = unsealed(path.read_bytes())
    path.write_text(json.dumps(body))
    lake = Lake(root=str(written))
    known = lake.manifest("model")
    assert known is not None
    lake.commit("model", {"t": pl.DataFrame({"x": [2]})}, made_from=known)
    assert lake.read("model", "t")["x"].to_list() == [2]


def test_a_damaged_answer_of_the_cache_is_computed_again(tmp_path):
    cache = ComputeCache(root=str(tmp_path))
    for key in ("a", "b"):
        cache.put("model", pl.DataFrame({"key": [key], "raw": [key.upper()]}))
    found = sorted(path for path in tmp_path.rglob("*.parquet"))
    (tmp_path / "staging").mkdir(exist_ok=True)
    flip(found[0], random.Random(0))
    found[1].rename(found[1].with_name("0" * 32 + ".parquet"))  # as earlier versions named them
    assert cache.get("model", ["a", "b"]).height == 1


def test_a_checkpoint_that_was_damaged_is_mended_by_saving_it_again(tmp_path):
    store, draw = Checkpoints(root=str(tmp_path)), random.Random(0)

    def write(folder: Path) -> None:
        (folder / "weights").write_bytes(bytes(100))

    version = store.save("m", write, about={"bar": 0.5})
    for seed, name in enumerate(["weights", "manifest.json"] * 20):
        flip(tmp_path / "m" / version / name, draw)
        with pytest.raises(dg.Failure, match=rf"{name} is damaged.*materialize m again"):
            store.about("m", version)
        assert [name in line for line in store.damage()] == [True], seed
        assert store.save("m", write, about={"bar": 0.5}) == version
        assert store.about("m", version) == {"bar": 0.5}
    (tmp_path / "m" / version / "weights").unlink()
    with pytest.raises(dg.Failure, match="weights cannot be read"):
        store.path("m", version)


def test_a_site_that_was_damaged_is_mended_by_publishing_it_again(tmp_path):
    site = SiteStore(root=str(tmp_path))
    site.publish([("index.html", b"hats")])
    assert site.damage() == ""
    (tmp_path / "current" / "index.html").write_bytes(b"hate")
    assert "materialize published_collections again" in site.damage()
    site.publish([("index.html", b"hats")])
    assert (tmp_path / "current" / "index.html").read_bytes() == b"hats"
    assert site.damage() == ""
    (tmp_path / "history.json").write_bytes(b"{")
    with pytest.raises(ValueError, match=r"history\.json is damaged: remove it"):
        site.publish([("index.html", b"coats")])


def test_an_index_that_cannot_be_opened_is_named_and_built_again(tmp_path):
    index, data = VectorIndex(location=str(tmp_path)), np.eye(16, dtype=np.float32)
    ids = [f"p{at}" for at in range(16)]
    index.publish("v1", ids, data)
    (tmp_path / "products" / "v1" / "edge_config.json").write_bytes(b"{")
    with pytest.raises(
        OSError, match=r"products/v1 cannot be opened .*materialize vector_index again"
    ):
        index.search(data[:1], 1)
    index.publish("v1", ids, data)
    assert index.search(data[:1], 1)[0][0].product_id == "p0"
