"""What must hold of a day's feed and of the products that it became, and what to do where not."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import polars as pl

from resources.quality import ROW_COUNT, SCHEMA, Check, Finding, Limits, at_most

if TYPE_CHECKING:
    from pinlanding_assets.catalog.feed import ParsedFeed

REJECTS = "`rejects` in the day's metadata counts them by field and reason"
CHECKS: Mapping[str, Sequence[Check]] = {
    "raw_catalog": [
        ROW_COUNT,
        SCHEMA,
        Check(
            "feed_there",
            "Every day of the run has a feed that can be read.",
            "have the file sent again, or say `missing_day: empty` in catalog.yaml where days "
            "without a feed are usual; then materialize the day again. Until then it is empty.",
            goes_on=True,
        ),
        Check(
            "mapped_fields",
            "Mapped fields that most records of the day before had are still there.",
            "the shop renamed or dropped a field. Name both in `columns:` or `attributes:` of "
            "catalog.yaml (`title: [name, product_name]`), or say `until:`; then materialize the "
            "day again.",
            stops=True,
        ),
        Check(
            "fields",
            "Fields that most records of the day before had are still there.",
            "the shop renamed or dropped a column that is not mapped: nothing is lost, but look "
            "whether the file is whole.",
        ),
        Check(
            "broken_rows",
            "Few rows cannot be read at all.",
            "open the feed named in `feeds` at the rows that `unreadable` names, with why; get it "
            "sent again and materialize the day again.",
        ),
    ],
    "catalog": [
        ROW_COUNT,
        SCHEMA,
        Check(
            "taken_over",
            "Some row of the day became a product.",
            "mend `columns:` in catalog.yaml: `python -m operations products catalog.yaml` shows "
            "what it makes of the feed, and `python -m operations map FILE` drafts another.",
            stops=True,
        ),
        Check(
            "whole_export",
            "A full export has about as many products as the catalog had before it.",
            "look whether the file is whole. If so many products are gone, raise `shrinks` under "
            "`limits:` of catalog.yaml for this day; else get it sent again. The day was not kept.",
            stops=True,
        ),
        Check(
            "ids",
            "The ids of a day are spelled as before.",
            "the shop writes its ids in another way (101 as 101.0, 007 as 7): ask for the feed in "
            "the old form, else every product is live twice.",
            stops=True,
        ),
        Check(
            "replaced_rows",
            "Few rows of a day replace others of the same product.",
            "look at the feed: are they variants, photos or languages of one product? Then say "
            "`rows: joined`, `parent:` or `only:` in catalog.yaml. If they are changes, of which "
            "the last counts, say `rows: last`.",
            stops=True,
        ),
        Check(
            "reject_rate",
            "Few rows of a day are refused.",
            f"{REJECTS}: mend the feed, or `columns:` in catalog.yaml; then materialize the day "
            "again.",
        ),
        Check(
            "sold",
            "The words for availability are known.",
            "say under `words: availability:` of catalog.yaml what they mean; until then these "
            "products are not sold. Then materialize the day again.",
            stops=True,
        ),
        Check(
            "words",
            "Every word for availability is known.",
            "say under `words: availability:` of catalog.yaml what it means; until then these "
            "products are not sold.",
        ),
        Check(
            "images",
            "Few images are refused.",
            f"{REJECTS}. `images_from:` in catalog.yaml says where paths begin.",
        ),
        Check(
            "field_profile",
            "Fields are filled, and their values are of a kind and as different, as on the days "
            "before.",
            "open `profile` in the day's metadata: a column may have been renamed, moved, or "
            "filled in another way.",
        ),
        Check(
            "changes",
            "A feed of changes does not repeat what was known.",
            "if every day's file is the whole catalog, say `snapshot: full` in catalog.yaml: what "
            "is missing in it is then gone. If it is not, say `snapshot: changes`.",
        ),
    ],
}
PROFILE = {
    **{"field": pl.String, "filled": pl.Float64, "distinct": pl.Float64},
    **{"numeric": pl.Float64, "rows": pl.Int64},
}
_PROFILED_ROWS = 20  # a day of fewer says nothing about shares
_PROFILED_KEYS = 40  # keys of attributes, the commonest
_PART_ROWS = 100_000  # whose attributes are looked at together
_NUMBER = r"^-?[0-9]+([.,][0-9]+)?$"
_KEYS: Any = {
    **{"field": pl.String, "count": pl.UInt32},
    **{"distinct": pl.Float64, "numeric": pl.Float64},
}
_SHARES = (
    pl.len().alias("count"),
    (pl.col("value").n_unique() / pl.len()).alias("distinct"),
    pl.col("value").str.contains(_NUMBER).mean().alias("numeric"),
)
_CONTENT = (
    *("title", "description", "price", "currency", "seller", "availability", "url"),
    *("attributes", "images"),
)


class Received:
    """What is seen of a day's records while they pass.

    Attributes:
        rows, broken: All records, and those that cannot be read.
        fields: Field -> share of the first records that have it.
        unreadable: The first that cannot be read, with why.
    """

    def __init__(self) -> None:
        self.rows = self.broken = 0
        self.fields: Counter[str] = Counter()
        self.unreadable: list[dict[str, object]] = []

    def watch(self, blocks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The blocks, each seen."""
        for block in blocks:
            bad = block.filter(pl.col("error").is_not_null())
            if not self.fields:
                self.fields = field_shares(block)
            self.unreadable += bad.select("file", "row", "error").head(20).to_dicts()
            self.rows, self.broken = self.rows + block.height, self.broken + bad.height
            yield block


