"""Exports of tills, marketplaces and museums: what says a price, a state, a variant, an image."""

import json

import pytest

from tests.catalog.feed_files import columns, csv, mapped, products


def doubts(mapping, setting):
    return " ".join(mapping.draft.unsure.get(setting, []))


@pytest.mark.parametrize("other", ["supply_price", "trade_price", "landed_price"])
def test_what_the_seller_pays_is_no_price(tmp_path, other):
    text = csv(f"sku,name,{other},retail_price", "1,Lamp,18.00,69.90", "2,Cup,4.00,9.90")
    assert columns(mapped(tmp_path, {"p.csv": text}))["price"] == "retail_price"


def test_another_price_that_is_not_taken_is_said(tmp_path):
    text = csv("sku,name,price,members_price", "1,Lamp,18.00,16.90", "2,Cup,4.00,3.90")
    mapping = mapped(tmp_path, {"p.csv": text})
    assert columns(mapping)["price"] == "price"
    assert "members_price" in doubts(mapping, "columns.price")


def test_full_width_brackets_and_a_state_in_japanese(tmp_path):
    text = csv(
        "商品コード,商品名,定価,販売価格（税込）,公開状態",
        'A1,湯呑み,"3,960円","3,300円",公開',
        'A2,急須,"9,000円","8,800円",非公開',
    )
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert {i: (p["price"], p.get("availability")) for i, p in found.items()} == {
        **{"A1": (3300.0, None), "A2": (8800.0, "out_of_stock")}
    }


@pytest.mark.parametrize(("no", "yes"), [("N", "Y"), ("false", "true"), ("0", "1")])
def test_a_truth_value_may_say_that_a_product_is_not_sold(tmp_path, no, yes):
    text = csv("sku,name,stock,archived", f"1,Lamp,5,{no}", f"2,Cup,5,{yes}", f"3,Mug,0,{no}")
    found = products(mapped(tmp_path, {"p.csv": text}))
    sold = ["in_stock", "out_of_stock", "out_of_stock"]
    assert [p.get("availability") for p in found.values()] == sold


def test_rows_that_a_replica_marks_as_deleted_are(tmp_path):
    text = csv("id,title,_fivetran_deleted", "1,Lamp,false", "2,Cup,true", "3,Mug,false")
    assert list(products(mapped(tmp_path, {"p.csv": text}))) == ["1", "3"]


def test_a_large_number_in_stock_has_spaces(tmp_path):
    text = csv("sku;name;Quantité", "1;Lampe;1 200", "2;Tasse;0")
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert [p.get("availability") for p in found.values()] == ["in_stock", "out_of_stock"]


def test_stock_is_counted_by_place(tmp_path):
    text = csv(
        "sku;name;inventory Main Outlet;inventory North;reorder point North",
        *("1;Lamp;0;2;5", "2;Cup;0;0;5", "3;Mug;1200;;5"),
    )
    mapping = mapped(tmp_path, {"p.csv": text})
    sold = ["in_stock", "out_of_stock", "in_stock"]
    assert [p.get("availability") for p in products(mapping).values()] == sold
    assert "inventory North" in doubts(mapping, "columns.availability")


def test_rows_with_the_same_title_are_said(tmp_path):
    rows = ("1,Shoe,42", "2,Shoe,43", "3,Lamp,1", "4,Cup,2", "5,Mug,2")
    told = doubts(mapped(tmp_path, {"p.csv": csv("sku,name,size", *rows)}), "columns.id")
    assert "2 of 5 rows share their title" in told


@pytest.mark.parametrize("name", ["Internal_ID", "design", "handle"])
def test_rows_with_one_title_and_an_id_of_the_product_are_variants(tmp_path, name):
    rows = ("1,Shoe,t-9", "2,Shoe,t-9", "3,Lamp,l-1", "4,Cup,c-1", "5,Mug,m-1")
    mapping = mapped(tmp_path, {"p.csv": csv(f"sku,name,{name}", *rows)})
    assert list(products(mapping)) == ["t-9", "l-1", "c-1", "m-1"]
    assert repr(name) in doubts(mapping, "columns.id")


def test_products_without_a_price_are_counted(tmp_path):
    text = csv("sku,name,price", "1,Shoe,", "2,Lamp,5.00", "3,Cup,6.00")
    assert "1 of 3 rows have none" in doubts(mapped(tmp_path, {"p.csv": text}), "columns.price")


