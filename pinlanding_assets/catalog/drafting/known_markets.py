"""Exports of site builders, marketplaces, price comparison and museums' interfaces.

Names are as `names.plain` has them; an expression (`Export.columns`) has them in quotes. What an
export does not say here is found out as for any file.
"""

from pinlanding_assets.catalog.drafting.export import Export

MARKETS = (
    Export(
        "a product export of Wix",
        ("handle id", "field type", "name", "product image url|inventory"),
        columns={
            "id": ("handle id",),
            "title": ("name",),
            "description": ("description",),
            "price": ("price",),
            "seller": ("brand",),
            "availability": ("inventory",),
            "status": ("visible",),
            "url": (),
        },
        images=(("product image url", ";"),),
        images_from="https://static.wixstatic.com/media",
        attributes={"category": ("collection", ";"), "ribbon": ("ribbon", None)},
        pairs=(
            {
                "names": "productOptionName{n}",
                "column": "productOptionDescription{n}",
                "split": ";",
            },
            {"names": "additionalInfoTitle{n}", "column": "additionalInfoDescription{n}"},
        ),
        rows="joined",
        product_type="category",
        ignored=(
            *("product option", "additional info", "discount", "surcharge", "cost", "weight"),
            *("field type", "custom text", "sku", "visible"),
        ),
        notes={"columns.price": ("discount value", "discounts (discountValue) are not heeded")},
    ),
    Export(
        "a product export of Squarespace",
        ("product id non editable", "variant id non editable", "title", "price"),
        columns={
            "id": ("product id non editable",),
            "title": ("title",),
            "description": ("description",),
            "price": ("\"on sale\" == 'Yes' && \"sale price\" || ''", "price"),
            "availability": ("stock",),
            "status": ("visible",),
            "seller": (),
            "url": (),
        },
        images=(("hosted image urls", " "),),
        attributes={"category": ("categories", ","), "tag": ("tags", ",")},
        pairs=({"names": "Option Name {n}", "column": "Option Value {n}"},),
        rows="joined",
        product_type="category",
        ignored=(
            *("product", "variant", "option", "sku", "on sale", "sale price", "weight", "length"),
            *("width", "height", "visible", "stock"),
        ),
    ),
    Export(
        "a file of eBay's File Exchange",
        ("title", "start price", "quantity", "pic url|picurl"),
        columns={
            "id": ("custom label", "item id", "title"),
            "title": ("title",),
            "description": ("description",),
            "price": ("buy it now price", "start price"),
            "availability": ("quantity",),
            "operation": (),
            "url": (),
            "seller": (),
        },
        images=(("pic url", "|"), ("picurl", "|")),
        ignored=(
            *("action", "category", "condition", "format", "duration", "relationship", "postal"),
            *("location", "shipping", "dispatch", "returns", "payment", "paypal", "store", "site"),
            *("product", "custom label", "start price", "reserve", "best offer", "vat", "start"),
        ),
        notes={"columns.operation": ("action", "the actions (Add, Revise, End) are not heeded")},
    ),
    Export(
        "a report of eBay's active listings",
        ("item number", "title", "custom label sku", "available quantity"),
        columns={
            "id": ("item number",),
            "title": ("title",),
            "price": ("current price", "start price"),
            "availability": ("available quantity",),
            "operation": (),
            "url": (),
            "seller": (),
        },
        attributes={
            "category": ("ebay category 1 name", None),
            "condition": ("condition", None),
        },
        pairs=({"column": "variation details", "split": ";"},),
        rows="joined",
        product_type="category",
        ignored=(
            *("variation", "custom label", "format", "start", "auction", "reserve", "current"),
            *("sold", "watchers", "bids", "end", "ebay", "cd", "listing", "p "),
        ),
    ),
    Export(
        "a feed for Heureka",
        ("item id", "productname", "price vat"),
        columns={
            "id": ("item id",),
            "title": ("productname", "product"),
            "description": ("description",),
            "price": ("price vat",),
            "seller": ("manufacturer",),
            "url": ("url",),
            # 0 days until it is sent: it is there; a number of days says nothing of that
            "availability": ("\"delivery date\" == '0' && 'yes' || ''",),
        },
        images=(("imgurl", None), ("imgurl alternative", None)),
        attributes={"category": ("categorytext", "|")},
        product_type="category",
        ignored=("delivery", "item", "ean", "vat", "product", "heureka", "gift", "video", "acc"),
    ),
    Export(
        "objects of Europeana",
        ("id", "guid", "data provider", "edm preview|edm is shown by"),
        columns={"url": ("guid", "edm is shown at"), "seller": (), "availability": ()},
        images=(('"edm is shown by" && "edm is shown by" || "edm preview"', None),),
        ignored=("edm", "europeana", "completeness", "timestamp", "score", "link", "index", "ugc"),
    ),
    Export(
        "IIIF manifests",
        ("type|@type", "label", "items|sequences", "metadata|thumbnail|summary|@context"),
        images=(
            ("items[].items[].items[].body.id", None),
            ('sequences[].canvases[].images[].resource."@id"', None),
        ),
        ignored=("items", "sequences", "thumbnail", "context", "type", "structures", "provider"),
    ),
    Export(
        "the collection of the Art Institute of Chicago",
        ("id", "title", "image id", "artist display", "medium display"),
        images=(
            (
                "\"image id\" && join('', ['https://www.artic.edu/iiif/2/', \"image id\", "
                "'/full/843,/0/default.jpg']) || ''",
                None,
            ),
        ),
    ),
)
