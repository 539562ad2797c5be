"""Topics are filled with products, gated, and published as a site."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.attributes.normalisation import clean_key
from pinlanding_assets.catalog.live import live, with_family
from pinlanding_assets.checks import CHECKS, accepted_share, blank_covers, publication
from pinlanding_assets.collections.addresses import (
    FORMER_SCHEMA,
    former_addresses,
    redirects_table,
)
from pinlanding_assets.collections.covers import cover_captions, cover_jpeg
from pinlanding_assets.collections.gates import Gates
from pinlanding_assets.collections.matching import Arrangement, fill_pages
from pinlanding_assets.collections.pages import build_pages, pages_table
from pinlanding_assets.collections.publishing import SiteSettings, render_site
from pinlanding_assets.collections.work import BATCH, Match
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.embeddings.assets import current_assignments, current_embeddings
from pinlanding_assets.partitions import EVERY_DAY
from pinlanding_assets.topics.assets import topics
from resources.checkpoints import Checkpoints
from resources.diffusion import Diffusion
from resources.engine import Engine
from resources.feeds.catalog_source import CatalogSource
from resources.gpu import Gpu
from resources.lake import Lake, MissingPartition
from resources.quality import Limits, check_results, specs, stop
from resources.reporting import (
    Progress,
    contact_sheet,
    markdown_table,
    reasons,
    table_metadata,
)
from resources.site import SiteStore


def gates_of(source: CatalogSource, products: pl.DataFrame) -> Gates:
    """What catalog.yaml asks of a page; what it leaves open, a small catalog can pass.

    Args:
        source: Its settings.
        products: The catalog as it stands.
    """
    wanted, usual = source.config().collections, Gates.for_catalog(products)
    asked = wanted.model_dump(include={"min_products", "min_sellers"} & wanted.model_fields_set)
    existing = wanted.existing and clean_key(wanted.existing)
    return replace(usual, existing=existing, seller_keys=_seller_keys(source), **asked)


def _seller_keys(source: CatalogSource) -> frozenset[str]:
    """Keys of attributes that are read from the column of the seller."""
    config = source.config()
    columns = {one.column for one in config.columns.seller}
    named = (key for key, read in config.attributes.items() if {c.column for c in read} & columns)
    return frozenset(clean_key(key) or "" for key in named)


def arrangement_of(source: CatalogSource) -> Arrangement:
    """How catalog.yaml wants pages filled."""
    return Arrangement(max_products=source.config().collections.max_products)


@dg.asset(
    deps=[
        topics,
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("product_embeddings", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        *("label_decisions", "page_decisions"),
    ],
    group_name="collections",
    kinds={"polars", "parquet"},
    code_version="5",
    check_specs=specs(CHECKS, "collections"),
)
def collections(
    source: CatalogSource, lake: Lake, engine: Engine, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """Every topic with its ranked products, without twins, and whether it passed the gates."""
    topics_now = lake.read("topics", "topics").filter(pl.col("accepted"))
    work = Match(lake, arrangement_of(source).shared_by(topics_now.height))
    with engine.session() as running:
        pages: list[Any] = running.map_batches(work, topics_now["entries"].to_list(), BATCH)
    known = ("product_id", "operation", "availability", "seller", "images", "family")
    shelf = with_family(live(lake.scan("catalog", "products"))).select(known).collect()
    found, items = fill_pages(topics_now, pages, gates_of(source, shelf))
    manifest = lake.commit("collections", {"collections": found, "items": items})
    accepted = found.filter(pl.col("accepted"))
    results = check_results(CHECKS, "collections", {None: accepted_share(found, limits)})
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "collections", COLUMNS["collections"]),
            "accepted": accepted.height,
            "refusals": reasons(found.filter(~pl.col("accepted"))["reason"], "collections"),
            "first_products_sheet": first_products_sheet(lake, accepted, items, shelf),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)


def first_products_sheet(
    lake: Lake, accepted: pl.DataFrame, items: pl.DataFrame, shelf: pl.DataFrame
) -> dg.MarkdownMetadataValue:
    """The first product of some collections, under their titles."""
    first = (
        accepted.head(24)
        .select("topic_id", "title")
        .join(items.filter(pl.col("rank") == 1), on="topic_id", maintain_order="left")
        .join(shelf.select("product_id", "images"), on="product_id", maintain_order="left")
        .filter(pl.col("images").list.len() > 0)
    )
    return contact_sheet([lake.image(names[0]) for names in first["images"]], list(first["title"]))


COVERS = {**dict.fromkeys(("topic_id", "caption", "image"), pl.String), "seed": pl.Int64}


@dg.asset(
    deps=[collections, attribute_vocabulary, "promoted_diffusion_weights"],
    group_name="collections",
    kinds={"pytorch", "parquet"},
    pool="gpu",
    code_version="1",
    check_specs=specs(CHECKS, "collection_covers"),
)
def collection_covers(
    context: dg.AssetExecutionContext,
    lake: Lake,
    diffusion: Diffusion,
    checkpoints: Checkpoints,
    gpu: Gpu,
) -> dg.MaterializeResult:
    """Illustrations by the promoted text-to-image model, of the collections that it can draw."""
    promoted = lake.manifest("promoted_diffusion_weights")
    version = promoted.versions.get("checkpoint") if promoted else None
    rows: list[tuple[str, str, str, int]] = []
    drawn = np.empty((0, 1, 1, 3), np.uint8)
    if version:
        captions = cover_captions(
            lake.read("collections", "collections"),
            lake.read("promoted_diffusion_weights", "words"),
            _type_key(lake),
        )
        with gpu.session() as session:
            folder = str(checkpoints.path("promoted_diffusion", version))
            model = diffusion.load(folder, device=session.device)
            topics_of, texts = list(captions), list(captions.values())
            seeds = list(range(len(texts)))
            drawn = model.sample(texts, seeds, steps=diffusion.steps, guidance=diffusion.guidance)
        for topic, text, seed, pixels in zip(topics_of, texts, seeds, drawn, strict=True):
            data = cover_jpeg(pixels)
            image = hashlib.sha256(data).hexdigest()
            lake.put_image(image, data)
            rows.append((topic, text, image, seed))
    else:
        context.log.info("no text-to-image weights are promoted yet: no covers")
    table = pl.DataFrame(rows, schema=COVERS, orient="row")
    versions = {"promoted_diffusion_weights": version} if version else {}
    manifest = lake.commit("collection_covers", {"covers": table}, versions=versions)
    sheet = table.head(24)
    pictures = [lake.image(image) for image in sheet["image"]]
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "covers", COLUMNS["collection_covers"]),
            "checkpoint": version or "none",
            "covers_sheet": contact_sheet(pictures, list(sheet["caption"])),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(CHECKS, "collection_covers", {None: blank_covers(drawn)}),
    )


def _type_key(lake: Lake) -> str | None:
    roles = dict(lake.read("attribute_vocabulary", "keys").select("role", "key").iter_rows())
    return roles.get("product_type")


def _covers(lake: Lake) -> dict[str, str]:
    """topic_id -> image; empty where no model has drawn any."""
    if lake.manifest("collection_covers") is None:
        return {}
    return dict(lake.read("collection_covers", "covers").select("topic_id", "image").iter_rows())


class Publication(dg.Config):
    """What a person may allow for one publication."""

    accept_fewer_pages: bool = False  # the site is meant to lose most of its pages


@dg.asset(
    deps=[
        collections,
        collection_covers,
        "scorecard",
        dg.AssetDep("product_embeddings", partition_mapping=EVERY_DAY),
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
        "label_decisions",
    ],
    group_name="collections",
    kinds={"html"},
    code_version="5",
    check_specs=specs(CHECKS, "published_collections"),
)
def published_collections(
    context: dg.AssetExecutionContext,
    config: Publication,
    source: CatalogSource,
    lake: Lake,
    site: SiteStore,
    limits: Limits,
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """The site that shoppers see, switched atomically; every gate is verified again before."""
    shop = source.config()
    shelf = live(lake.scan("catalog", "products")).collect()
    found, items = (lake.read("collections", table) for table in ("collections", "items"))
    assignments = current_assignments(lake)
    before, left_before = _publication_before(lake)
    # a backfill starts this run whatever the checks of others said: nothing is taken on trust
    verified = publication(
        found,
        items,
        shelf,
        gates_of(source, shelf),
        current_embeddings(lake),
        assignments,
        _figures(lake),
        before.height,
        limits,
        accept_fewer_pages=config.accept_fewer_pages,
    )
    results = check_results(CHECKS, "published_collections", {None: verified})
    if not all(result.passed for result in results):
        yield from results
        stop(results)
    entries, aliases, parents = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases", "parents")
    )
    former = former_addresses(before, left_before, aliases)
    files = render_site(
        found,
        items,
        shelf,
        entries,
        site=SiteSettings(
            title=shop.site.title or re.sub("[-_]", " ", shop.name).title(),
            base_url=shop.site.base_url,
            tagline=shop.site.tagline,
            currency=shop.defaults.currency,
            type_key=_type_key(lake),
            noun=shop.noun,
        ),
        image_bytes=lake.image,
        covers=_covers(lake),
        former=former,
        parents=parents,
        assignments=assignments,
    )
    progress = Progress(context.log.info, "published_collections", found.height, "pages")
    version_before = site.current()
    version = site.publish(_counted(files, progress))
    site.prune(keep=5)
    pages = pages_table(found, items, shelf)
    left = redirects_table(found, build_pages(found, items, shelf, {}), former)
    manifest = lake.commit(
        "published_collections", {"pages": pages, "redirects": left}, versions={"site": version}
    )
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "pages", COLUMNS["published_collections"]),
            "pages_new": pages.join(before, on="topic_id", how="anti").height,
            "pages_gone": before.join(pages, on="topic_id", how="anti").height,
            "old_addresses_that_lead_on": left.height - left["path"].null_count(),
            "old_addresses": markdown_table(left.select("slug", "path").head(40).to_dicts()),
            "products_on_pages": items["product_id"].n_unique(),
            "version": version,
            "previous_version": version_before or "none",
            "site": dg.MetadataValue.path(f"{site.root}/current/index.html"),
            "first_products_sheet": first_products_sheet(
                lake, found.filter(pl.col("accepted")), items, shelf
            ),
            "pages": markdown_table(pages.select("title", "path", "products").head(40).to_dicts()),
        },
        data_version=dg.DataVersion(version),
        check_results=results,
    )


def _publication_before(lake: Lake) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pages of the last publication, and the old addresses that it knew."""
    manifest = lake.manifest("published_collections")
    pages = redirects = pl.DataFrame(schema=FORMER_SCHEMA)
    if manifest is not None:
        pages = lake.read("published_collections", "pages")
        if "redirects" in manifest.tables:  # not in a publication of an earlier release
            redirects = lake.read("published_collections", "redirects")
    if "entries" not in pages.columns:
        pages = pages.with_columns(entries=pl.lit([], dtype=pl.List(pl.String)))
    return pages, redirects


def _figures(lake: Lake) -> pl.DataFrame:
    """The scorecard of the collections as they are now.

    Raises:
        MissingPartition: it was made of other collections, or not at all.
    """
    made_of, scored = lake.manifest("collections"), lake.manifest("scorecard")
    version = scored.versions.get("collections") if scored else None
    if made_of is None or version != made_of.data_version:
        raise MissingPartition(
            "scorecard has not measured these collections; materialize scorecard first"
        )
    return lake.read("scorecard", "figures")


def _counted(files, progress: Progress):
    for path, data in files:
        if path.startswith("collections/") and path.count("/") == 1:
            progress.advance()
        yield path, data


@dg.op
def restore_previous_version(context: dg.OpExecutionContext, site: SiteStore) -> None:
    """Make the version before the live one live again."""
    context.log.info(f"live again: {site.rollback()}")


@dg.job
def rollback() -> None:
    """Take the last publication back: the site's previous version is live again."""
    restore_previous_version()
