"""Exports of site builders, marketplaces and price comparison come in right by `map` alone."""

import json

from tests.catalog.feed_files import columns, csv, mapped, products


def test_wix_has_variants_swatches_and_bare_image_names(tmp_path):
    text = csv(
        "handleId,fieldType,name,description,productImageUrl,collection,price,visible,discountMode,"
        "discountValue,inventory,productOptionName1,productOptionType1,productOptionDescription1",
        "p1,Product,Rug,<p>Wool</p>,a_1~mv2.jpg;a_2~mv2.jpg,Floor;New,120,true,PERCENT,0.0,InStock,"
        "Color,COLOR,#ff0000:Red;#00ff00:Moss",
        "p1,Variant,,,,,,true,,,OutOfStock,,,Red",
        "p2,Product,Mat,,a_3~mv2.jpg,Floor,20,true,PERCENT,0.0,0,,,",
        "p3,Product,Old,,a_4~mv2.jpg,Floor,20,false,PERCENT,0.0,4,,,",
    )
    mapping = mapped(tmp_path, {"catalog_products.csv": text})
    found = products(mapping)
    assert found["p1"]["attributes"] == {"category": ["Floor", "New"], "color": ["Red", "Moss"]}
    assert found["p1"]["images"] == ["a_1~mv2.jpg", "a_2~mv2.jpg"]
    assert [found[i]["availability"] for i in ("p1", "p2", "p3")] == [
        *("in_stock", "out_of_stock", "out_of_stock")
    ]
    assert mapping.draft.settings["images_from"] == "https://static.wixstatic.com/media"


def test_squarespace_has_variants_without_an_id_and_sales_with_a_flag(tmp_path):
    text = csv(
        "Product ID [Non Editable],Variant ID [Non Editable],Title,Description,SKU,Option Name 1,"
        "Option Value 1,Price,Sale Price,On Sale,Stock,Categories,Tags,Visible,Hosted Image URLs",
        "a1,v1,Bowl,Stone,S1,Color,White,28.00,0.00,No,0,/home,clay,Yes,https://i.example/1.jpg "
        "https://i.example/2.jpg",
        ",v2,,,S2,Color,Sand,30.00,0.00,No,Unlimited,,,,",
        "a2,v3,Vase,Glass,S3,,,80.00,64.00,Yes,0,/home,clay,Yes,https://i.example/3.jpg",
        "a3,v4,Jug,Glass,S4,,,80.00,0.00,No,5,/home,clay,No,https://i.example/4.jpg",
    )
    found = products(mapped(tmp_path, {"products.csv": text}))
    assert found.keys() == {"a1", "a2", "a3"}
    assert found["a1"]["attributes"]["color"] == ["White", "Sand"]
    assert len(found["a1"]["images"]) == 2
    assert {i: (p["price"], p["availability"]) for i, p in found.items()} == {
        **{"a1": (28.0, "in_stock"), "a2": (64.0, "out_of_stock"), "a3": (80.0, "out_of_stock")}
    }


def test_ebay_has_its_currency_in_a_header(tmp_path):
    text = csv(
        "*Action(SiteID=UK|Country=GB|Currency=GBP|Version=1193),CustomLabel,*Category,*Title,"
        "*ConditionID,C:Brand,C:Color,PicURL,*Quantity,*StartPrice",
        "Add,E1,114,Leather belt,1000,Rind,Black,https://i.example/1.jpg|https://i.example/2.jpg,2,"
        "29.00",
        "Add,E2,114,Linen belt,1000,Rind,Blue,https://i.example/3.jpg,0,19.00",
    )
    found = products(mapped(tmp_path, {"active.csv": text}))
    assert (found["E1"]["price"], found["E1"]["currency"]) == (29.0, "GBP")
    assert found["E1"]["attributes"]["color"] == ["Black"]
    assert [len(found[i]["images"]) for i in ("E1", "E2")] == [2, 1]
    assert found["E2"]["availability"] == "out_of_stock"


