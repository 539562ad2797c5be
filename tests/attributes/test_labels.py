import numpy as np
import polars as pl

from pinlanding_assets.attributes.extraction import MENTIONS_SCHEMA
from pinlanding_assets.attributes.labels import LABELS_SCHEMA, resolve_labels
from pinlanding_assets.attributes.vocabulary import build_vocabulary

VALUES = ["red", "blue", "green", "black", "white"]
ACCURACY = {"catalog": 0.6, "title": 0.95, "vlm": 0.85}


def tables(rows: list[tuple[str, str, str, str]], *, multi: bool = False):
    """mentions, aliases, keys of (product, source, key, value)."""
    mentions = pl.DataFrame(
        [(p, None, source, "test", key, value, None) for p, source, key, value in rows],
        schema=MENTIONS_SCHEMA,
        orient="row",
    )
    pairs = mentions.select("key", "value").unique().sort("key", "value")
    aliases = pairs.select(
        "key",
        pl.col("value").alias("raw_value"),
        (pl.col("key") + "=" + pl.col("value")).alias("entry_id"),
    )
    keys = pairs.group_by("key").len("values").sort("key").with_columns(multi=pl.lit(multi))
    return mentions, aliases, keys.with_columns(pl.col("values").cast(pl.Int64))


def noisy(count: int, seed: int) -> tuple[list[tuple[str, str, str, str]], list[str]]:
    rng = np.random.default_rng(seed)
    truth = [VALUES[i] for i in rng.integers(5, size=count)]
    rows = []
    for number, value in enumerate(truth):
        for source, accuracy in ACCURACY.items():
            wrong = VALUES[(VALUES.index(value) + rng.integers(1, 5)) % 5]
            said = value if rng.random() < accuracy else wrong
            rows.append((f"p{number:04}", source, "color", said))
    return rows, truth


def test_reliable_sources_outvote_an_unreliable_one() -> None:
    rows, truth = noisy(600, seed=1)
    labels = resolve_labels(*tables(rows))
    assert labels.schema == LABELS_SCHEMA
    assert labels["product_id"].to_list() == [f"p{n:04}" for n in range(600)]
    right = np.mean([a == b for a, b in zip(labels["value"], truth, strict=True)])
    alone = {
        source: np.mean([row[3] == truth[int(row[0][1:])] for row in rows if row[1] == source])
        for source in ACCURACY
    }
    assert right >= max(alone.values()) > 0.9  # first among unequals, found without the truth
    assert alone["catalog"] < 0.65  # whom the prior would have believed
    # the weight means what it says
    assert abs(labels["weight"].mean() - right) < 0.04


def test_alone_a_source_is_believed_as_far_as_its_prior() -> None:
    labels = resolve_labels(*tables([("a", "catalog", "k", "x"), ("b", "catalog", "k", "y")]))
    assert labels.select("product_id", "entry_id", "weight", "source").rows() == [
        ("a", "k=x", 0.95, "catalog"),
        ("b", "k=y", 0.95, "catalog"),
    ]


def test_agreement_raises_the_weight_and_conflict_lowers_it() -> None:
    rows = [(p, "catalog", "k", "x") for p in "abc"]
    rows += [("a", "title", "k", "x"), ("b", "title", "k", "y")]
    weight = dict(resolve_labels(*tables(rows)).select("product_id", "weight").rows())
    assert weight["a"] > 0.98 > weight["c"] > weight["b"]
    assert resolve_labels(*tables(rows)).height == 3


def test_a_multi_valued_key_keeps_all_values() -> None:
    rows = [("a", "catalog", "m", v) for v in ("oak", "brass", "glass")] + [
        ("a", "title", "m", "oak"),
        ("a", "vlm", "m", "tin"),
    ]
    labels = resolve_labels(*tables(rows, multi=True))
    assert labels["value"].to_list() == ["brass", "glass", "oak", "tin"]
    weight = dict(labels.select("value", "weight").rows())
    assert weight["oak"] > weight["brass"] > weight["tin"]


def test_dropped_values_label_nothing_and_aliases_are_followed() -> None:
    mentions, _, keys = tables([("a", "catalog", "k", "grey"), ("b", "catalog", "k", "zzz")])
    aliases = pl.DataFrame(
        {"key": ["k", "k"], "raw_value": ["grey", "zzz"], "entry_id": ["color=a=b", None]},
        schema_overrides={"entry_id": pl.String},
    )
    keys = keys.with_columns(key=pl.lit("color"))
    labels = resolve_labels(mentions, aliases, keys)
    assert labels.select("product_id", "entry_id", "key", "value").rows() == [
        ("a", "color=a=b", "color", "a=b")
    ]


def test_the_order_of_mentions_does_not_matter() -> None:
    mentions, aliases, keys = tables(noisy(200, seed=2)[0])
    once = resolve_labels(mentions, aliases, keys)
    again = resolve_labels(mentions.sample(fraction=1, shuffle=True, seed=3), aliases, keys)
    assert once.equals(again)


def test_it_fits_the_vocabulary() -> None:
    mentions, _, _ = tables(noisy(50, seed=3)[0])
    found = build_vocabulary(
        mentions, products=50, embed=lambda texts: np.eye(len(texts)), product_type=None
    )
    labels = resolve_labels(mentions, found.aliases, found.keys)
    assert set(labels["entry_id"]) <= set(found.entries["entry_id"])
    assert labels.select("product_id", "key").is_duplicated().sum() == 0
    empty = resolve_labels(mentions.head(0), found.aliases, found.keys)
    assert empty.schema == LABELS_SCHEMA
