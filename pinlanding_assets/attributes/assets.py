"""Attributes are read from fields, titles and images, and squeezed into a clean vocabulary."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.describing import (
    QUESTIONS_SCHEMA,
    choose,
    current,
    describe,
    failed_share,
    left_over,
    unanswered,
)
from pinlanding_assets.attributes.extraction import from_catalog, from_text
from pinlanding_assets.attributes.themes import are_wanted, find_themes, theme_words, with_coherence
from pinlanding_assets.attributes.titles import trusted_words
from pinlanding_assets.attributes.vocabulary import (
    VocabularySettings,
    build_vocabulary,
    second_values_lost,
    vocabulary_figures,
)
from pinlanding_assets.attributes.work import Describe
from pinlanding_assets.catalog.assets import catalog
from pinlanding_assets.catalog.live import live
from pinlanding_assets.checks import CHECKS, answers_day, vocabulary
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.assets import decisions
from pinlanding_assets.decisions.facets import WordDecisions
from pinlanding_assets.partitions import DAILY, EVERY_DAY, RANGE
from pinlanding_assets.topics.mining import support_floor
from resources.engine import Engine
from resources.feeds.catalog_source import CatalogSource
from resources.gpu import Gpu
from resources.lake import ComputeCache, Lake
from resources.language import SentenceEncoder
from resources.quality import Limits, check_results, daily_results, specs, stop
from resources.reporting import (
    Progress,
    contact_sheet,
    markdown_table,
    rounded,
    table_metadata,
)
from resources.vision_language import VisionLanguage

DEFAULT_VLM_BUDGET = 150  # images a day


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    deps=[catalog],
    group_name="attributes",
    kinds={"huggingface", "parquet"},
    code_version="3",
    pool="gpu",
    check_specs=specs(CHECKS, "vlm_attributes"),
)
def vlm_attributes(
    context: dg.AssetExecutionContext,
    source: CatalogSource,
    lake: Lake,
    cache: ComputeCache,
    gpu: Gpu,
    engine: Engine,
    vision_language: VisionLanguage,
    limits: Limits,
) -> Iterator[dg.MaterializeResult]:
    """What fields, titles and, for a budgeted and varied sample, images say about the products."""
    config, version = source.config(), vision_language.version
    budget = DEFAULT_VLM_BUDGET if config.vlm_budget is None else config.vlm_budget
    work, checked = Describe(lake, cache, vision_language, "vlm_attributes"), {}
    with engine.session(None if vision_language.is_server() else gpu) as running:
        for day in context.partition_keys:
            products = lake.read("catalog", "products", day)
            chosen = choose(
                products,
                _images_before(lake, day),
                lake.image,
                budget=budget if vision_language.available() else 0,
                seed=gpu.seed,
            )
            if vision_language.available():
                chosen = pl.concat([chosen, _left_over(lake, day).head(budget - chosen.height)])
            progress = Progress(context.log.info, f"vlm_attributes {day}", chosen.height, "images")
            found = describe(
                chosen,
                version,
                lambda keys: cache.get(f"vlm:{version}", keys),
                lambda rows, told: running.map_batches(work, rows, vision_language.at_once, told),
                progress.advance,
            )
            existing = config.collections.existing
            titles = from_text(products, config.lexicon, silent=existing)
            mentions = pl.concat([from_catalog(products), titles, found.mentions])
            left = found.answers.filter(unanswered())
            if failed_share(found.answers) > 0.5:
                raise dg.Failure(
                    f"vlm_attributes {day}: no answer for {left.height} of {found.answers.height}; "
                    f"the first reason: {left['reason'].first() or 'no image can be read'}. "
                    "What was answered is kept; run the day again when the model is back."
                )
            manifest = lake.commit(
                "vlm_attributes",
                {"mentions": mentions, "answers": found.answers},
                partition=day,
                versions={"vision_language": version},
            )
            said = found.mentions.group_by("product_id", maintain_order=True).agg(
                pl.col("value").unique(maintain_order=True).str.join(", ").alias("text")
            )
            invalid = found.answers.filter(~pl.col("valid"))
            sheet = chosen.join(said, on="product_id").head(18)
            context.add_asset_metadata(
                {
                    **table_metadata(manifest, "mentions", COLUMNS["vlm_attributes"]),
                    "model_calls": found.calls,
                    "answers_reused": found.reused,
                    "invalid_answers": invalid.height,
                    "unanswered": left.height,  # the next day asks again
                    "invalid": markdown_table(
                        invalid.select("reason", pl.col("raw").str.slice(0, 80)).head(20).to_dicts()
                    ),
                    "sources": markdown_table(
                        mentions.group_by("source").len("mentions").sort("source").to_dicts()
                    ),
                    "answers_sheet": contact_sheet(
                        [lake.image(name) for name in sheet["image_hash"]], list(sheet["text"])
                    ),
                },
                partition_key=day,
            )
            context.log.info(
                f"vlm_attributes {day}: {mentions.height:,} mentions, {found.calls:,} images asked,"
                f" {found.reused:,} answers reused"
            )
            checked[day] = answers_day(found.answers, limits)
    results = daily_results(CHECKS, "vlm_attributes", "mentions", checked, lake, limits)
    yield dg.MaterializeResult(metadata=running.metadata(), check_results=results)
    stop(results)


def _left_over(lake: Lake, day: str) -> pl.DataFrame:
    """What the day before has left, with the words that the catalog has for it by now."""
    earlier = [known for known in lake.partitions("vlm_attributes") if known < day]
    answers = lake.read("vlm_attributes", "answers", earlier[-1]) if earlier else None
    if answers is None or answers["valid"].all():
        return pl.DataFrame(schema=QUESTIONS_SCHEMA)
    days = [known for known in lake.partitions("catalog") if known <= day]
    return left_over(answers, live(lake.scan("catalog", "products", days)).collect())


def _images_before(lake: Lake, day: str) -> pl.Series:
    earlier = [known for known in lake.partitions("catalog") if known < day]
    if not earlier:
        return pl.Series("image_hash", [], pl.String)
    images = lake.scan("catalog", "images", earlier)
    return images.select("image_hash").unique().sort("image_hash").collect().to_series()


@dg.asset(
    deps=[
        dg.AssetDep("vlm_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        "word_decisions",
    ],
    group_name="attributes",
    kinds={"parquet"},
    code_version="5",
    check_specs=specs(CHECKS, "attribute_vocabulary"),
)
def attribute_vocabulary(
    source: CatalogSource, lake: Lake, sentences: SentenceEncoder, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """What collections may be made of: attributes cleaned, merged and judged, with an audit log."""
    products = live(lake.scan("catalog", "products")).collect()
    table = decisions(lake, "words")
    decided = WordDecisions.of(table)
    mentions = current(lake.scan("vlm_attributes", "mentions").collect(), products)
    mentions = decided.heard(mentions, products)
    config, settings = source.config(), VocabularySettings()
    if "min_products" in config.collections.model_fields_set:  # smaller pages than usual
        floor = max(2, config.collections.min_products)
        settings = replace(settings, floor=min(settings.least(products.height), floor))
    themes, coherence = mentions.clear(), {}
    if are_wanted(mentions, products.height):
        # as few as make a page
        least = max(settings.least(products.height), support_floor(products.height))
        themes, coherence = find_themes(products, sentences.encode, floor=least)
    found = build_vocabulary(
        pl.concat([mentions, themes]),
        products=products.height,
        embed=sentences.encode,
        product_type=config.type_key or decided.product_type,
        existing=config.collections.existing,
        settings=settings,
        overrides=decided.overrides(source.overrides()),
        multi=decided.multi,
    )
    found = replace(found, entries=with_coherence(found.entries, coherence))
    read = trusted_words(products, mentions, found.entries, found.aliases)
    read = pl.concat([read, theme_words(found.entries, found.aliases)])
    manifest = lake.commit(
        "attribute_vocabulary", {**vars(found), "title_words": read, "decided": table}
    )
    kept = _kept_share(found.aliases)
    checked = {None: vocabulary(found.entries.height, kept, limits)}
    results = check_results(CHECKS, "attribute_vocabulary", checked)
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "entries", COLUMNS["attribute_vocabulary"]),
            **rounded(vocabulary_figures(found) | {"mentions_kept": kept}),
            "second_values_lost": second_values_lost(mentions, found),
            "merges": markdown_table(_largest(found.aliases, "merge")),
            "drops": markdown_table(_largest(found.aliases, "drop")),
            "keys": markdown_table(found.keys.to_dicts()),
            "title_words": markdown_table(
                read.group_by("entry_id", maintain_order=True)
                .agg(pl.col("word").str.join(", "))
                .head(60)
                .to_dicts()
            ),
            "parents": markdown_table(found.parents.head(60).to_dicts()),
            "entries": markdown_table(found.entries.head(60).to_dicts()),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)


def _largest(aliases: pl.DataFrame, action: str) -> list[dict]:
    """The most frequent raw values with this fate."""
    table = aliases.filter(action=action).sort(["count", "raw_value"], descending=[True, False])
    return table.head(60).select("key", "raw_value", "count", "entry_id", "reason").to_dicts()


def _kept_share(aliases: pl.DataFrame) -> float:
    """Share of raw mentions that the vocabulary can still say."""
    kept = aliases.filter(pl.col("entry_id").is_not_null())
    return int(kept["count"].sum()) / max(1, int(aliases["count"].sum()))