def raw_day(
    received: Received,
    before: Mapping[str, float] | None,
    limits: Limits,
    mapped: Sequence[str] = (),
    missing: str = "",
) -> dict[str, Finding]:
    """Findings of a day of raw_catalog.

    Args:
        received: Of the day.
        before: `field_shares` of the day before.
        limits: From where on data counts as bad.
        mapped: Columns that catalog.yaml maps on this day, whichever may stand for another.
        missing: Why the day has no feed.
    """
    broken = received.broken / max(1, received.rows)
    gone = []
    if before is not None and received.rows:
        now = received.fields
        gone = [name for name, share in before.items() if share > 0.5 > 0 == now[name]]
    lost = [name for name in gone if name in mapped]
    return {
        "feed_there": Finding(failure=missing),
        "mapped_fields": Finding(
            len(lost), f"mapped fields that are gone: {', '.join(lost)}" if lost else ""
        ),
        "fields": Finding(len(gone), f"fields that are gone: {', '.join(gone)}" if gone else ""),
        "broken_rows": at_most(broken, limits.reject_rate, "share of unreadable rows"),
    }


def field_shares(records: pl.DataFrame, first: int = 1_000) -> Counter[str]:
    """Field -> share of the first records that have it; `records`: record, error."""
    shares: Counter[str] = Counter()
    rows = records.filter(pl.col("error").is_null()).head(first)["record"]
    for row in rows:
        for name in json.loads(row):
            shares[name] += 1 / len(rows)  # type: ignore[assignment]
    return shares