def test_names_of_keys_need_no_number(tmp_path):
    text = csv(
        "sku,name,variant_option_one_name,variant_option_one_value,tax_name,tax_value",
        *("1,Shoe,Size,42,GST,0.15", "2,Lamp,Color,Red,GST,0.15", "3,Cup,Size,S,GST,0.15"),
        "4,Mug,Size,L,GST,0.15",
    )
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert [p["attributes"] for p in found.values()] == [
        *({"size": ["42"]}, {"color": ["Red"]}, {"size": ["S"]}, {"size": ["L"]})
    ]


def test_a_key_may_have_several_values_in_a_text(tmp_path):
    rows = ("1,Scarf,Color=Red;Blue", "2,Tie,Color=Red", "3,Belt,Size=S;M", "4,Cap,Size=M")
    found = products(mapped(tmp_path, {"p.csv": csv("sku,name,details of it", *rows)}))
    assert found["1"]["attributes"] == {"color": ["Red", "Blue"]}
    assert found["4"]["attributes"] == {"size": ["M"]}


def test_the_forms_of_one_image_are_one(tmp_path):
    forms = {"thumbnail": "https://i.example/{}?w=150", "iiifbaseuri": "https://i.example/iiif/{}"}
    record = {"imageid": 1, "format": "image/jpeg", "baseimageurl": "https://i.example/{}"}
    rows = [
        {
            **{"id": n, "title": f"Print {n}", "link": f"https://api.example/{n}.json?wskey=x"},
            "guid": f"https://m.example/{n}",
            "images": [
                {k: v.format(n) if isinstance(v, str) else v for k, v in (forms | record).items()}
            ],
        }
        for n in range(1, 5)
    ]
    found = products(mapped(tmp_path, {"objects.json": json.dumps({"records": rows})}))
    assert found["2"]["images"] == ["https://i.example/2"]
    assert found["2"]["url"] == "https://m.example/2"


def test_a_label_beside_its_content_is_a_key(tmp_path):
    rows = [
        {
            **{"id": n, "title": f"Radio {n}", "name": {"label": "Title", "content": f"Radio {n}"}},
            "notes": [{"label": "Maker", "content": "Crosley"}],
        }
        for n in range(1, 5)
    ]
    found = products(mapped(tmp_path, {"o.jsonl": "\n".join(map(json.dumps, rows))}))
    assert found["1"]["attributes"] == {"maker": ["Crosley"]}


def test_an_item_library_of_square(tmp_path):
    text = csv(
        "Token,Item Name,Variation Name,SKU,Categories,Price,Archived,Option Name 1,Option Value 1,"
        "Current Quantity Harbor",
        "T1,Candle,Small,C-S,Home,12.00,N,Size,Small,10",
        "T2,Candle,Large,C-L,Home,18.00,N,Size,Large,0",
        "T3,Card,Regular,,Gifts,variable,N,,,",
        "T4,Towel,Regular,T,Home,9.50,Y,,,5",
    )
    found = products(mapped(tmp_path, {"items.csv": text}))
    assert {i: (p.get("price"), p.get("availability")) for i, p in found.items()} == {
        "Candle": (12.0, "in_stock"),
        "Card": (None, None),
        "Towel": (9.5, "out_of_stock"),
    }
    assert found["Candle"]["attributes"]["size"] == ["Small", "Large"]


def test_a_catalog_of_ecwid(tmp_path):
    text = csv(
        "type,product_internal_id,product_name,product_price,product_is_available,"
        "product_is_inventory_tracked,product_quantity,product_option_name,product_option_value",
        "product,551,Hoodie,59,true,true,8,,",
        "product_option,551,,,,,,Size,M",
        "product_option,551,,,,,,Size,L",
        "product,552,Map,8.5,false,false,,,",
        "product,553,Flask,32,true,false,,,",
    )
    found = products(mapped(tmp_path, {"catalog.csv": text}))
    sold = ["in_stock", "out_of_stock", "in_stock"]
    assert [p.get("availability") for p in found.values()] == sold
    assert found["551"]["attributes"] == {"size": ["M", "L"]}