def test_heureka_has_parameters_once_or_several_times(tmp_path):
    def item(number, params, days):
        shown = "".join(
            f"<PARAM><PARAM_NAME>{k}</PARAM_NAME><VAL>{v}</VAL></PARAM>" for k, v in params
        )
        return (
            f"<SHOPITEM><ITEM_ID>H{number}</ITEM_ID><PRODUCTNAME>Lampa {number}</PRODUCTNAME>"
            f"<URL>https://o.example/{number}</URL><IMGURL>https://i.example/{number}.jpg</IMGURL>"
            f"<PRICE_VAT>1290</PRICE_VAT><MANUFACTURER>Luna</MANUFACTURER>{shown}"
            f"<CATEGORYTEXT>Domov | Lampy</CATEGORYTEXT><DELIVERY_DATE>{days}</DELIVERY_DATE>"
            "</SHOPITEM>"
        )

    both = [("Barva", "bílá"), ("Materiál", "sklo")]
    text = f"<SHOP>{item(1, both, 0)}{item(2, both[:1], 5)}</SHOP>"
    found = products(mapped(tmp_path, {"feed.xml": text}))
    assert found["H1"]["attributes"] == {
        **{"category": ["Domov", "Lampy"], "barva": ["bílá"], "materiál": ["sklo"]}
    }
    assert found["H2"]["attributes"]["barva"] == ["bílá"]
    assert (found["H1"]["price"], found["H1"]["availability"]) == (1290.0, "in_stock")
    assert "availability" not in found["H2"]  # it comes in five days


def test_etsy_has_several_values_beside_their_name(tmp_path):
    text = csv(
        "TITLE,PRICE,CURRENCY_CODE,QUANTITY,TAGS,IMAGE1,IMAGE2,VARIATION 1 TYPE,VARIATION 1 NAME,"
        "VARIATION 1 VALUES,SKU",
        'Scarf,45.00,EUR,3,"wool,gift",https://i.example/1.jpg,https://i.example/2.jpg,Custom,'
        'Color,"Red,Green",SC1',
        "Mug,20.00,EUR,1,clay,https://i.example/3.jpg,,,,,MU1",
    )
    found = products(mapped(tmp_path, {"listings.csv": text}))
    assert found["SC1"]["attributes"]["color"] == ["Red", "Green"]


def test_iiif_manifests_have_an_image_for_each_canvas(tmp_path):
    def manifest(name, images):
        def canvas(image):
            body = {"id": f"https://i.example/iiif/{image}/full/max/0/default.jpg", "type": "Image"}
            note = {"id": "a", "type": "Annotation", "motivation": "painting", "body": body}
            return {"type": "Canvas", "items": [{"type": "AnnotationPage", "items": [note]}]}

        return {
            **{"@context": "http://iiif.io/api/presentation/3/context.json", "type": "Manifest"},
            **{"id": f"https://i.example/{name}/manifest", "label": {"en": [f"The {name}"]}},
            "metadata": [{"label": {"en": ["Medium"]}, "value": {"en": ["Oil"]}}],
            "items": [canvas(image) for image in images],
        }

    lines = [manifest("Bridge", "ab"), manifest("Harbor", "c")]
    mapping = mapped(tmp_path, {"m.jsonl": "\n".join(map(json.dumps, lines))})
    found = products(mapping)
    assert [len(product["images"]) for product in found.values()] == [2, 1]
    assert all(product["attributes"] == {"medium": ["Oil"]} for product in found.values())


def test_change_events_are_read_within_their_envelope(tmp_path):
    def row(number, price):
        return {"id": number, "title": f"Bell {number}", "price": price, "currency": "EUR"}

    events = [
        {"before": None, "after": row(1, 9.5), "op": "c", "ts_ms": 1},
        {"before": None, "after": row(2, 5.5), "op": "c", "ts_ms": 2},
        {"before": row(1, 9.5), "after": row(1, 8.5), "op": "u", "ts_ms": 3},
        {"before": row(2, 5.5), "after": None, "op": "d", "ts_ms": 4},
    ]
    mapping = mapped(tmp_path, {"cdc.jsonl": "\n".join(map(json.dumps, events))})
    assert columns(mapping)["id"] == ["after.id", "before.id"]
    found = products(mapping)
    assert found.keys() == {"1"}
    assert found["1"]["price"] == 8.5
