"""A dual encoder learns the vocabulary from the labelled sample, to label every product."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from pinlanding_assets.attributes.assets import attribute_vocabulary
from pinlanding_assets.attributes.describing import current
from pinlanding_assets.attributes.labels import resolve_labels
from pinlanding_assets.attributes.statements import resolver
from pinlanding_assets.attributes.titles import read_titles
from pinlanding_assets.catalog.live import live
from pinlanding_assets.checks import CHECKS, encoder_figures
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.decisions.assets import heard
from pinlanding_assets.encoder.training import train
from pinlanding_assets.encoder.vectors import CachedVectors
from pinlanding_assets.partitions import EVERY_DAY
from resources.checkpoints import Checkpoints
from resources.encoders import Encoders
from resources.gpu import Gpu
from resources.lake import ComputeCache, Lake
from resources.quality import Limits, check_results, specs, stop
from resources.reporting import (
    explained,
    line_chart,
    markdown_table,
    reliability_chart,
    rounded,
    table_metadata,
)

FEW_LABELS = (
    "look at `keys` of attribute_vocabulary and `sources` of vlm_attributes: more days, more "
    "columns under `attributes:` in catalog.yaml or a vision-language model give more labels."
)


@dg.asset(
    deps=[
        attribute_vocabulary,
        dg.AssetDep("vlm_attributes", partition_mapping=EVERY_DAY),
        dg.AssetDep("catalog", partition_mapping=EVERY_DAY),
    ],
    group_name="encoder",
    kinds={"pytorch"},
    code_version="6",
    pool="gpu_train",
    check_specs=specs(CHECKS, "dual_encoder"),
)
def dual_encoder(
    context: dg.AssetExecutionContext,
    lake: Lake,
    cache: ComputeCache,
    gpu: Gpu,
    encoders: Encoders,
    checkpoints: Checkpoints,
    limits: Limits,
) -> Iterator[dg.MaterializeResult]:
    """The checkpoint that labels every product: tuned to the vocabulary, calibrated by entry."""
    products = live(lake.scan("catalog", "products")).collect()
    entries, aliases, keys = (
        lake.read("attribute_vocabulary", table) for table in ("entries", "aliases", "keys")
    )
    mentions = current(lake.scan("vlm_attributes", "mentions").collect(), products)
    read = read_titles(products, lake.read("attribute_vocabulary", "title_words"))
    said = heard(lake).heard(pl.concat([mentions, read]), products)
    labels = resolve_labels(said, aliases, keys)
    curves: list[dict[str, float]] = []

    def progress(step: int, steps: int, figures: dict[str, float]) -> None:
        said = " ".join(f"{name} {value:.4f}" for name, value in figures.items())
        context.log.info(f"dual_encoder: {step:,}/{steps:,} steps {said}")
        curves.append({"step": step, **figures})

    with gpu.session() as session, explained(FEW_LABELS):
        trained = train(
            encoders.backbone(session.device),
            products,
            labels,
            entries,
            keys,
            statements=resolver(aliases, entries)(said),
            load_image=lake.image,
            progress=progress,
        )
        model = trained.model
        vectors = model.entry_vectors(list(entries["entry_id"]), list(entries["phrase"]))
        version = checkpoints.save(
            "dual_encoder", model.save, about={"base": encoders.base, **trained.metrics}
        )
        cost = session.metadata()
    # what was read here need not be read again
    CachedVectors(cache, model.version).put(trained.vectors)
    entry_vectors = pl.DataFrame({"entry_id": entries["entry_id"], "vector": vectors})
    manifest = lake.commit(
        "dual_encoder",
        {
            "calibration": trained.calibration,
            "entry_vectors": entry_vectors,
            "retrieval": trained.retrieval,
            "held_out": trained.held_out,
            "title_trust": trained.title_trust,
            "estimates": trained.estimates,
            "read_entries": pl.DataFrame({"entry_id": model.entry_ids}),
        },
        versions={
            "checkpoint": version,
            "model": model.version,
        },
    )
    found = encoder_figures(entry_vectors, trained.retrieval, trained.estimates, limits)
    results = check_results(CHECKS, "dual_encoder", {None: found})
    yield dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "calibration", COLUMNS["dual_encoder"]),
            **rounded(trained.metrics),
            **cost,
            "checkpoint": version,
            "labelled_products": labels["product_id"].n_unique(),
            "training_curves": line_chart(pl.DataFrame(curves, infer_schema_length=None), "step"),
            "reliability": reliability_chart(trained.reliability),
            "estimates": markdown_table(trained.estimates.to_dicts()),
            "retrieval": markdown_table(
                trained.retrieval.with_columns(pl.concat_str("method", "modality", separator=", "))
                .pivot("method", index="figure", values="value")
                .to_dicts()
            ),
        },
        data_version=dg.DataVersion(f"{version}-{manifest.data_version}"),
        check_results=results,
    )
    stop(results)
