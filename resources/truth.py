"""What is really true of the sandbox's products: for the scorecard, and for nothing else."""

from pathlib import Path

import dagster as dg
import polars as pl


class Truth(dg.ConfigurableResource):
    """The sandbox's ground truth, kept outside the lake and the feeds. Empty `root`: none known."""

    root: str = ""

    def attributes(self) -> pl.DataFrame | None:
        """True attributes (product_id, key, value), one row each; None where nobody knows."""
        path = Path(self.root) / "products.parquet"
        if not self.root or not path.exists():
            return None
        return pl.read_parquet(path).select("product_id", "key", "value")

    def synonyms(self) -> dict[str, dict[str, list[str]]]:
        """Key -> value -> every other word that sellers use for it; empty where nobody knows.

        A gift to the keyword arm of the scorecard, which no shop would have in full.
        """
        path = Path(self.root) / "synonyms.parquet"
        if not self.root or not path.exists():
            return {}
        found: dict[str, dict[str, list[str]]] = {}
        table = pl.read_parquet(path).select("key", "value", "word")
        for key, value, word in table.iter_rows():
            found.setdefault(key, {}).setdefault(value, []).append(word)
        return found
