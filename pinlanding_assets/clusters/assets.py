"""Products that look and read alike, whatever they are called."""

from collections.abc import Iterator

import dagster as dg

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.catalog.live import live
from pinlanding_assets.checks import CHECKS, cluster_sizes
from pinlanding_assets.clusters.clustering import cluster
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
    ],
    group_name="clusters",
    kinds={"scikitlearn", "parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "product_clusters"),
)
def product_clusters(lake: Lake, limits: Limits) -> Iterator[dg.MaterializeResult]:
    """Groups of similar products by their vectors, named by the attributes they have more of."""
    products = live(lake.scan("catalog", "products"))
    clusters, members = cluster(current_embeddings(lake), current_assignments(lake))
    manifest = lake.commit("product_clusters", {"clusters": clusters, "members": members})
    central = (
        members.sort("cluster_id", "similarity", "product_id", descending=[False, True, False])
        .unique("cluster_id", keep="first", maintain_order=True)
        .join(
            products.select("product_id", "images").collect(),
            on="product_id",
            maintain_order="left",
        )
        .join(clusters.select("cluster_id", "label"), on="cluster_id", maintain_order="left")
    )
    pictured = [
        (images[0], label)
        for images, label in central.select("images", "label").iter_rows()
        if images
    ]
    found = cluster_sizes(clusters["size"], limits)
    results = check_results(CHECKS, "product_clusters", {None: found})
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "clusters", COLUMNS["product_clusters"]),
            **rounded({"largest_cluster": found["largest_cluster"].value or 0.0}),
            "largest_clusters": markdown_table(clusters.drop("entries").head(20).to_dicts()),
            "central_products_sheet": contact_sheet(
                [lake.image(image) for image, _ in pictured[:24]],
                [text for _, text in pictured[:24]],
            ),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=results,
    )
    stop(results)