def catalog_day(
    received: int,
    parsed: "ParsedFeed",
    rejects: pl.DataFrame,
    known: pl.Series,
    limits: Limits,
    *,
    rows_said: bool = True,
    repeated: float | None = None,
    profiles: Sequence[pl.DataFrame] = (),
) -> dict[str, Finding]:
    """Findings of a day of catalog.

    Args:
        received: Its records.
        parsed: What they became.
        rejects: Of the day, those of images among them.
        known: Ids of the catalog before the day.
        limits: From where on data counts as bad.
        rows_said: Whether catalog.yaml says what several rows of a product are.
        repeated: Share of products that are as on the day before; None where it does not matter.
        profiles: Of the days before, and last of this day (`profile`).
    """
    refused = rejects.select("file", "row").unique().height if rejects.height else 0
    products = parsed.products
    upserts = products.filter(pl.col("operation") == "upsert").height
    replaced = parsed.superseded / max(1, products.height + parsed.superseded)
    unknown = _unknown_words(rejects)
    share = sum(unknown.values()) / max(1, upserts)
    shown = ", ".join(f"{word!r} ({count})" for word, count in unknown.most_common(5))
    return {
        "taken_over": _taken_over(received - parsed.left_out, products.height, rejects),
        "whole_export": whole_export(products, known, limits),
        "ids": at_most(
            respelled(products, known), limits.respelled_ids, "share of ids spelled in another way"
        ),
        "replaced_rows": at_most(
            replaced,
            1.0 if rows_said else limits.replaced_rows,
            "share of rows that replaced another",
        ),
        "reject_rate": at_most(
            refused / max(1, received), limits.reject_rate, "share of refused rows"
        ),
        "sold": at_most(
            share, limits.unknown_words, f"share of products with unknown words: {shown}"
        ),
        "words": Finding(sum(unknown.values()), f"unknown words: {shown}" if unknown else ""),
        "images": _images(parsed, rejects, limits),
        "field_profile": _jumps(profiles, limits),
        "changes": at_most(repeated, limits.repeated, "share of products that did not change"),
    }


def _taken_over(received: int, products: int, rejects: pl.DataFrame) -> Finding:
    if products or not received:
        return Finding(products)
    reasons = rejects.group_by("field", "reason").len().sort("len", "field", descending=True)
    common = "; ".join(
        f"{field}: {reason} ({count:,} rows)" for field, reason, count in reasons.head(3).rows()
    )
    return Finding(0, f"none of {received:,} rows became a product: {common}")


def whole_export(products: pl.DataFrame, known: pl.Series, limits: Limits) -> Finding:
    """Whether a full export is whole; of a feed of changes nothing is asked."""
    named = products.filter(pl.col("operation") != "delete").height
    full = bool(products["snapshot"].any())
    if not full or known.len() < 2 or named >= (1 - limits.shrinks) * known.len():
        return Finding(named)
    return Finding(named, f"{named:,} products, {known.len():,} were known before")


def respelled(products: pl.DataFrame, known: pl.Series) -> float:
    """Share of ids that are new, and are those of known products written in another way."""
    if not known.len() or not products.height:
        return 0.0

    def plain(ids: str) -> pl.Expr:
        folded = pl.col(ids).str.to_lowercase().str.replace(r"\.0+$", "")
        return folded.str.replace_all(r"[\s_,-]", "").str.strip_chars_start("0")

    before = pl.DataFrame({"id": known}).select("id", plain=plain("id"))
    new = products.select(id="product_id").join(before, on="id", how="anti")
    found = new.select(plain=plain("id")).filter(pl.col("plain") != "")
    return found.join(before, on="plain", how="semi").height / products.height


def _unknown_words(rejects: pl.DataFrame) -> Counter[str]:
    words = rejects.filter(
        pl.col("field").is_in(["availability", "status"])
        & pl.col("reason").str.starts_with("unknown word")
    )
    return Counter(dict(words.group_by("value").len().iter_rows()))


def _images(parsed: "ParsedFeed", rejects: pl.DataFrame, limits: Limits) -> Finding:
    named = parsed.image_references.height
    bad = rejects.filter((pl.col("field") == "images") & (pl.col("value") != ""))
    reasons = bad.group_by("reason").len().sort("len", "reason", descending=[True, False])
    common = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.head(3).rows())
    share = bad.height / max(1, named)
    return at_most(share, limits.images_refused, f"share of refused images ({common})")


