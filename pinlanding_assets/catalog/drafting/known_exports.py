"""Exports that are recognized by their columns: of shops, and of channels, data sets and museums.

Names are as `names.plain` has them. What an export does not say here is found out as for any file.
"""

from collections.abc import Sequence

from pinlanding_assets.catalog.drafting.export import Export
from pinlanding_assets.catalog.drafting.known_markets import MARKETS
from pinlanding_assets.catalog.drafting.known_shops import SHOPS
from pinlanding_assets.catalog.drafting.known_tills import TILLS
from pinlanding_assets.catalog.drafting.names import plain

_GOOGLE = {
    "id": ("id",),
    "title": ("title",),
    "description": ("description",),
    "url": ("link", "canonical link", "mobile link"),
    "seller": ("brand",),
    "availability": ("availability",),
}
_GOOGLE_IGNORED = (
    *("item group id", "condition", "adult", "shipping", "tax", "custom", "mobile", "gtin", "mpn"),
    *("identifier", "is bundle", "multipack", "ads", "unit pricing", "sale price effective"),
    *("excluded", "included", "promotion", "availability date", "quantity to sell", "store code"),
    *("energy", "min ", "max ", "status", "video", "visibility", "inventory", "rich text"),
)

CHANNELS = (
    Export(
        "a product feed of Google Merchant or Meta",
        ("id", "title", "link", "image link", "price|availability"),
        columns=_GOOGLE,
        attributes={"color": ("color", "/"), "material": ("material", "/")},
        ignored=_GOOGLE_IGNORED,
    ),
    Export(
        "an inventory file of Amazon",
        ("item sku", "item name", "main image url|standard price|feed product type"),
        columns={
            "id": ("item sku",),
            "parent": ("parent sku",),
            "title": ("item name",),
            "description": ("product description", "bullet point1"),
            "price": ("sale price", "standard price"),
            "seller": ("brand name", "manufacturer"),
            "availability": ("quantity",),
            "operation": ("update delete",),
            "url": (),
        },
        images=(("main image url", None), ("other image url{n}", None)),
        attributes={
            "type": ("feed product type", None),
            "kind": ("item type", None),
            "color": ("color name", None),
            "size": ("size name", None),
            "material": ("material type", None),
        },
        product_type="type",
        ignored=(
            *(
                "external",
                "bullet",
                "generic",
                "parent",
                "relationship",
                "variation",
                "fulfillment",
            ),
            *(
                "update",
                "swatch",
                "other image",
                "condition",
                "merchant",
                "handling",
                "max",
                "color",
            ),
            *("size", "part number", "model", "list price", "sale", "package", "item", "website"),
            *("cpsia", "batter", "lithium", "hazmat", "ghs", "safety"),
        ),
    ),
    Export(
        "product metadata of the Amazon reviews", ("parent asin", "title", "main category|details")
    ),
    Export(
        "the open data of a museum",
        ("object id|objectid", "title", "medium|classification|department"),
    ),
)


def recognize(names: Sequence[str]) -> Export | None:
    """The export that has columns of these names."""
    known = {plain(name) for name in names}
    for export in (*SHOPS, *TILLS, *MARKETS, *CHANNELS):
        if all(any(one in known for one in need.split("|")) for need in export.needs):
            return export
    return None