def test_a_product_export_of_lightspeed(tmp_path):
    text = csv(
        "id,handle,sku,name,product_category,supply_price,retail_price,active,inventory_Main",
        "u1,shoe,1,Shoe,Shoes,45.00,120.00,1,0",
        "u2,shoe,2,Shoe,Shoes,45.00,110.00,1,3",
        "u3,vest,3,Vest,Tops,20.00,80.00,0,3",
    )
    found = products(mapped(tmp_path, {"product-export.csv": text}))
    assert {i: (p["price"], p.get("availability")) for i, p in found.items()} == {
        **{"shoe": (110.0, "in_stock"), "vest": (80.0, "out_of_stock")}
    }


def test_rows_of_a_bigcommerce_export_belong_to_the_product_before(tmp_path):
    text = csv(
        "Item,ID,Name,SKU,Inventory Tracking,Current Stock,Price,Sale Price,Is Visible,"
        "Internal Image URL (Export)",
        "Product,77,Towel,T,product,45,49.00,0.00,TRUE,",
        "Image,266,,,,,,,,https://b.example/266.jpg",
        "Product,80,Planter,P,variant,0,109.00,89.00,TRUE,",
        "Variant,81,,P-S,,4,,,,",
        "Image,271,,,,,,,,https://b.example/271.jpg",
    )
    found = products(mapped(tmp_path, {"products.csv": text}))
    assert {i: (p["price"], p.get("availability"), p["images"]) for i, p in found.items()} == {
        "77": (49.0, "in_stock", ["https://b.example/266.jpg"]),
        "80": (89.0, "in_stock", ["https://b.example/271.jpg"]),
    }


def test_the_variants_of_a_magento_product_say_its_sizes(tmp_path):
    text = csv(
        "sku,attribute_set_code,product_type,name,visibility,price,configurable_variations",
        "M-S,Top,simple,Hoodie-S,Not Visible Individually,52.00,",
        '"M",Top,configurable,Hoodie,"Catalog, Search",,"sku=M-S,size=S|sku=M-L,size=L"',
        'B,Bag,simple,Bag,"Catalog, Search",34.00,',
    )
    mapping = mapped(tmp_path, {"catalog_product.csv": text})
    assert products(mapping)["M"]["attributes"]["size"] == ["S", "L"]
    assert "1 of 2 rows have none" in doubts(mapping, "columns.price")


def test_sizes_of_one_image_are_one_and_no_tiff(tmp_path):
    sizes = {"web": "_web.jpg", "print": "_print.jpg", "full": "_full.tif"}
    rows = [
        {
            **{"id": n, "title": f"Bowl {n}"},
            "images": {
                size: {"url": f"https://m.example/{n}{end}", "width": 9}
                for size, end in sizes.items()
            },
        }
        for n in range(1, 5)
    ]
    found = products(mapped(tmp_path, {"data.json": json.dumps(rows)}))
    assert found["1"]["images"] == ["https://m.example/1_print.jpg"]


