import numpy as np
import polars as pl
import torch

from pinlanding_assets.encoder.features import Sides
from pinlanding_assets.encoder.targets import KeySpan, Told
from pinlanding_assets.encoder.trust import learn_targets, title_trust

ENTRIES = pl.DataFrame(
    {
        "entry_id": ["colour=blue", "colour=red", "use=client", "use=server"],
        "key": ["colour", "colour", "use", "use"],
        "phrase": ["blue", "red", "client", "server"],
    }
)
KEYS = pl.DataFrame({"key": ["colour", "use"], "multi": [False, True], "role": ["a", "a"]})


def world(n=120):
    """Every third item is described; titles say "client" of many, and are right of few."""
    rows = []
    for i in range(n):
        name = f"p{i:03}"
        rows.append((name, "catalog", "colour", "colour=red" if i % 2 else "colour=blue"))
        rows.append((name, "title", "colour", "colour=red" if i % 2 else "colour=blue"))
        if i % 4 == 0:
            rows.append((name, "title", "use", "use=client"))
        if i % 20 == 0:
            rows.append((name, "catalog", "use", "use=client"))
        if i % 20 == 7:
            rows.append((name, "catalog", "use", None))  # a value that the vocabulary lacks
    rows.append(("untold", "title", "use", "use=server"))
    names = [f"p{i:03}" for i in range(n)] + ["untold"]
    schema = dict.fromkeys(("product_id", "source", "key", "entry_id"), pl.String)
    return names, pl.DataFrame(rows, schema=schema, orient="row")


def test_titles_are_trusted_as_far_as_the_catalog_agrees_and_silence_counts():
    names, said = world()
    n = len(names)
    drawn = torch.from_numpy(np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32))
    sides = Sides(
        torch.zeros(n, 4), drawn, torch.zeros(n), torch.ones(n), np.zeros((n, 400)), ["x"] * n
    )
    labels = said.drop_nulls("entry_id").select("product_id", "entry_id").unique()
    learnt = learn_targets(
        names,
        labels.with_columns(weight=pl.lit(0.9)).sort("product_id", "entry_id"),
        said,
        ENTRIES,
        KEYS,
        sides,
        np.arange(n) % 5,
        np.arange(n),
    )
    trust = dict(learnt.title_trust.select("entry_id", "trust").iter_rows())
    assert trust["colour=red"] > 0.98
    assert trust["use=client"] < 0.5  # 30 titles, 6 of them right, the others' silence is told
    assert trust["use=server"] < 0.7  # said once: drawn to what its key's titles are worth
    targets = learnt.targets
    use = slice(2, 4)
    row = names.index("p007")  # states a use that is no entry: it denies the entries
    assert (targets.positive[row, use] == 0).all()
    assert (targets.weight[row, use] == 1).all()
    assert learnt.by_title[names.index("untold"), 1]
    assert not learnt.by_title[names.index("p000"), 1]
    assert not targets.weight[names.index("untold"), 0:2].any()  # nobody described it


def test_the_titles_of_one_group_are_one_witness():
    """Thirty flags of one artist say less than three drawings of three others."""
    n = 33
    titled = np.ones((n, 1), dtype=bool)
    true = np.arange(n)[:, None] < 30
    group = np.minimum(np.maximum(np.arange(n) - 29, 0), 3)
    spans = [KeySpan("use", 0, 1, True)]
    told = Told(true, np.ones((n, 1)), titled, group)
    found = title_trust(told, pl.Series("entry_id", ["use=flag"]), spans).row(0, named=True)
    assert found["said"] == 4
    assert found["trust"] < 0.65
    alone = Told(true, np.ones((n, 1)), titled, np.arange(n))
    assert title_trust(alone, pl.Series("entry_id", ["use=flag"]), spans)["trust"][0] > 0.9


def test_of_a_key_that_titles_alone_speak_of_they_tell_the_values_apart():
    """Where nothing is denied, everything is everything: each bag a backpack, each watch a bag."""
    n = 30
    names = [f"p{i:02}" for i in range(n)]
    said = pl.DataFrame(
        [
            (name, "title", "use", ("use=client", "use=server")[i % 2])
            for i, name in enumerate(names)
        ],
        schema=dict.fromkeys(("product_id", "source", "key", "entry_id"), pl.String),
        orient="row",
    )
    sides = Sides(
        *(torch.zeros(n, 4), torch.zeros(n, 4), torch.zeros(n), torch.ones(n)),
        *(np.zeros((n, 400)), ["x"] * n),
    )
    labels = said.select("product_id", "entry_id", weight=pl.lit(0.9))
    learnt = learn_targets(
        names, labels, said, ENTRIES, KEYS, sides, np.arange(n) % 5, np.arange(n)
    )
    use = slice(2, 4)
    assert (learnt.targets.positive[:, use].sum(axis=1) == 1).all()
    assert (learnt.targets.weight[:, use] > 0.5).all()
    assert not learnt.targets.stated.any()  # nobody but titles said so: nothing to be judged by
