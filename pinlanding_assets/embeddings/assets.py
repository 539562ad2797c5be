"""Every product gets a vector and calibrated attributes; the vectors get an index."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.catalog.assets import catalog
from pinlanding_assets.catalog.live import live
from pinlanding_assets.checks import CHECKS, attributes_day, embeddings_day, index_figures
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.assets import decisions
from pinlanding_assets.decisions.facets import LabelDecisions
from pinlanding_assets.embeddings.encode import BATCH, embed
from pinlanding_assets.embeddings.work import Assign, Encode, blocks, upserts
from pinlanding_assets.encoder.assets import dual_encoder
from pinlanding_assets.encoder.model import model_of
from pinlanding_assets.encoder.vectors import CachedVectors, vector_matrix
from pinlanding_assets.partitions import DAILY, EVERY_DAY, RANGE
from resources.checkpoints import Checkpoints
from resources.encoders import Encoders
from resources.engine import Engine, Running
from resources.gpu import Gpu
from resources.lake import ComputeCache, Lake, MissingPartition
from resources.quality import (
    Finding,
    Limits,
    check_results,
    daily_results,
    specs,
    stop,
)
from resources.reporting import (
    Progress,
    contact_sheet,
    lineage_of,
    markdown_table,
    rounded,
    schema_of,
    table_metadata,
)
from resources.vector_index import IndexUnfit, VectorIndex

SEARCHED = ("availability", "seller")
"""Of a product, what a search for its neighbours may ask for."""
ROWS = 4_000_000
"""Assignments in memory at once where a catalog is read in parts, some 600 MB."""


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    deps=[catalog, dual_encoder],
    group_name="embeddings",
    kinds={"pytorch", "parquet"},
    code_version="2",
    pool="gpu",
    check_specs=specs(CHECKS, "product_embeddings"),
)
def product_embeddings(
    context: dg.AssetExecutionContext,
    lake: Lake,
    cache: ComputeCache,
    gpu: Gpu,
    engine: Engine,
    encoders: Encoders,
    checkpoints: Checkpoints,
    limits: Limits,
) -> Iterator[dg.MaterializeResult]:
    """A unit vector for every product of the day, from image and text, by the current encoder."""
    checkpoint, checked = current_checkpoint(lake), {}
    version, dim = model_of(checkpoints.path("dual_encoder", checkpoint))
    work = Encode(lake, cache, checkpoints, encoders, checkpoint)
    vectors = CachedVectors(cache, version)
    with engine.session(gpu) as running:
        for day in context.partition_keys:
            products = lake.read("catalog", "products", day).filter(pl.col("operation") == "upsert")
            progress = Progress(context.log.info, f"product_embeddings {day}", 0, "products")
            found = embed(
                version,
                dim,
                products,
                vectors.get,
                partial(_encode_with, running, work, progress),
            )
            manifest = lake.commit(
                "product_embeddings",
                {"embeddings": found.embeddings, "rejects": found.rejects},
                partition=day,
                versions={"checkpoint": checkpoint},
            )
            context.add_asset_metadata(
                {
                    **table_metadata(manifest, "embeddings", COLUMNS["product_embeddings"]),
                    "model_calls": found.computed,
                    "vectors_reused": found.reused,
                    "products_without_content": found.skipped,
                    "products_rejected": found.rejects.height,
                    "rejects": markdown_table(found.rejects.head(20).to_dicts()),
                },
                partition_key=day,
            )
            context.log.info(
                f"product_embeddings {day}: {found.computed:,} computed, {found.reused:,} reused"
            )
            checked[day] = embeddings_day(found.embeddings, products.height, limits)
    results = daily_results(CHECKS, "product_embeddings", "embeddings", checked, lake, limits)
    yield dg.MaterializeResult(
        metadata={"checkpoint": checkpoint, **running.metadata()}, check_results=results
    )
    stop(results)


def _encode_with(
    running: Running, work: Encode, progress: Progress, rows: list[dict]
) -> Sequence[Any]:
    done = 0

    def told(batch: Sequence[dict], _: Sequence[Any]) -> None:
        nonlocal done
        done += len(batch)
        progress.update(done, len(rows))

    return running.map_batches(work, rows, BATCH, told)


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=RANGE,
    # What a model saw on an image on any day counts here. Yet the day's own `vlm_attributes` is the
    # input: a change of another day arrives as another vocabulary or encoder, and a mapping to
    # every day would make a backfill of some days target all of them.
    deps=[product_embeddings, catalog, "vlm_attributes", attribute_vocabulary, dual_encoder],
    group_name="embeddings",
    kinds={"numpy", "parquet"},
    code_version="5",
    check_specs=specs(CHECKS, "product_attributes"),
)
def product_attributes(
    context: dg.AssetExecutionContext, lake: Lake, engine: Engine, limits: Limits
) -> Iterator[dg.MaterializeResult]:
    """The attributes of every product of the day, with calibrated probabilities and sources."""
    work, checked = Assign(lake), {}
    with engine.session() as running:
        for day in context.partition_keys:
            parts: list[Any] = running.map_batches(work, blocks(lake, day), 1)
            found = pl.concat(parts)
            products = upserts(lake, day).collect()
            manifest = lake.commit("product_attributes", {"assignments": found}, partition=day)
            carried = found.group_by("product_id").len()["len"]
            context.add_asset_metadata(
                {
                    **table_metadata(manifest, "assignments", COLUMNS["product_attributes"]),
                    **rounded(
                        {
                            "attributes_a_product": float(carried.mean() or 0.0),  # type: ignore[arg-type]
                            "coverage": carried.len() / max(1, products.height),
                        }
                    ),
                    "sources": markdown_table(
                        found.group_by("source").len("assignments").sort("source").to_dicts()
                    ),
                    "attributes_sheet": _attributes_sheet(lake, products, found),
                },
                partition_key=day,
            )
            context.log.info(f"product_attributes {day}: {found.height:,} assignments")
            checked[day] = attributes_day(found, products["product_id"], limits)
    results = daily_results(CHECKS, "product_attributes", "assignments", checked, lake, limits)
    yield dg.MaterializeResult(check_results=results)
    stop(results)


def _attributes_sheet(
    lake: Lake, products: pl.DataFrame, found: pl.DataFrame
) -> dg.MarkdownMetadataValue:
    """Some products of the day with the attributes that they got, the surest first."""
    said = (
        found.sort("p", "entry_id", descending=[True, False])
        .group_by("product_id")
        .agg(pl.col("value").unique(maintain_order=True).str.join(", "))
    )
    pictured = products.filter(pl.col("images").list.len() > 0).join(said, on="product_id")
    sample = pictured.sort("product_id").sample(min(18, pictured.height), seed=0)
    return contact_sheet(
        [lake.image(images[0]) for images in sample["images"]], list(sample["value"])
    )


@dg.asset(
    deps=[
        dg.AssetDep(product_embeddings, partition_mapping=EVERY_DAY),
        dg.AssetDep(catalog, partition_mapping=EVERY_DAY),
        dual_encoder,
    ],
    group_name="embeddings",
    kinds={"qdrant"},
    code_version="1",
    check_specs=specs(CHECKS, "vector_index"),
)
def vector_index(
    lake: Lake, index: VectorIndex, limits: Limits
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Nearest products by vector: built beside the old index, verified, then switched."""
    embeddings = current_embeddings(lake)
    shelf = live(lake.scan("catalog", "products")).select("product_id", *SEARCHED).collect()
    points = embeddings.join(shelf, on="product_id", maintain_order="left")
    payload = {field: points[field].fill_null("").to_list() for field in SEARCHED}
    parts = [points["product_id"], points["content_hash"], *map(pl.Series, payload.values())]
    content = "\n".join(pl.select(pl.concat_str(parts, separator=" ")).to_series())
    version = hashlib.sha256(content.encode()).hexdigest()[:16]
    ids, vectors = list(points["product_id"]), vector_matrix(points)
    try:
        figures = index.publish(
            version, ids, vectors, payload=payload, min_recall=limits.index_recall
        )
    except IndexUnfit as error:
        unfit = Finding(failure=str(error.description))
        yield from check_results(CHECKS, "vector_index", {None: {"recall": unfit}})
        raise
    found = index_figures(figures["recall_at_10"], limits)
    yield dg.MaterializeResult(
        metadata={
            "dagster/row_count": figures["points"],
            "dagster/column_schema": schema_of(COLUMNS["vector_index"]),
            "dagster/column_lineage": lineage_of(COLUMNS["vector_index"]),
            "version": version,
            **rounded(figures),
            "neighbours_sheet": _neighbours_sheet(lake, index, ids, vectors),
        },
        data_version=dg.DataVersion(version),
        check_results=check_results(CHECKS, "vector_index", {None: found}),
    )


