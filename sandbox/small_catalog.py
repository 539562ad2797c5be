"""A small catalog in three shapes that shops and data sets really export: `examples/rendered`.

`python -m sandbox.small_catalog [FOLDER]` writes it anew: the same products as a Shopify-like CSV
(a product in several rows), as nested JSON Lines, and as Parquet with the photos inside.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from sandbox.photos import encode_jpeg
from sandbox.products import Product, product
from sandbox.renderer import render

PRODUCTS, SEED, SIDE = 80, 7, 96  # products, of this world, photos of so many px
FOLDER = Path(__file__).resolve().parent.parent / "examples" / "rendered"
_STOCK = {"in stock": 12, "out of stock": 0}


def write(folder: Path) -> None:
    """Write feeds and photos into a folder."""
    items = [product(SEED, index) for index in range(PRODUCTS)]
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for item in items:
        for view, name in enumerate(_photos(item)):
            (folder / "photos" / name).write_bytes(_photo(item, view))
    _write_shopify(folder / "shopify.csv", items)
    _write_nested(folder / "nested.jsonl", items)
    _write_parquet(folder / "photos.parquet", items)


def _photos(item: Product) -> list[str]:
    return [f"{item.sku}-{view}.jpg" for view in range(min(item.views, 2))]


def _photo(item: Product, view: int) -> bytes:
    return encode_jpeg(render(item.attributes, item.look, view, SIDE))


def _write_shopify(path: Path, items: Sequence[Product]) -> None:
    """One product in several rows: the first has its texts, others a size or a further photo."""
    header = [
        *("Handle", "Title", "Body (HTML)", "Vendor", "Type", "Tags", "Published"),
        *("Option1 Name", "Option1 Value", "Variant SKU", "Variant Inventory Qty"),
        *("Variant Price", "Image Src", "Image Position", "Status"),
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, header)
        rows.writeheader()
        for item in items:
            sizes, photos = ("S", "M"), _photos(item)
            for at in range(max(len(sizes), len(photos))):
                row = {"Handle": item.sku}
                if at < len(sizes):
                    row["Option1 Name"] = "Size" if at == 0 else ""
                    row["Option1 Value"] = sizes[at]
                    row["Variant SKU"] = f"{item.sku}-{sizes[at]}"
                    row["Variant Inventory Qty"] = str(_STOCK[item.availability])
                    row["Variant Price"] = f"{item.price + at:.2f}"
                if at < len(photos):
                    row |= {"Image Src": f"photos/{photos[at]}", "Image Position": str(at + 1)}
                if at == 0:
                    row |= {"Title": item.title, "Body (HTML)": f"<p>{item.description}</p>"}
                    row |= {"Vendor": item.seller, "Type": item.attributes["category"]}
                    row |= {"Tags": _tags(item), "Published": "true", "Status": "active"}
                rows.writerow(row)


def _tags(item: Product) -> str:
    return ", ".join(sorted({item.attributes["colour"], item.attributes["pattern"]}))


def _write_nested(path: Path, items: Sequence[Product]) -> None:
    lines = [json.dumps(_nested(item), ensure_ascii=False) for item in items]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _nested(item: Product) -> dict[str, Any]:
    details = [{"name": key, "value": value} for key, value in sorted(item.attributes.items())]
    return {
        "id": item.sku,
        "name": item.title,
        "description": [item.description],
        "brand": {"name": item.seller},
        "offer": {
            "price": {"amount": item.price, "currency": item.currency},
            "availability": f"https://schema.org/{item.availability.title().replace(' ', '')}",
        },
        "media": [{"url": f"photos/{name}", "type": "image"} for name in _photos(item)],
        "details": details,
    }


def _write_parquet(path: Path, items: Sequence[Product]) -> None:
    pl.DataFrame(
        {
            "item_id": [item.index for item in items],
            "caption": [item.title for item in items],
            "label": [item.attributes["category"] for item in items],
            "price": pl.Series([item.price for item in items], dtype=pl.Float32),
            "currency": [item.currency for item in items],
            "image": [{"bytes": _photo(item, 0), "path": _photos(item)[0]} for item in items],
        }
    ).write_parquet(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
