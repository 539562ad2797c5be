"""The collections made from content, measured against those made from the search log."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.attributes.describing import current, describe
from pinlanding_assets.attributes.statements import resolver
from pinlanding_assets.attributes.work import Describe
from pinlanding_assets.catalog.live import live, with_looks
from pinlanding_assets.checks import CHECKS, accepted_share, measured, readable
from pinlanding_assets.collections.assets import (
    arrangement_of,
    collections,
    first_products_sheet,
    gates_of,
)
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.assets import heard
from pinlanding_assets.embeddings.assets import current_assignments
from pinlanding_assets.encoder.assets import dual_encoder
from pinlanding_assets.partitions import EVERY_DAY
from pinlanding_assets.scorecard import keyword_arm, search_log_arm
from pinlanding_assets.scorecard.estimates import estimated_figures
from pinlanding_assets.scorecard.existing import compared, existing_figures
from pinlanding_assets.scorecard.judging import (
    judge_figures,
    judge_items,
    sample_topics,
    sampled_items,
)
from pinlanding_assets.scorecard.metrics import (
    attribute_figures,
    calls_saved,
    collection_figures,
    holds_of,
)
from pinlanding_assets.scorecard.naming import named, naming, with_synonyms
from pinlanding_assets.scorecard.people import fleiss_kappa, people_figures, people_verdicts
from pinlanding_assets.scorecard.recall import retrieval_figures, written
from pinlanding_assets.topics.assets import demand
from pinlanding_assets.topics.phrasing import Phraser
from pinlanding_assets.topics.words import plural
from resources.engine import Engine
from resources.feeds.catalog_source import CatalogSource
from resources.gpu import Gpu
from resources.lake import ComputeCache, Lake
from resources.language import SentenceEncoder
from resources.quality import Finding, Limits, check_results, specs, stop
from resources.ratings import Ratings
from resources.reporting import (
    Progress,
    contact_sheet,
    markdown_table,
    reasons,
    rounded,
    table_metadata,
)
from resources.truth import Truth
from resources.vision_language import VisionLanguage

JUDGED_TOPICS = 200  # of each arm, their first ten products each
ARMS = {  # ours first, then the baseline, then the cheapest alternative
    "collections": "collections",
    "search_log": "search_log_collections",
    "keywords": "keyword_collections",
}


@dg.asset(
    deps=[
        dg.AssetDep("search_log", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
    ],
    group_name="scorecard",
    kinds={"parquet"},
    code_version="2",
    check_specs=specs(CHECKS, "search_log_collections"),
)
def search_log_collections(
    source: CatalogSource, lake: Lake, limits: Limits
) -> dg.MaterializeResult:
    """The baseline: what people searched for, filled by words of titles, behind the same gates."""
    entries, aliases = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases")
    )
    queries = lake.scan("search_log", "queries").rename({"date": "day"}).collect()
    shelf = _shelf(lake)
    found, items = search_log_arm.search_log_collections(
        queries,
        shelf,
        entries,
        aliases,
        arrangement=arrangement_of(source),
        gates=gates_of(source, shelf),
    )
    manifest = lake.commit("search_log_collections", {"collections": found, "items": items})
    accepted = found.filter(pl.col("accepted"))
    # a shop without a search log has nothing to compare with, and nothing to mend
    checked = accepted_share(found, limits) if queries.height else {"not_empty": Finding(0)}
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "collections", COLUMNS["search_log_collections"]),
            "accepted": accepted.height,
            "refusals": reasons(found.filter(~pl.col("accepted"))["reason"], "collections"),
            "first_products_sheet": first_products_sheet(lake, accepted, items, shelf),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(CHECKS, "search_log_collections", {None: checked}),
    )


@dg.asset(
    deps=[
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
        demand,
    ],
    group_name="scorecard",
    kinds={"duckdb", "parquet"},
    code_version="2",
    check_specs=specs(CHECKS, "keyword_collections"),
)
def keyword_collections(
    source: CatalogSource, lake: Lake, truth: Truth, limits: Limits
) -> dg.MaterializeResult:
    """The cheapest alternative: content first by keywords alone, with every synonym, no model."""
    entries, aliases, keys = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases", "keys")
    )
    config, shelf = source.config(), _shelf(lake)
    found, items = keyword_arm.keyword_collections(
        shelf,
        entries,
        keys,
        naming(entries, aliases),
        truth.synonyms() or config.lexicon,
        lake.read("demand", "queries"),
        Phraser(entries, keys, config.phrases, plural(config.noun)),
        arrangement=arrangement_of(source),
        gates=gates_of(source, shelf),
    )
    manifest = lake.commit("keyword_collections", {"collections": found, "items": items})
    checked = accepted_share(found, limits) if found.height else {"not_empty": Finding(0)}
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "collections", COLUMNS["keyword_collections"]),
            "accepted": found.filter(pl.col("accepted")).height,
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(CHECKS, "keyword_collections", {None: checked}),
    )


def _shelf(lake: Lake) -> pl.DataFrame:
    """The catalog as it stands, as all arms are given it."""
    products = live(lake.scan("catalog", "products"))
    return with_looks(products, lake.scan("catalog", "images")).collect()


@dg.asset(
    group_name="scorecard",
    kinds={"parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "collection_ratings"),
)
def collection_ratings(lake: Lake, ratings: Ratings) -> dg.MaterializeResult:
    """What people said, blind, of a sample of all arms (`make rate-collections`)."""
    found, rejects = ratings.read()
    manifest = lake.commit("collection_ratings", {"ratings": found, "rejects": rejects})
    kappa, items = fleiss_kappa(found)
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "ratings", COLUMNS["collection_ratings"]),
            "raters": found["rater"].n_unique(),
            "rejects": rejects.height,
            "items_with_two_raters": items,
            **({} if kappa is None else {"fleiss_kappa": kappa}),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(
            CHECKS, "collection_ratings", {None: readable(found.height, rejects.height)}
        ),
    )


@dg.asset(
    deps=[
        collections,
        search_log_collections,
        keyword_collections,
        collection_ratings,
        dual_encoder,
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("vlm_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
        "label_decisions",
    ],
    group_name="scorecard",
    kinds={"parquet"},
    code_version="3",
    pool="gpu",
    check_specs=specs(CHECKS, "scorecard"),
)
def scorecard(
    context: dg.AssetExecutionContext,
    lake: Lake,
    cache: ComputeCache,
    gpu: Gpu,
    engine: Engine,
    vision_language: VisionLanguage,
    sentences: SentenceEncoder,
    truth: Truth,
    limits: Limits,
) -> Iterator[dg.MaterializeResult]:
    """How good it all is, by truth, by judge and by people: three arms, recall, what it saved."""
    products = live(lake.scan("catalog", "products")).collect()
    entries, aliases, keys = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases", "keys")
    )
    names = naming(entries, aliases)
    holds = holds_of(truth.attributes(), names, products)
    mentions = current(lake.scan("vlm_attributes", "mentions").collect(), products)
    mentions = heard(lake).heard(mentions, products)
    arms = {
        arm: (lake.read(asset, "collections"), lake.read(asset, "items"))
        for arm, asset in ARMS.items()
    }
    spelt = with_synonyms(aliases, names, truth.synonyms())
    arms["search_log"] = search_log_arm.read_again(arms["search_log"], entries, spelt)
    by_truth, judgements = collection_figures(arms, holds, products)
    sample = sampled_items(arms, sample_topics(arms, JUDGED_TOPICS))
    said, calls = _ask_judge(context, lake, cache, gpu, engine, vision_language, sample, products)
    verdicts = judge_items(sample, named(said, names))
    ratings = lake.read("collection_ratings", "ratings")
    rated = people_verdicts(ratings, arms)
    assignments = current_assignments(lake)
    stated = resolver(aliases, entries)(mentions).filter(source="catalog")
    existing = compared(stated, assignments, entries, keys, *arms["collections"])
    figures = pl.concat(
        [
            by_truth,
            existing_figures(existing),
            attribute_figures(assignments, mentions, products, names, holds),
            estimated_figures(
                lake.read("dual_encoder", "estimates"), assignments, stated, *arms["collections"]
            ),
            judge_figures(verdicts, judgements, arms),
            judge_figures(rated, judgements, arms, basis="people", name="people"),
            people_figures(ratings, rated, verdicts),
            retrieval_figures(
                lake.read("dual_encoder", "held_out"),
                lake.read("dual_encoder", "calibration"),
                entries,
                spelt,
                keys,
                written(products),
                holds,
                sentences.encode,
            ),
            calls_saved(mentions, products),
        ]
    )
    measured_of = lake.manifest("collections")
    manifest = lake.commit(
        "scorecard",
        {
            "figures": figures,
            "judgements": judgements,
            "verdicts": verdicts,
            "existing": existing,
        },
        versions={"collections": measured_of.data_version} if measured_of else {},
    )
    results = check_results(CHECKS, "scorecard", {None: measured(figures, limits)})
    known = figures.filter(pl.col("value").is_not_null())
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "figures", COLUMNS["scorecard"]),
            **rounded(dict(known.select("name", "value").iter_rows())),
            "model_calls": calls,
            "figures": markdown_table(figures.to_dicts()),
            "existing_collections": markdown_table(existing.head(60).to_dicts()),
            "wrong_products_sheet": _wrong_products(lake, judgements, products),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)


def _ask_judge(
    context: dg.AssetExecutionContext,
    lake: Lake,
    cache: ComputeCache,
    gpu: Gpu,
    engine: Engine,
    judge: VisionLanguage,
    sample: pl.DataFrame,
    products: pl.DataFrame,
) -> tuple[pl.DataFrame, int]:
    """What the vision-language model says of the sampled products, and how often it was asked."""
    pictured = products.filter(pl.col("images").list.len() > 0)
    shown = pictured.join(sample, on="product_id", how="semi").sort("product_id")
    chosen = shown.select("product_id", pl.col("images").list.first().alias("image_hash"), "title")
    if not judge.available():
        chosen = chosen.clear()
    progress = Progress(context.log.info, "scorecard", chosen.height, "products judged")
    work = Describe(lake, cache, judge, "scorecard")
    with engine.session(None if judge.is_server() else gpu) as running:
        found = describe(
            chosen,
            judge.version,
            lambda keys: cache.get(f"vlm:{judge.version}", keys),
            lambda rows, told: running.map_batches(work, rows, judge.at_once, told),
            progress.advance,
        )
    return found.mentions, found.calls


def _wrong_products(
    lake: Lake, judgements: pl.DataFrame, products: pl.DataFrame
) -> dg.MarkdownMetadataValue:
    """Products that lack an attribute of the page that shows them first, under its title."""
    titles = lake.read("collections", "collections").select("topic_id", "title")
    wrong = (
        judgements.filter(pl.col("arm") == "collections", ~pl.col("correct"))
        .join(titles, on="topic_id")
        .join(products.filter(pl.col("images").list.len() > 0), on="product_id", suffix="_shop")
        .sort("rank", "topic_id")
        .head(24)
    )
    return contact_sheet([lake.image(names[0]) for names in wrong["images"]], list(wrong["title"]))