def _neighbours_sheet(
    lake: Lake, index: VectorIndex, ids: list[str], vectors: np.ndarray
) -> dg.MarkdownMetadataValue:
    """A row a product: the product itself, and its nearest ones with their similarity."""
    products = live(lake.scan("catalog", "products")).filter(pl.col("images").list.len() > 0)
    images = dict(
        products.select("product_id", pl.col("images").list.first()).collect().iter_rows()
    )
    pictured = [at for at, product in enumerate(ids) if product in images]
    chosen = np.random.default_rng(0).permutation(pictured)[:4].astype(int)
    pictures, captions = [], []
    for at, hits in zip(
        chosen, index.search(vectors[chosen], 12) if len(chosen) else [], strict=True
    ):
        others = [hit for hit in hits if hit.product_id != ids[at] and hit.product_id in images][:5]
        pictures += [
            lake.image(images[ids[at]]),
            *(lake.image(images[h.product_id]) for h in others),
        ]
        captions += [f"{ids[at]}:", *(f"{hit.score:.3f}" for hit in others)]
    return contact_sheet(pictures, captions)


def current_checkpoint(lake: Lake) -> str:
    """The version of the encoder that labels products now.

    Raises:
        MissingPartition: none has been trained.
    """
    manifest = lake.manifest("dual_encoder")
    if manifest is None:
        raise MissingPartition("dual_encoder is not materialized; materialize it first")
    return manifest.versions["checkpoint"]


