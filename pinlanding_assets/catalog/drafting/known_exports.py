"""Exports of well-known shops and channels, recognized by the names of their columns.

Names are compared as `names.plain` has them. What an export does not say here is found out as for
any other file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pinlanding_assets.catalog.drafting.names import plain


@dataclass(frozen=True)
class Export:
    """What the columns of an export mean.

    Attributes:
        name: For people.
        needs: Columns that are all there; one with `|` is any of several.
        columns: Field -> its columns, the first that is not blank counts. () leaves a field out.
        images: Columns and how they are split; {n} stands for 1, 2, 3, ...
        attributes: Key -> column and how it is split.
        pairs: Columns of keys and values, as the setting `attributes."*"` has them.
        only: Column -> the values of rows that count, where the column has no other values than
            these and those of `not_sold`.
        ignored: Columns that say nothing, by the beginning of their names.
        notes: Setting -> what is doubtful where a column is there (always, for "").
    """

    name: str
    needs: tuple[str, ...]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    images: tuple[tuple[str, str | None], ...] = ()
    attributes: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    pairs: tuple[dict[str, str], ...] = ()
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: str = ""
    product_type: str = ""
    ignored: tuple[str, ...] = ()
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)


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

EXPORTS = (
    Export(
        "a product export of Shopify",
        ("handle", "title", "variant price|option1 name|variant sku"),
        columns={
            "id": ("handle",),
            "title": ("title",),
            "description": ("body html",),
            "price": ("variant price",),
            "seller": ("vendor",),
            "status": ("status", "published"),
            "url": (),
        },
        images=(("image src", None), ("variant image", None)),
        attributes={
            "type": ("type", None),
            "category": ("product category", ">"),
            "tag": ("tags", ","),
        },
        rows="joined",
        product_type="type",
        ignored=(
            *("variant", "option", "google shopping", "seo", "gift card", "image", "price", "cost"),
            *(
                "compare at",
                "included",
                "published",
                "status",
                "standard product",
                "custom product",
            ),
            *("unit price", "template", "collection"),
        ),
    ),
    Export(
        "the products.json of a Shopify shop",
        ("handle", "title", "variants", "vendor", "body html|product type|published at"),
        columns={
            "id": ("id",),
            "title": ("title",),
            "description": ("body_html",),
            "seller": ("vendor",),
            "price": ("variants[0].price",),
            "url": (),
        },
        attributes={"type": ("product_type", None), "tag": ("tags", ",")},
        product_type="type",
        ignored=("variants", "options", "handle", "published", "created", "updated", "template"),
    ),
    Export(
        "a product export of WooCommerce",
        ("type", "sku", "name", "regular price", "attribute 1 name|in stock|published"),
        columns={
            "id": ("id", "sku"),
            "parent": ("parent",),
            "parent_key": ("sku",),
            "title": ("name",),
            "description": ("description", "short description"),
            "price": ("sale price", "regular price"),
            "availability": ("in stock", "stock"),
            "seller": ("brands", "brand"),
            "url": ("external url",),
            "status": ("published",),
        },
        images=(("images", ","),),
        attributes={"category": ("categories", ","), "tag": ("tags", ",")},
        pairs=({"names": "Attribute {n} name", "column": "Attribute {n} value(s)", "split": ","},),
        product_type="category",
        ignored=(
            *("attribute", "type", "meta", "tax", "shipping", "upsells", "cross sells", "grouped"),
            *(
                "download",
                "position",
                "button",
                "purchase note",
                "allow",
                "low stock",
                "backorders",
            ),
            *("sold", "weight", "length", "width", "height", "is featured", "visibility", "date"),
            *("swatches", "parent", "gtin"),
        ),
    ),
    Export(
        "a product export of Magento",
        ("sku", "attribute set code", "product type", "name"),
        columns={
            "id": ("sku",),
            "title": ("name",),
            "description": ("description", "short description"),
            "price": ("special price", "price"),
            "availability": ("is in stock", "qty"),
            "seller": (),
            "url": (),
        },
        images=(("base image", None), ("additional images", ",")),
        attributes={"type": ("attribute set code", None), "category": ("categories", ",")},
        pairs=({"column": "additional attributes"},),
        only={
            "store view code": ("", "default"),
            "product online": ("1", ""),
            "visibility": ("Catalog, Search", "Catalog", "Search", ""),
        },
        product_type="type",
        ignored=(
            *(
                "product",
                "store",
                "visibility",
                "url",
                "meta",
                "small image",
                "thumbnail",
                "swatch",
            ),
            *(
                "created",
                "updated",
                "new from",
                "new to",
                "display",
                "map",
                "msrp",
                "country",
                "qty",
            ),
            *(
                "custom",
                "page layout",
                "tax",
                "weight",
                "out of stock",
                "use config",
                "allow",
                "min",
            ),
            *("max", "notify", "manage", "enable", "is decimal", "related", "crosssell", "upsell"),
            *(
                "bundle",
                "associated",
                "configurable",
                "base image",
                "additional",
                "hide",
                "website",
            ),
            *("gift", "price", "special", "is qty", "backorders", "deferred"),
        ),
    ),
    Export(
        "a product export of BigCommerce",
        ("item type", "product id", "product name", "product code sku|price"),
        columns={
            "id": ("product id",),
            "title": ("product name",),
            "description": ("product description", "description"),
            "price": ("sale price", "price", "calculated price"),
            "seller": ("brand name", "brand"),
            "availability": ("current stock level", "stock level"),
            "status": ("product visible",),
            "url": (),
        },
        images=(
            ("product image url {n}", None),
            ("product image file {n}", None),
        ),
        attributes={"category": ("category", ";")},
        product_type="category",
        only={"item type": ("Product",)},
        ignored=(
            *("product image", "product type", "product code", "bin", "option", "cost", "retail"),
            *(
                "fixed",
                "free",
                "product weight",
                "product width",
                "product height",
                "product depth",
            ),
            *("allow", "product visible", "product availability", "track", "low stock", "date"),
            *(
                "page title",
                "meta",
                "product url",
                "redirect",
                "gps",
                "tax",
                "sort",
                "show",
                "event",
            ),
            *("search", "item type", "product condition", "product inventoried", "gtin"),
        ),
        notes={"rows": ("", "rows of variants (SKU, Rule) have ids of their own and are left out")},
    ),
    Export(
        "a product export of BigCommerce",
        ("item", "id", "name", "inventory tracking|brand id|image url import"),
        columns={
            "id": ("id",),
            "title": ("name",),
            "description": ("description",),
            "price": ("sale price", "price"),
            "availability": ("current stock",),
            "seller": (),
            "url": (),
        },
        images=(("image url import", None), ("internal image url export", None)),
        attributes={"category": ("categories", ";")},
        only={"item": ("Product",)},
        ignored=("type", "brand", "channels", "image", "internal", "options", "inventory", "item"),
        notes={
            "rows": (
                "",
                "rows of variants and images have ids of their own and nothing that names their "
                "product, so they are left out, and images that stand in them are, too",
            )
        },
    ),
    Export(
        "a product list of PrestaShop",
        ("product id|id", "name", "image urls x y z|feature name value position|active 0 1"),
        columns={
            "id": ("product id", "id"),
            "title": ("name",),
            "description": ("description", "summary"),
            "price": ("price tax included", "price tax incl", "price tax excluded"),
            "seller": ("manufacturer", "brand"),
            "availability": ("quantity",),
            "status": ("active 0 1", "active"),
            "url": (),
        },
        images=(("image urls x y z", ","),),
        attributes={"category": ("categories x y z", ","), "tag": ("tags x y z", ",")},
        notes={
            'attributes."*"': (
                "feature name value position",
                "the features (Name:Value:Position) cannot be taken apart, so they are left out",
            )
        },
        product_type="category",
        ignored=(
            *("feature", "meta", "image alt", "text when", "url rewritten", "on sale", "discount"),
            *("supplier", "available", "active", "reference", "id", "advanced", "show", "delete"),
            *("tax", "width", "height", "depth", "weight", "minimal", "visibility", "additional"),
        ),
    ),
    Export(
        "a product feed of Google Merchant or Meta",
        ("id", "title", "link", "image link", "price|availability"),
        columns=_GOOGLE,
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
    for export in EXPORTS:
        if all(any(one in known for one in need.split("|")) for need in export.needs):
            return export
    return None