def profile(parsed: "ParsedFeed") -> pl.DataFrame:
    """How a day's fields are filled: the share of products that have each, the share of different
    values among them, and the share that are numbers (columns: PROFILE)."""
    upserts = parsed.products
    if (upserts["operation"] != "upsert").any():  # else it would be copied for nothing
        upserts = upserts.filter(pl.col("operation") == "upsert")
    total = upserts.height
    pictured = parsed.image_references["product_id"].n_unique()
    texts = ("title", "description", "price", "seller", "url", "availability")
    said = pl.concat(
        upserts.select(pl.lit(name).alias("field"), pl.col(name).cast(pl.String).alias("value"))
        .filter(~pl.col("value").is_in(["", "unknown"]))
        .group_by("field")
        .agg(_SHARES)
        for name in texts
    )
    keys = _keys_said(upserts)
    keys = keys.with_columns(field=pl.lit("attributes.") + pl.col("field"))
    rows = pl.concat([said, keys])
    absent = [name for name in texts if name not in said["field"]]
    return (
        pl.concat(
            [
                rows.with_columns(filled=pl.col("count") / max(1, total)),
                pl.DataFrame(
                    {"field": absent, "filled": [0.0] * len(absent)},
                    schema={"field": pl.String, "filled": pl.Float64},
                ),
                pl.DataFrame({"field": ["images"], "filled": [pictured / max(1, total)]}),
            ],
            how="diagonal",
        )
        .select("field", "filled", "distinct", "numeric", rows=pl.lit(total, pl.Int64))
        .sort("field")
    )


def _keys_said(products: pl.DataFrame) -> pl.DataFrame:
    """Of the commonest keys of attributes (`field`): how many products have each (`count`), and the
    shares of its values that are different, and that are numbers."""
    values, had = [], []
    for part in products.select("attributes").iter_slices(_PART_ROWS):
        pairs = part.with_row_index("place").explode("attributes", empty_as_null=False)
        pairs = pairs.unnest("attributes").rename({"key": "field"})
        values.append(pairs.group_by("field", "value").agg(said=pl.len()))
        had.append(pairs.group_by("field").agg(count=pl.col("place").n_unique()))
    if not had:
        return pl.DataFrame(schema=_KEYS)
    said = pl.concat(values).group_by("field", "value").agg(pl.col("said").sum())
    number = pl.col("value").str.contains(_NUMBER)
    shares = said.group_by("field").agg(
        (pl.len() / pl.col("said").sum()).alias("distinct"),
        (pl.col("said").filter(number).sum() / pl.col("said").sum()).alias("numeric"),
    )
    products_of = pl.concat(had).group_by("field").agg(pl.col("count").sum())
    keys = products_of.join(shares, on="field").sort("count", "field", descending=[True, False])
    return keys.head(_PROFILED_KEYS).cast(_KEYS)


def _jumps(profiles: Sequence[pl.DataFrame], limits: Limits) -> Finding:
    """What of the last profile is far from the median of those before."""
    usable = [
        {row["field"]: row for row in one.iter_rows(named=True)}
        for one in profiles
        if one.height and one["rows"][0] >= _PROFILED_ROWS
    ]
    if len(usable) <= limits.min_days_before or not profiles[-1].height:
        return Finding()
    *before, now = usable
    if profiles[-1]["rows"][0] < _PROFILED_ROWS:
        return Finding()
    found = []
    for name in sorted({field for one in usable for field in one}):
        for share in ("filled", "distinct", "numeric"):
            earlier = [
                one.get(name, {}).get(share, 0.0 if share == "filled" else None) for one in before
            ]
            known = [value for value in earlier if value is not None]
            value = now.get(name, {}).get(share, 0.0 if share == "filled" else None)
            if len(known) < limits.min_days_before or value is None:
                continue
            usual = median(known)
            if abs(value - usual) > limits.field_jump:
                found.append(f"{name}: {share} {value:.2f}, {usual:.2f} is usual")
    return Finding(len(found), "; ".join(found[:5]))


def repeated_share(products: pl.DataFrame, before: pl.DataFrame | None) -> float | None:
    """Share of the products of a day that are, in every field, as on the day before."""
    if before is None or products.height < _PROFILED_ROWS:
        return None
    columns = ["product_id", *_CONTENT]
    same = products.select(columns).join(
        before.select(columns), on=columns, how="semi", nulls_equal=True
    )
    return same.height / products.height