def current_embeddings(lake: Lake) -> pl.DataFrame:
    """The embeddings of the catalog as it stands, by product.

    Raises:
        MissingPartition: days that another checkpoint embedded; vectors of two models do not mix.
    """
    checkpoint, days = current_checkpoint(lake), lake.partitions("product_embeddings")
    manifests = {day: lake.manifest("product_embeddings", day) for day in days}
    stale = [
        day
        for day, found in manifests.items()
        if found and found.versions["checkpoint"] != checkpoint
    ]
    if stale:
        raise MissingPartition(
            f"product_embeddings of {', '.join(stale)} are not by the current checkpoint "
            f"{checkpoint}; backfill product_embeddings and product_attributes for these days"
        )
    products = live(lake.scan("catalog", "products"))
    found = lake.scan("product_embeddings", "embeddings", days)
    return (
        found.join(products, on=["product_id", "date"], how="semi")
        .drop("date")
        .sort("product_id")
        .collect()
    )


def current_assignments(lake: Lake) -> pl.DataFrame:
    """The attributes of the catalog as it stands, by product and entry."""
    products = live(lake.scan("catalog", "products"))
    found = lake.scan("product_attributes", "assignments")
    current_rows = found.join(products, on=["product_id", "date"], how="semi").drop("date")
    rows = current_rows.sort("product_id", "entry_id", "source").collect()
    labels = LabelDecisions.of(decisions(lake, "labels"))
    if not labels.labels:
        return rows
    return labels.over(rows, products.select("product_id").collect(), several_keys(lake))


def several_keys(lake: Lake) -> list[str]:
    """The keys of which a product may have several values."""
    return lake.read("attribute_vocabulary", "keys").filter("multi")["key"].to_list()


def assignment_parts(lake: Lake, products: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The attributes of products, in parts that split no product, of about `ROWS` rows.

    Args:
        lake: Read a part at a time.
        products: product_id and date: the day of the version whose attributes count.

    Returns:
        product_id, entry_id, key, p, source.
    """
    labels = LabelDecisions.of(decisions(lake, "labels"))
    several = several_keys(lake) if labels.labels else []
    for day in products["date"].unique().sort():
        current = products.filter(pl.col("date") == day).select("product_id")
        table = lake.scan("product_attributes", "assignments", [day])
        rows = table.select("product_id", "entry_id", "key", "p", "source")
        held = pl.DataFrame(schema=rows.collect_schema())
        total = rows.select(pl.len()).collect().item()
        for start in range(0, total, ROWS):
            part = pl.concat([held, rows.slice(start, ROWS).collect()])
            unfinished = part["product_id"] == part["product_id"][-1]
            last = start + ROWS >= total
            held = part.filter(unfinished)
            part = part if last else part.filter(~unfinished)
            here = current if last else part.select("product_id")
            yield labels.over(part.join(current, on="product_id", how="semi"), here, several)
