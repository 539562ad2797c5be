"""Exports of tills (points of sale) and of the shops that belong to them.

Names are as `names.plain` has them. What an export does not say here is found out as for any file.
"""

from pinlanding_assets.catalog.drafting.export import Export

TILLS = (
    Export(
        "an item library of Square",
        ("token", "item name", "variation name", "price"),
        columns={
            "id": ("item name",),
            "title": ("item name",),
            "description": ("description",),
            "price": ("price",),
            "seller": (),
            "url": (),
        },
        attributes={"category": ("categories", ","), "variation": ("variation name", None)},
        pairs=({"names": "Option Name {n}", "column": "Option Value {n}"},),
        rows="joined",
        product_type="category",
        ignored=(
            *("token", "reference handle", "sku", "gtin", "option", "reporting", "item type"),
            *("square online", "weight", "tax", "modifier", "default", "stock", "new quantity"),
            *("contains", "customer facing", "enabled", "permalink", "shipping", "self serve"),
        ),
        notes={
            "columns.id": (
                "",
                "the item's name is taken: each variation has another token, and a "
                "renamed item is a new product",
            ),
        },
    ),
    Export(
        "a catalog of Ecwid",
        ("type", "product internal id", "product name", "product price"),
        columns={
            "id": ("product internal id",),
            "title": ("product name",),
            "description": ("product description",),
            "price": ("product price",),
            "seller": ("product brand",),
            "availability": (
                "\"product is inventory tracked\" == 'false' && 'yes' || ''",
                "product quantity",
            ),
            "status": ("product is available",),
            "url": ("product url",),
        },
        images=(
            ("product media main image url", None),
            ("product media gallery image url {n}", None),
        ),
        attributes={
            "category": ("product category 1", "/"),
            "category_2": ("product category 2", "/"),
        },
        pairs=({"names": "product_option_name", "column": "product_option_value"},),
        rows="joined",
        product_type="category",
        ignored=(
            *("type", "product sku", "product option", "product variation", "product media"),
            *("product seo", "product shipping", "product tax", "product is", "product upc"),
            *("product custom", "product related", "product low", "product weight"),
        ),
    ),
    Export(
        "a product export of Lightspeed Retail",
        ("handle", "sku", "name", "retail price|price", "supply price", "product category|type"),
        columns={
            "id": ("handle",),
            "title": ("name",),
            "description": ("description",),
            "price": ("retail price", "price"),
            "seller": ("brand name", "brand"),
            "status": ("active",),
            "url": (),
        },
        attributes={"category": ("product category", "/"), "tag": ("tags", ",")},
        rows="joined",
        product_type="category",
        ignored=(
            *("composite", "supply", "supplier", "tax", "account", "loyalty", "reorder", "restock"),
            *("track", "sku", "id", "outlet tax", "inventory"),
        ),
        notes={"columns.id": ("", "rows of one handle are variants of one product")},
    ),
)
