"""What a materialization of the catalog shows in the UI."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from pinlanding_assets.columns import COLUMNS
from resources.lake import Lake, Manifest
from resources.reporting import contact_sheet, markdown_table, rounded, table_metadata

if TYPE_CHECKING:
    from pinlanding_assets.catalog.feed import ParsedFeed

_PICTURES = 18


def day_shown(
    manifest: Manifest,
    parsed: "ParsedFeed",
    tables: Mapping[str, pl.DataFrame],
    profile: pl.DataFrame,
    records: int,
    lake: Lake,
) -> dict[str, Any]:
    """Counts, rejects by reason, the profile of the fields, and some products with pictures."""
    pictured = tables["products"].filter(pl.col("images").list.len() > 0)
    refused = tables["rejects"].select("file", "row").unique().height
    sample = pictured.sample(min(_PICTURES, pictured.height), seed=0)
    return {
        **table_metadata(manifest, "products", COLUMNS["catalog"]),
        **rounded({"reject_rate": refused / max(1, records)}),
        "superseded_rows": parsed.superseded,
        "joined_rows": parsed.parts,
        "left_out_rows": parsed.left_out,
        "rejects": markdown_table(
            tables["rejects"]
            .group_by("field", "reason")
            .len("rows")
            .sort("rows", "field", "reason", descending=[True, False, False])
            .head(30)
            .to_dicts()
        ),
        "profile": markdown_table(
            {name: f"{v:.2f}" if isinstance(v, float) else v for name, v in row.items()}
            for row in profile.iter_rows(named=True)
        ),
        "products_sheet": contact_sheet(
            [lake.image(images[0]) for images in sample["images"]], list(sample["title"])
        ),
    }
