"""Candidate topics: frequent combinations of attributes, mined level by level, out of core.

DuckDB counts and joins within a limit of memory. Combinations of one to four entries, at most one a
key (two of a multi-valued one: "flags" of "europe"), the product type among them where nearly all
products have one (PinLanding section 4, steps 1 and 2; Apriori growth on product lists).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl

from pinlanding_assets.attributes.vocabulary import EXISTING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SKETCH = 64  # smallest product hashes kept a topic, to compare product sets
_OF_ONE_KEY = 2  # values of a multi-valued key in one topic, at most
_TYPED = 0.95  # of the products have a type: below it, topics without one reach the others
_GROWN = 200_000  # combinations of a level that are looked at, the most expected products first
_MAX_P = 0.999  # no single source is surer than this, so that two that agree are surer
CANDIDATES_SCHEMA = {
    "entries": pl.List(pl.String),
    "support": pl.Int64,
    "lift": pl.Float64,
    "expected": pl.Float64,
    "precision": pl.Float64,
    "demand": pl.Float64,
    "focus": pl.Float64,
    "sketch": pl.List(pl.UInt64),
}
_EVIDENCE = {
    "product_id": pl.String,
    "entry_id": pl.String,
    "key": pl.String,
    "p": pl.Float64,
    "sources": pl.Int64,
}
_MEMBERS = {"product_id": pl.String, "cluster_id": pl.Int64}
_KIN = {"product_id": pl.String, "family": pl.Int64}
_GROWS = {"parent": pl.Int32, "entry": pl.Int32}
_LEVEL = {
    "numbers": pl.List(pl.Int32),
    "support": pl.Int64,
    "lift": pl.Float64,
    "expected": pl.Float64,
}


@dataclass(frozen=True)
class Mining:
    """Bounds of the search for topics.

    Attributes:
        max_entries: Most entries a topic has.
        min_support: Fewest products a topic has; None: `support_floor` of the catalog's size.
        min_lift: Products of a combination over those expected by chance; below it, by more
            than two standard errors of the count, the combination is an accident.
        max_overlap: A combination with this share of its parent's products says nothing new.
        limit: Most topics kept, the best first.
        beam: Most combinations that grow on to the next level.
        memory: DuckDB's memory limit.
        spill: Folder for what does not fit; None: the machine's for temporary files.
    """

    max_entries: int = 4
    min_support: int | None = None
    min_lift: float = 1.0
    max_overlap: float = 0.8
    limit: int = 5_000
    beam: int = 20_000
    memory: str = "2GB"
    spill: str | None = None


def support_floor(products: int) -> int:
    """Fewest products of a topic: 3 of 40, 7 of 650, from 2,000 on 10, which fill the first places
    of a page, and from 50,000 on 1 in 5,000."""
    return max(3, min(10, round(products**0.3)), products // 5_000)


def combine_sources(assignments: pl.DataFrame) -> pl.DataFrame:
    """One row a product and entry: product_id, entry_id, key, p, sources.

    Sources that agree are independent evidence: p = 1 - prod(1 - p of each source), each at most
    0.999.
    """
    if assignments.is_empty():
        return pl.DataFrame(schema=_EVIDENCE)
    by_source = assignments.pivot(
        "source", index=["product_id", "entry_id", "key"], values="p", aggregate_function="max"
    )
    sources = sorted(set(by_source.columns) - {"product_id", "entry_id", "key"})
    doubt = [1.0 - pl.col(source).clip(0.0, _MAX_P).fill_null(0.0) for source in sources]
    agreeing = [pl.col(source).is_not_null().cast(pl.Int64) for source in sources]
    return by_source.select(
        "product_id",
        "entry_id",
        "key",
        p=1.0 - math.prod(doubt, start=pl.lit(1.0)),
        sources=pl.sum_horizontal(agreeing),
    )


def mine(
    assignments: Iterable[pl.DataFrame],
    keys: pl.DataFrame,
    demand: pl.DataFrame,
    *,
    products: int,
    families: pl.DataFrame | None = None,
    members: pl.DataFrame | None = None,
    mining: Mining | None = None,
) -> pl.DataFrame:
    """Candidate topics, best first.

    Args:
        assignments: `product_attributes.assignments` of the products that can be bought, in parts
            that split no product (`assignment_parts`): only one is in memory at a time.
        keys: `attribute_vocabulary.keys`.
        demand: `demand.queries`; empty without a search log.
        products: Number of these products (what support and lift refer to); of the variants of
            one parent, one counts.
        families: product_id and family of the products (`live.with_family`); None: no variants.
        members: `product_clusters.members`; gives `focus`.
        mining: Bounds of the search.

    Returns:
        entries (product type first), support, lift (against independence), expected (number of
        right products: sum of the product of p, of a family the best), precision (expected /
        support), demand (searches that name exactly these entries), focus (probability that two of
        its products share a cluster), sketch (smallest product hashes).
    """
    mining = mining or Mining()
    floor = mining.min_support or support_floor(products)
    several = keys.filter(pl.col("multi"))["key"].to_list() if "multi" in keys.columns else []
    alone = keys.filter(role=EXISTING)["key"].to_list()
    type_keys = keys.filter(pl.col("role") == "product_type")["key"].to_list()
    with _connection(mining) as db:
        key_of = _load(db, assignments, families, members)
        product_type = next((key for key in type_keys if key in key_of.values()), None)
        names = _frequent(db, key_of, product_type, several, alone, floor)
        if names.is_empty():
            return pl.DataFrame(schema=CANDIDATES_SCHEMA)
        typed = product_type is not None and _typed_share(db, products) >= _TYPED
        found = pl.concat(_levels(db, names, products, floor, typed, mining))
    ranked = _with_demand(found, names, demand)
    # Surely right, wanted, and many of them: what a topic is worth.
    worth = pl.col("precision") * (
        pl.col("expected").log1p() + pl.col("demand").log1p() + 0.5 * pl.col("prior")
    )
    return (
        ranked.with_columns(worth=worth.round(9))
        .sort(["worth", "wanted"], descending=[True, False])
        .head(mining.limit)
        .select(*CANDIDATES_SCHEMA)
    )


def candidates_of(
    assignments: Callable[[], Iterable[pl.DataFrame]],
    keys: pl.DataFrame,
    demand: pl.DataFrame,
    added: Sequence[Sequence[str]],
    **given: Any,
) -> pl.DataFrame:
    """What is mined, best first, and behind it what somebody has named and mining passed over.

    Args:
        assignments: Gives the parts of `mine`, each time anew.
        keys, demand: See `mine`.
        added: The entries of each topic that was named.
        given: The other arguments of `mine`.
    """
    mined = mine(assignments(), keys, demand, **given)
    there = {frozenset(entries) for entries in mined["entries"].to_list()}
    missing = [entries for entries in added if frozenset(entries) not in there]
    if not missing:
        return mined
    return pl.concat([mined, measure(missing, assignments(), demand, **given)])


def measure(
    topics: Sequence[Sequence[str]],
    assignments: Iterable[pl.DataFrame],
    demand: pl.DataFrame,
    *,
    products: int,
    families: pl.DataFrame | None = None,
    members: pl.DataFrame | None = None,
    mining: Mining | None = None,
) -> pl.DataFrame:
    """Candidates as `mine` gives them, of topics that somebody has named instead of mined.

    Args:
        topics: The entries of each; one that no product carries has a support of 0.
        assignments, demand, products, families, members, mining: See `mine`.
    """
    with _connection(mining or Mining()) as db:
        key_of = _load(db, assignments, families, members)
        number = {entry: at for at, entry in enumerate(key_of)}
        names = list(dict.fromkeys([*key_of, *(entry for topic in topics for entry in topic)]))
        place = {entry: at for at, entry in enumerate(names)}
        alone = "select number, count(distinct family) from evidence join product using (product)"
        single = dict(db.execute(f"{alone} group by 1").fetchall())
        db.execute("create table held (product int, set_id int, log_p double)")
        rows = []
        for at, topic in enumerate(topics):
            known = [number[entry] for entry in topic if entry in number]
            if len(known) == len(topic):
                db.execute(
                    """
                    insert into held select product, ?, sum(log_p::double) from evidence
                    where number in (select unnest(?::int[])) group by product having count(*) = ?
                    """,
                    [at, known, len(topic)],
                )
            support, expected = db.execute(
                """
                select count(*), coalesce(sum(likely), 0)::double / 1e9 from (
                    select max((exp(log_p) * 1e9)::bigint) as likely
                    from held join product using (product) where set_id = ? group by family
                )
                """,
                [at],
            ).fetchall()[0]
            chance = products * math.prod(single.get(n, 0) / max(1, products) for n in known)
            lift = support / chance if support else 0.0
            rows.append(([place[entry] for entry in topic], support, lift, expected))
        found = pl.DataFrame(rows, schema=_LEVEL, orient="row").with_columns(
            _product_sets(db, len(topics))
        )
    told = _with_demand(found, pl.DataFrame({"entry_id": names}), demand)
    precise = pl.col("precision").fill_nan(0.0)
    return told.with_columns(precise, pl.col("sketch").fill_null([])).select(*CANDIDATES_SCHEMA)


@contextmanager
def _connection(mining: Mining) -> Iterator["DuckDBPyConnection"]:
    import duckdb

    with TemporaryDirectory(dir=mining.spill) as folder:
        config = {"memory_limit": mining.memory, "temp_directory": folder}
        with duckdb.connect(":memory:", config=config) as db:  # type: ignore[arg-type]
            yield db


def _load(
    db: "DuckDBPyConnection",
    assignments: Iterable[pl.DataFrame],
    families: pl.DataFrame | None,
    members: pl.DataFrame | None,
) -> dict[str, str]:
    """Tables `product` and `evidence` (a row a product and entry), with small integers for ids.

    Returns:
        Entries and their keys, in the order of their numbers in `evidence`.
    """
    db.execute("create table listed (product int, product_id text)")
    db.execute("create table evidence (product int, number int, log_p float)")
    key_of: dict[str, str] = {}
    count = 0
    for part in assignments:
        rows = combine_sources(part).filter(pl.col("p") > 0)
        key_of |= dict(rows.select("entry_id", "key").unique().sort("entry_id").iter_rows())
        numbers = pl.DataFrame({"entry_id": list(key_of)}, schema={"entry_id": pl.String})
        ids = rows.select("product_id").unique().with_row_index("product", offset=count)
        count += ids.height
        numbered = rows.join(ids, on="product_id").join(
            numbers.with_row_index("number"), on="entry_id"
        )
        db.register("ids", ids.to_arrow())
        db.register("rows", numbered.select("product", "number", pl.col("p").log()).to_arrow())
        db.execute("insert into listed from ids")
        db.execute("insert into evidence from rows")
    clusters = members if members is not None else pl.DataFrame(schema=_MEMBERS)
    kin = families if families is not None else pl.DataFrame(schema=_KIN)
    db.register("clusters", clusters.select(*_MEMBERS).to_arrow())
    db.register("kin", kin.select(*_KIN).to_arrow())
    db.execute("""
        create table product as
        select product, coalesce(family, product) as family,
               md5_number_lower(product_id) as hash, cluster_id
        from listed left join clusters using (product_id) left join kin using (product_id)
    """)
    db.execute("drop table listed")
    return key_of


def _frequent(
    db: "DuckDBPyConnection",
    key_of: dict[str, str],
    product_type: str | None,
    several: list[str],
    alone: list[str],
    floor: int,
) -> pl.DataFrame:
    """Table `item`: `evidence` of the frequent entries alone, numbered anew, with the family of
    each product; returns their names.

    Entries are numbered by key, so that growing a combination by entries of later keys, or by later
    entries of a multi-valued key, only meets every combination once. The product type is key
    number 0. The collections that people made (`alone`) come last; they are topics by themselves.
    """
    counted = db.sql(
        "select number::int as number, count(distinct family) as support "
        "from evidence join product using (product) group by 1"
        if _has_variants(db)
        else "select number::int as number, count(*) as support from evidence group by 1"
    ).pl()
    entries = pl.DataFrame({"entry_id": key_of.keys(), "key": key_of.values()})
    names = (
        entries.with_row_index("number")
        .join(counted.cast({"number": pl.UInt32}), on="number")
        .filter(pl.col("support") >= floor)
        .with_columns(
            later=pl.col("key") != pl.lit(product_type or ""), alone=pl.col("key").is_in(alone)
        )
        .sort("later", "alone", "key", "entry_id")
        .with_columns(
            entry=pl.int_range(pl.len(), dtype=pl.Int32),
            key_no=pl.col("key").rle_id() + pl.col("later").all(),
            several=pl.col("key").is_in(several),
        )
    )
    db.register("names", names.to_arrow())
    db.execute("""
        create table item as
        select e.product, p.family, n.entry, n.key_no::int as key_no, n.several, n.alone, e.log_p
        from evidence e join names n using (number) join product p using (product)
    """)
    db.execute("drop table evidence")
    return names


def _has_variants(db: "DuckDBPyConnection") -> bool:
    """Whether counting products and counting families differ; the former is cheaper."""
    found = db.execute("select count(distinct family) < count(*) from product").fetchall()
    return found[0][0]


def _typed_share(db: "DuckDBPyConnection", products: int) -> float:
    """Share of the products that carry a frequent product type."""
    row = db.execute("select count(distinct family) from item where key_no = 0").fetchone()
    return row[0] / max(1, products) if row else 0.0


def _levels(
    db: "DuckDBPyConnection",
    names: pl.DataFrame,
    products: int,
    floor: int,
    typed: bool,
    mining: Mining,
) -> Iterator[pl.DataFrame]:
    """Surviving combinations of one entry, of two, and so on, as entry numbers."""
    variants = _has_variants(db)
    single, key_no_of = names["support"].to_list(), names["key_no"].to_list()
    support_of: dict[tuple[int, ...], int] = {}
    sets: list[tuple[int, ...]] = [()]
    # `held`: which product carries which surviving combination, and how surely.
    # `of_key`: how many entries of its last key it has.
    db.execute("""
        create table held as
        select product, 0 as set_id, -1 as key_no, -1 as entry, 0 as of_key, 0::float as log_p
        from (select distinct product from item)
    """)
    for size in range(1, mining.max_entries + 1):
        later = "i.key_no > h.key_no"
        if size == 1 and typed:
            later = "(i.key_no = 0 or i.alone)"
        elif names["several"].any():
            room = f"i.several and i.entry > h.entry and h.of_key < {_OF_ONE_KEY}"
            later = f"({later} or (i.key_no = h.key_no and {room}))"
        if size > 1:
            later += " and not i.alone"
        joined = f"held h join item i on h.product = i.product and {later}"
        each = f"select h.set_id, i.entry, h.log_p::double + i.log_p as log_p from {joined}"
        if variants:  # of a family, the variant that is surest counts
            each = f"""
                select h.set_id, i.entry, max(h.log_p::double + i.log_p) as log_p
                from {joined} group by h.set_id, i.entry, i.family
            """
        # Sums of whole billionths: exact, so the same whatever order the threads add in.
        grown = db.execute(f"""
            select set_id, entry, count(*) as support,
                   sum((exp(log_p) * 1e9)::bigint)::double / 1e9 as expected
            from ({each})
            group by all having count(*) >= {floor:d} order by expected desc, 1, 2 limit {_GROWN}
        """).fetchall()
        for set_id, entry, support, _ in grown:
            support_of[(*sets[set_id], entry)] = support
        kept = []
        for set_id, entry, support, expected in grown:
            combination = (*sets[set_id], entry)
            chance = products * math.prod(single[e] / products for e in combination)
            accident = support + 2 * math.sqrt(support) < mining.min_lift * chance
            parents = combinations(combination, size - 1) if size > 1 else [()]
            widest = min(support_of.get(parent, products) for parent in parents)
            alone = size == 1 and key_no_of[entry] == 0  # a type is a topic, if all are of it
            same = not alone and support >= mining.max_overlap * widest
            if not accident and not same:
                kept.append((set_id, entry, combination, support, support / chance, expected))
        kept = sorted(kept, key=lambda k: (-k[-1], k[2]))[: mining.beam]
        sets = [combination for _, _, combination, *_ in kept]
        grows = pl.DataFrame([k[:2] for k in kept], schema=_GROWS, orient="row")
        db.register("grows", grows.with_row_index("set_id").to_arrow())
        db.execute("""
            create or replace table held as
            select h.product, g.set_id, i.key_no, i.entry,
                   if(i.key_no = h.key_no, h.of_key, 0) + 1 as of_key, h.log_p + i.log_p as log_p
            from held h join grows g on g.parent = h.set_id
                 join item i on i.product = h.product and i.entry = g.entry
        """)
        yield pl.DataFrame(
            [(list(k[2]), *k[3:]) for k in kept], schema=_LEVEL, orient="row"
        ).with_columns(_product_sets(db, len(kept)))
        if not kept:
            return


def _product_sets(db: "DuckDBPyConnection", sets: int) -> pl.DataFrame:
    """Sketch and focus of every combination in `held`, by its number."""
    sketches = db.sql(f"""
        select h.set_id::int as set_id, min(p.hash, {SKETCH}) as sketch
        from held h join product p using (product) group by 1
    """).pl()
    focus = db.sql("""
        select set_id::int as set_id, sum(n * (n - 1)) / (sum(n) * (sum(n) - 1)) as focus
        from (
            select h.set_id, p.cluster_id, count(*) as n
            from held h join product p using (product) where p.cluster_id is not null group by all
        )
        group by 1 having sum(n) > 1
    """).pl()
    return (
        pl.DataFrame({"set_id": range(sets)}, schema={"set_id": pl.Int32})
        .join(sketches.cast({"set_id": pl.Int32}), on="set_id", how="left")
        .join(focus.cast({"set_id": pl.Int32}), on="set_id", how="left")
        .sort("set_id")
        .select(
            pl.col("sketch").cast(pl.List(pl.UInt64)), pl.col("focus").cast(pl.Float64).round(9)
        )
    )


def _with_demand(found: pl.DataFrame, names: pl.DataFrame, demand: pl.DataFrame) -> pl.DataFrame:
    """Adds the entries' names, precision, demand, and the demand for each entry on its own."""
    asked = (
        demand.filter(pl.col("entries").list.len() > 0)
        .select("entries", count=(pl.col("count") * pl.col("parsed")).round().cast(pl.Int64))
        .with_columns(wanted=pl.col("entries").list.sort().list.join("\n"))
    )
    exact = asked.group_by("wanted").agg(demand=pl.col("count").sum().cast(pl.Float64))
    single = asked.explode("entries").group_by("entries").agg(pl.col("count").sum().log1p())
    # Searches for its entries: the prior of a combination that nobody has typed yet.
    prior: dict[str, float] = dict(single.iter_rows())
    entry_ids = names["entry_id"].to_list()
    sets = [[entry_ids[number] for number in numbers] for numbers in found["numbers"].to_list()]
    return (
        found.with_columns(
            pl.Series("entries", sets, dtype=pl.List(pl.String)),
            pl.Series("wanted", ["\n".join(sorted(s)) for s in sets], dtype=pl.String),
            pl.Series(
                "prior", [sum(prior.get(e, 0.0) for e in s) / len(s) for s in sets], pl.Float64
            ),
            precision=pl.col("expected") / pl.col("support"),
        )
        .join(exact, on="wanted", how="left", maintain_order="left")
        .with_columns(pl.col("demand").fill_null(0.0))
    )
