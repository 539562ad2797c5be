"""Products that look and read alike, whatever they are called."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.catalog.live import live
from pinlanding_assets.checks import CHECKS, cluster_sizes
from pinlanding_assets.clusters.clustering import cluster
from pinlanding_assets.clusters.review import for_review
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.embeddings.assets import current_assignments, current_embeddings
from pinlanding_assets.partitions import EVERY_DAY
from resources.lake import Lake
from resources.quality import Limits, check_results, specs, stop
from resources.reporting import (
    contact_sheet,
    markdown_table,
    rounded,
    table_metadata,
)


@dg.asset(
    deps=[
        dg.AssetDep("product_embeddings", partition_mapping=EVERY_DAY),
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
        "label_decisions",
    ],
    group_name="clusters",
    kinds={"scikitlearn", "parquet"},
    code_version="2",
    check_specs=specs(CHECKS, "product_clusters"),
)
def product_clusters(lake: Lake, limits: Limits) -> Iterator[dg.MaterializeResult]:
    """Groups of similar products, named by what they have more of; some are for a person to see."""
    products = (
        live(lake.scan("catalog", "products")).select("product_id", "title", "images").collect()
    )
    assignments = current_assignments(lake)
    aliases = lake.read("attribute_vocabulary", "aliases")
    clusters, members = cluster(current_embeddings(lake), assignments)
    review = for_review(clusters, members, assignments, products, aliases)
    manifest = lake.commit(
        "product_clusters", {"clusters": clusters, "members": members, "review": review}
    )
    found = cluster_sizes(clusters["size"], limits)
    results = check_results(CHECKS, "product_clusters", {None: found})
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "clusters", COLUMNS["product_clusters"]),
            **rounded({"largest_cluster": found["largest_cluster"].value or 0.0}),
            "largest_clusters": markdown_table(clusters.drop("entries").head(20).to_dicts()),
            "central_products_sheet": _central_products(lake, clusters, review, members, products),
            "clusters_for_review": review.height,
            "for_review": markdown_table(review.head(20).to_dicts()),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)


def _central_products(
    lake: Lake,
    clusters: pl.DataFrame,
    review: pl.DataFrame,
    members: pl.DataFrame,
    products: pl.DataFrame,
) -> dg.MarkdownMetadataValue:
    """The product nearest to the centre of each cluster under its label, those for review first."""
    central = (
        members.join(products.filter(pl.col("images").list.len() > 0), on="product_id")
        .sort("similarity", "product_id", descending=[True, False])
        .unique("cluster_id", keep="first", maintain_order=True)
    )
    asked = review.select("cluster_id", label=pl.format("for review: {}", "label")).head(6)
    named = pl.concat([asked, clusters.select("cluster_id", "label")])
    shown = named.join(central, on="cluster_id", maintain_order="left").head(24)
    pictures = [lake.image(images[0]) for images in shown["images"]]
    return contact_sheet(pictures, list(shown["label"]))
