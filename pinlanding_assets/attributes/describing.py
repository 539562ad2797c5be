"""Asks the vision-language model about a day's new images, within a budget and never twice."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pinlanding_assets.attributes.extraction import mentions_from_answers
from pinlanding_assets.attributes.sampling import diverse_sample, thumbnail_features

ANSWER_ERROR = "error: "  # the resource's word for "no answer"; asked again next time
OUT_OF_BUDGET = f"{ANSWER_ERROR}not asked, the budget"  # of calls, tokens or money
UNREADABLE = f"{ANSWER_ERROR}the image"  # asking again would not help
QUESTIONS_SCHEMA = {"product_id": pl.String, "image_hash": pl.String, "title": pl.String}


@dataclass(frozen=True)
class Described:
    """The day's `mentions` and `answers`, and how many products the model was asked about."""

    mentions: pl.DataFrame
    answers: pl.DataFrame
    calls: int
    reused: int


def choose(
    products: pl.DataFrame,
    seen: pl.Series,
    image: Callable[[str], bytes],
    *,
    budget: int,
    seed: int,
) -> pl.DataFrame:
    """The day's sample: product_id, image_hash, title; unlike each other, by product_id.

    Args:
        products: catalog.products of the day.
        seen: Hashes of images that earlier days brought; they are not new.
        image: Hash to JPEG bytes.
        budget: Products at most.
        seed: Of the sampling.
    """
    new = (
        products.filter(pl.col("images").list.len() > 0)
        .select("product_id", pl.col("images").list.first().alias("image_hash"), "title")
        .filter(~pl.col("image_hash").is_in(seen.implode()))
        .sort("product_id")
        .unique("image_hash", keep="first", maintain_order=True)
    )
    if new.height <= budget:
        return new
    features = thumbnail_features([image(name) for name in new["image_hash"]], list(new["title"]))
    return new[diverse_sample(features, budget, seed)]


def left_over(answers: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """What an earlier day could not get answered, as rows of `choose`: the next one goes on there.

    Args:
        answers: Table `answers` of the day before.
        live: The catalog as it stands; what has another image by now was chosen anew, or is gone.
    """
    undone = answers.filter(unanswered()).select("product_id", "image_hash")
    pictured = live.filter(pl.col("images").list.len() > 0).select(
        "product_id", pl.col("images").list.first().alias("image_hash"), "title"
    )
    return pictured.join(undone, on=["product_id", "image_hash"], how="semi").sort("product_id")


def unanswered() -> pl.Expr:
    """Rows of `answers` that the model may still answer, when it is asked again."""
    reason = pl.col("reason").fill_null("")
    return reason.str.starts_with(ANSWER_ERROR) & ~reason.str.starts_with(UNREADABLE)


def failed_share(answers: pl.DataFrame) -> float:
    """Share of questions without an answer, those that the budget left out aside."""
    asked = answers.filter(~pl.col("reason").fill_null("").str.starts_with(OUT_OF_BUDGET))
    failed = asked["reason"].fill_null("").str.starts_with(ANSWER_ERROR).sum()
    return int(failed) / max(1, asked.height)


def describe(
    chosen: pl.DataFrame,
    extractor: str,
    known: Callable[[list[str]], pl.DataFrame],
    ask: Callable[[list[dict], Callable[[Sequence[dict], Sequence[Any]], None]], Sequence[Any]],
    progress: Callable[[int], None],
) -> Described:
    """Answers for the sample, from the cache where they are there.

    What is missing is asked in the sample's order, in whole batches that are kept as soon as they
    are answered: a killed run goes on with the same batches, and so with the same answers.

    Args:
        chosen: Of `choose`.
        extractor: Version of the model, its prompt and its schema.
        known: Cache look-up: keys to rows with `key` and `raw`.
        ask: Rows of `chosen` with their `key` to raw answers, in batches that it keeps and tells;
            what is no text, but has a `reason`, is an answer that failed.
        progress: Told how many products were just answered.
    """
    chosen = chosen.with_columns(
        pl.struct("image_hash", "title")
        .map_elements(
            lambda row: hashlib.sha256(f"{row['image_hash']}\0{row['title']}".encode()).hexdigest(),
            return_dtype=pl.String,
        )
        .alias("key")
    )
    cached = known(list(chosen["key"]))
    answers = dict(cached.select("key", "raw").iter_rows()) if cached.height else {}
    missing = [row for row in chosen.iter_rows(named=True) if row["key"] not in answers]

    found = ask(missing, lambda batch, _: progress(len(batch)))
    for row, text in zip(missing, found, strict=True):
        answers[row["key"]] = text if isinstance(text, str) else f"{ANSWER_ERROR}{text.reason}"
    raw = [answers[key] for key in chosen["key"]]
    mentions, table = mentions_from_answers(chosen, raw, extractor)
    return Described(mentions, table, len(missing), chosen.height - len(missing))


def current(mentions: pl.DataFrame, live: pl.DataFrame) -> pl.DataFrame:
    """Mentions that speak of the products as they are now.

    Fields and titles count on the day of the product's last version; what a model saw counts as
    long as the product has that image.

    Args:
        mentions: Tables `mentions` of all days, with `date`.
        live: The catalog as it stands, with `date`, the day of each product's version.
    """
    fields = mentions.filter(pl.col("source") != "vlm").join(
        live, on=["product_id", "date"], how="semi"
    )
    images = live.select("product_id", pl.col("images").alias("image_hash")).explode("image_hash")
    seen = mentions.filter(pl.col("source") == "vlm").join(
        images, on=["product_id", "image_hash"], how="semi"
    )
    # the same image described on two days under two titles: the newest answer counts
    newest = seen.group_by("product_id", "image_hash").agg(pl.col("date").max())
    seen = seen.join(newest, on=["product_id", "image_hash", "date"], how="semi")
    order = ["product_id", "image_hash", "source", "key", "value"]
    return pl.concat([fields, seen]).drop("date").sort(order, nulls_last=True)