def test_keys_images_and_cents_within_variants(tmp_path):
    def variant(sku, cents, color):
        value = {"currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2}
        return {
            **{"sku": sku, "prices": [{"value": value}]},
            "images": [{"url": f"https://c.example/{sku}.jpg"}],
            "attributes": [{"name": "color", "value": color}],
        }

    rows = [
        {
            **{"id": f"p{n}", "name": {"en": f"Table {n}"}},
            "masterVariant": variant(f"{n}a", 49900, "natural"),
            "variants": [variant(f"{n}b", 52900, "black")] if n == 1 else [],
        }
        for n in range(1, 4)
    ]
    found = products(mapped(tmp_path, {"p.json": json.dumps({"results": rows})}))
    assert (found["p1"]["price"], found["p1"]["currency"]) == (499.0, "EUR")
    assert found["p1"]["attributes"] == {"color": ["natural", "black"]}
    assert found["p1"]["images"] == ["https://c.example/1a.jpg", "https://c.example/1b.jpg"]


def test_the_answer_of_a_graphql_interface(tmp_path):
    def node(n):
        gross = {"amount": n + 0.5, "currency": "USD"}
        return {
            **{"id": f"U{n}", "name": f"Tee {n}"},
            "description": json.dumps({"blocks": [{"data": {"text": f"Text {n}"}}]}),
            "pricing": {"priceRange": {"start": {"gross": gross}, "stop": {"gross": gross}}},
            "attributes": [{"attribute": {"name": "Color"}, "values": [{"name": "Red"}]}],
        }

    edges = [{"node": node(n)} for n in range(1, 5)]
    text = json.dumps({"data": {"products": {"edges": edges}}})
    found = products(mapped(tmp_path, {"p.json": text}))
    assert (found["U1"]["price"], found["U1"]["currency"]) == (1.5, "USD")
    assert found["U1"]["attributes"] == {"color": ["Red"]}
    assert "description" not in found["U1"]


def test_types_that_a_database_writes_around_values(tmp_path):
    rows = [
        {
            "Item": {
                **{"sku": {"S": f"D{n}"}, "name": {"S": f"Bowl {n}"}, "price": {"N": f"{n}.5"}},
                **{"inStock": {"BOOL": n > 1}, "tags": {"SS": ["bowl", "glass"]}},
                "attrs": {"M": {"color": {"S": "red"}}},
            }
        }
        for n in range(1, 5)
    ]
    found = products(mapped(tmp_path, {"e.jsonl": "\n".join(map(json.dumps, rows))}))
    assert (found["D1"]["title"], found["D1"]["price"]) == ("Bowl 1", 1.5)
    assert found["D1"]["availability"] == "out_of_stock"
    assert found["D1"]["attributes"] == {"tag": ["bowl", "glass"], "color": ["red"]}


def test_metadata_of_a_repository(tmp_path):
    text = csv(
        "id,dc.contributor.author[],dc.description.abstract[en],dc.identifier.uri[],dc.title[en]",
        '1,"Doe, Jane||Roe, Rich",We study tides.,https://h.example/1,On tides',
        '2,"Li, Anna",A map of winds.,https://h.example/2,On winds',
        '3,"Li, Anna",Of rivers.,https://h.example/3,On rivers',
    )
    found = products(mapped(tmp_path, {"export.csv": text}))
    assert found["1"]["description"] == "We study tides."
    assert found["1"]["url"] == "https://h.example/1"
    assert found["1"]["attributes"]["author"] == ["Doe, Jane", "Roe, Rich"]


def test_single_pairs_and_several_in_one_column(tmp_path):
    rows = ("1,Coat,Material:Wool|Season:Winter", "2,Hat,Material:Cotton", "3,Bag,Material:Wool")
    found = products(mapped(tmp_path, {"p.csv": csv("sku,name,property_groups", *rows)}))
    assert found["1"]["attributes"] == {"material": ["Wool"], "season": ["Winter"]}
    assert found["2"]["attributes"] == {"material": ["Cotton"]}


def test_short_texts_are_titles_where_there_are_none(tmp_path):
    text = csv("artikelcode;omschrijving;prijs", "A1;Fietslamp;9,50", "A2;Zadel;19,50")
    mapping = mapped(tmp_path, {"p.csv": text})
    assert products(mapping)["A1"]["title"] == "Fietslamp"
    assert "omschrijving" in doubts(mapping, "columns.title")


def test_a_part_of_a_name_may_say_what_it_is(tmp_path):
    text = csv("id,title,Keywords - General", '1,Harbor,"boats, dawn"', '2,Town,"street, dawn"')
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert list(found["1"]["attributes"].values()) == [["boats", "dawn"]]


@pytest.mark.parametrize(
    ("price", "amount", "currency"),
    [
        ({"amount": 2800, "divisor": 100, "currency_code": "GBP"}, 28.0, "GBP"),
        ({"unit_amount": 2050, "currency": "usd"}, 20.5, "USD"),
        ({"unit_amount": 2050, "currency": "jpy"}, 2050.0, "JPY"),
    ],
)
def test_amounts_in_the_smallest_unit(tmp_path, price, amount, currency):
    rows = [{"id": n, "name": f"Mug {n}", "default_price": price} for n in range(1, 4)]
    found = products(mapped(tmp_path, {"p.json": json.dumps({"data": rows})}))
    assert (found["1"]["price"], found["1"]["currency"]) == (amount, currency)


def test_the_largest_of_sizes_by_pixels(tmp_path):
    sizes = ("75x75", "570xN", "fullxfull")
    rows = [
        {
            **{"listing_id": n, "title": f"Mug {n}"},
            "images": [{f"url_{size}": f"https://e.example/{n}_{size}.jpg" for size in sizes}],
        }
        for n in range(1, 4)
    ]
    found = products(mapped(tmp_path, {"p.json": json.dumps({"results": rows})}))
    assert found["1"]["images"] == ["https://e.example/1_fullxfull.jpg"]


def test_numbered_columns_of_a_museum(tmp_path):
    text = csv(
        "objectInventoryNumber,objectPersistentIdentifier,objectTitle[1],objectType[1],"
        "objectType[2],objectCreator[1]",
        "SK-1,http://h.example/1,Watch,painting,,Rembrandt",
        "BK-2,http://h.example/2,House,dolls' house,furniture,anonymous",
    )
    found = products(mapped(tmp_path, {"rma.csv": text}))
    kinds = {"object_type": ["dolls' house", "furniture"], "object_creator": ["anonymous"]}
    assert found["BK-2"]["attributes"] == kinds
    assert found["BK-2"]["url"] == "http://h.example/2"


def test_attachments_of_airtable(tmp_path):
    one, two = (f"{n}.jpg (https://a.example/{n}/x)" for n in "ab")
    text = csv("Name,SKU,Photos,In stock?", f'Stool,1,"{one},{two}",checked', f"Box,2,{two},")
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert found["1"]["images"] == ["https://a.example/a/x", "https://a.example/b/x"]
    assert found["1"]["availability"] == "in_stock"


def test_events_with_dotted_names(tmp_path):
    def event(kind, key, **more):
        return {"event": f"product.{kind}", "product": {"id": key, **more}}

    rows = [event("created", f"E{n}", name=f"Pen {n}") for n in range(1, 5)]
    rows += [event("updated", "E2", name="Pen 2, new"), event("deleted", "E3")]
    text = "\n".join(map(json.dumps, rows))
    found = products(mapped(tmp_path, {"events.jsonl": text}))
    assert [p["title"] for p in found.values()] == ["Pen 1", "Pen 4", "Pen 2, new"]


def test_words_of_delivery_are_said(tmp_path):
    rows = ("1,Iron,sofort lieferbar", "2,Pot,3-5 Tage", "3,Mixer,nicht lieferbar")
    mapping = mapped(tmp_path, {"p.csv": csv("sku,name,deliveryTime", *rows)})
    assert "deliveryTime" in doubts(mapping, "columns.availability")


def test_where_a_price_is_a_word_the_next_column_counts(tmp_path):
    text = csv(
        "Handle,Name,Default price,Cost,Price [Main],In stock [Main],Available for sale [Main]",
        *("tea,Tea,3.50,1.00,3.40,5,Y", "mug,Mug,12.00,4.00,variable,5,N"),
    )
    found = products(mapped(tmp_path, {"items.csv": text}))
    assert [(p["price"], p["availability"]) for p in found.values()] == [
        *((3.4, "in_stock"), (12.0, "out_of_stock"))
    ]


def test_the_interface_of_a_museum(tmp_path):
    rows = [
        {
            **{"accessionNumber": f"T.{n}", "_primaryTitle": f"Trellis {n}"},
            "_currentLocation": {"displayName": "In Storage"},
            "_images": {
                "_primary_thumbnail": f"https://f.example/{n}/full/!100,100/0/default.jpg",
                "_iiif_image_base_url": f"https://f.example/{n}/",
                "_iiif_presentation_url": f"https://i.example/{n}/manifest.json",
            },
        }
        for n in range(1, 5)
    ]
    found = products(mapped(tmp_path, {"va.json": json.dumps({"records": rows})}))
    assert found["T.1"]["title"] == "Trellis 1"
    assert found["T.1"]["images"] == ["https://f.example/1/full/!1024,1024/0/default.jpg"]


def test_a_name_beside_its_address_is_no_image(tmp_path):
    def attributes(n):
        image = {"name": "x.jpg", "url": f"https://c.example/{n}.jpg"}
        return {
            **{"title": f"Desk {n}", "category": {"data": {"attributes": {"name": "Desks"}}}},
            "images": {"data": [{"id": n, "attributes": image}]},
        }

    rows = [{"id": n, "attributes": attributes(n)} for n in range(1, 5)]
    found = products(mapped(tmp_path, {"p.json": json.dumps({"data": rows})}))
    assert found["1"]["images"] == ["https://c.example/1.jpg"]
    assert found["1"]["attributes"] == {"category": ["Desks"]}


def test_names_with_a_language_and_a_channel(tmp_path):
    header = "sku,name-en_US,description-en_US-ecommerce,description-de_DE-ecommerce"
    text = csv(header, "1,Top,A top,Ein Top", "2,Shoe,A shoe,Ein Schuh")
    found = products(mapped(tmp_path, {"export.csv": text}))
    assert found["1"]["description"] == "A top"
