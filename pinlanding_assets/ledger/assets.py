"""What the models behind servers were asked, and what it cost."""

import dagster as dg
import polars as pl

from pinlanding_assets.checks import CHECKS, model_calls
from pinlanding_assets.columns import COLUMNS
from pinlanding_assets.ledger.accounts import days, newest_day, up_to_date
from pinlanding_assets.partitions import EVERY_DAY
from resources.lake import Lake
from resources.ledger import USAGE_SCHEMA
from resources.quality import Limits, check_results, specs
from resources.reporting import line_chart, markdown_table, rounded, table_metadata
from resources.vision_language import VisionLanguage


@dg.asset(
    deps=[dg.AssetDep("vlm_attributes", partition_mapping=EVERY_DAY), "topics", "scorecard"],
    group_name="ledger",
    kinds={"parquet"},
    code_version="1",
    check_specs=specs(CHECKS, "model_ledger"),
)
def model_ledger(
    lake: Lake, vision_language: VisionLanguage, limits: Limits
) -> dg.MaterializeResult:
    """Calls, tokens, cost and latency of model servers by day, purpose and outcome."""
    ledger = vision_language.ledger
    known = lake.manifest("model_ledger") is not None
    before = lake.read("model_ledger", "usage") if known else pl.DataFrame(schema=USAGE_SCHEMA)
    usage = up_to_date(before, ledger.usage(str(before["day"].max() or "")))
    manifest = lake.commit("model_ledger", {"usage": usage})
    figures = newest_day(usage)
    spent = ledger.spent(usage["day"].max() or "")  # type: ignore[arg-type]
    return dg.MaterializeResult(
        metadata={
            **table_metadata(manifest, "usage", COLUMNS["model_ledger"]),
            **rounded(figures),
            "days": markdown_table(days(usage).head(30).to_dicts()),
            "newest": markdown_table(usage.filter(pl.col("day") == pl.col("day").max()).to_dicts()),
            **({"cost_curves": line_chart(days(usage).reverse(), "day")} if usage.height else {}),
        },
        data_version=dg.DataVersion(manifest.data_version),
        check_results=check_results(
            CHECKS, "model_ledger", {None: model_calls(figures, spent, ledger.caps(), limits)}
        ),
    )
