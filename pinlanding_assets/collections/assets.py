"""Topics are filled with products, gated, and published as a site."""

import hashlib
import re

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.catalog.live import live
from pinlanding_assets.collections.covers import cover_captions, cover_jpeg
from pinlanding_assets.collections.gates import Gates, verify_gates
from pinlanding_assets.collections.matching import Arrangement, match
from pinlanding_assets.collections.pages import pages_table
from pinlanding_assets.collections.publishing import SiteSettings, render_site
from pinlanding_assets.embeddings.assets import current_assignments
from pinlanding_assets.partitions import EVERY_DAY
from pinlanding_assets.topics.assets import topics
from resources.catalog_source import CatalogSource
from resources.checkpoints import Checkpoints
from resources.diffusion import Diffusion
from resources.gpu import Gpu
from resources.lake import Lake
from resources.reporting import Progress, contact_sheet, markdown_table, table_metadata
from resources.site import SiteStore


def gates_of(source: CatalogSource) -> Gates:
    """What catalog.yaml asks of a page."""
    wanted = source.config().collections
    return Gates(min_products=wanted.min_products, min_sellers=wanted.min_sellers)


def arrangement_of(source: CatalogSource) -> Arrangement:
    """How catalog.yaml wants pages filled."""
    return Arrangement(max_products=source.config().collections.max_products)


@dg.asset(
    deps=[
        topics,
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("product_embeddings", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
    ],
    group_name="collections",
    kinds={"polars", "parquet"},
    code_version="1",
)
def collections(source: CatalogSource, lake: Lake) -> dg.MaterializeResult:
    """Every topic with its ranked products, without twins, and whether it passed the gates."""
    products = live(lake.scan("catalog", "products"))
    version = ["product_id", "date"]
    assigned = lake.scan("product_attributes", "assignments").join(products, on=version, how="semi")
    embeddings = lake.scan("product_embeddings", "embeddings").join(
        products, on=version, how="semi"
    )
    shelf = products.collect()
    found, items = match(
        lake.read("topics", "topics"),
        assigned.drop("date").collect(),
        shelf,
        embeddings.drop("date").collect(),
        arrangement=arrangement_of(source),
        gates=gates_of(source),
    )
    manifest = lake.commit("collections", {"collections": found, "items": items})
    accepted = found.filter(pl.col("accepted"))
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "collections", lineage={"title": [("topics", "title")]}),
            "accepted": accepted.height,
            "refusals": markdown_table(
                found.filter(~pl.col("accepted"))
                .group_by(pl.col("reason").str.slice(0, 40))
                .len("collections")
                .sort("collections", "reason", descending=[True, False])
                .head(20)
                .to_dicts()
            ),
            "first_products_sheet": _sheet(lake, accepted, items, shelf),
        },
        data_version=dg.DataVersion(manifest.data_version),
    )


def _sheet(
    lake: Lake, accepted: pl.DataFrame, items: pl.DataFrame, shelf: pl.DataFrame
) -> dg.MarkdownMetadataValue:
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
            **table_metadata(manifest, "covers"),
            "checkpoint": version or "none",
            "sheet": contact_sheet(pictures, list(sheet["caption"])),
        },
        data_version=dg.DataVersion(manifest.data_version),
    )


def _type_key(lake: Lake) -> str | None:
    roles = dict(lake.read("attribute_vocabulary", "keys").select("role", "key").iter_rows())
    return roles.get("product_type")


def _covers(lake: Lake) -> dict[str, str]:
    """topic_id -> image; empty where no model has drawn any."""
    if lake.manifest("collection_covers") is None:
        return {}
    return dict(lake.read("collection_covers", "covers").select("topic_id", "image").iter_rows())


@dg.asset(
    deps=[
        collections,
        collection_covers,
        dg.AssetDep("product_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
        attribute_vocabulary,
    ],
    group_name="collections",
    kinds={"html"},
    code_version="1",
)
def published_collections(
    context: dg.AssetExecutionContext, source: CatalogSource, lake: Lake, site: SiteStore
) -> dg.MaterializeResult:
    """The site that shoppers see, switched atomically; the gates are verified again before."""
    config = source.config()
    shelf = live(lake.scan("catalog", "products")).collect()
    found, items = (lake.read("collections", table) for table in ("collections", "items"))
    verify_gates(found, items, shelf, gates_of(source))
    files = render_site(
        found,
        items,
        shelf,
        lake.read("attribute_vocabulary", "entries"),
        site=SiteSettings(
            title=config.site.title or re.sub("[-_]", " ", config.name).title(),
            base_url=config.site.base_url,
            tagline=config.site.tagline,
            currency=config.defaults.currency,
            type_key=_type_key(lake),
        ),
        image_bytes=lake.image,
        covers=_covers(lake),
        assignments=current_assignments(lake).select("product_id", "entry_id"),
    )
    progress = Progress(context.log.info, "published_collections", found.height, "pages")
    before = site.current()
    version = site.publish(_counted(files, progress))
    site.prune(keep=5)
    pages = pages_table(found, items, shelf)
    manifest = lake.commit("published_collections", {"pages": pages}, versions={"site": version})
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "pages", lineage={"title": [("collections", "title")]}),
            "version": version,
            "previous_version": before or "none",
            "site": dg.MetadataValue.path(f"{site.root}/current/index.html"),
            "pages": markdown_table(pages.select("title", "path", "products").head(40).to_dicts()),
        },
        data_version=dg.DataVersion(version),
    )


def _counted(files, progress: Progress):
    for path, data in files:
        if path.startswith("collections/"):
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
