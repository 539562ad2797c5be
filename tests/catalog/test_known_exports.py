"""Exports of shops and channels are recognized, and come in right without a written mapping."""

import json

from tests.catalog.feed_files import columns, csv, mapped, products


def test_shopify_joins_rows_and_minds_state_and_stock(tmp_path):
    names = (
        "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,"
        "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,"
        "Variant Compare At Price,Image Src,SEO Title,Status"
    )
    text = csv(
        names,
        'tee,Tee,<p>Soft.</p>,Norlund,Shirt,"new, soft",true,Color,Red,shopify,0,deny,21,25,1.jpg,,'
        "active",
        "tee,,,,,,,,Blue,shopify,3,deny,19,25,2.jpg,,",
        "mug,Mug,,Norlund,Mug,,true,Title,Default Title,shopify,5,deny,9,,3.jpg,,archived",
        "cap,Cap,,Borea,Cap,,true,Title,Default Title,shopify,0,continue,15,,4.jpg,,active",
        "sock,Sock,,Borea,Sock,,true,Title,Default Title,,0,deny,5,,5.jpg,,active",
        "hat,Hat,,Borea,Hat,,true,Title,Default Title,shopify,0,deny,5,,6.jpg,,active",
        "pot,Pot,,Borea,Pot,,true,Size,S,shopify,1,deny,5,,7.jpg,,draft",
        "pot,,,,,,,,L,shopify,4,deny,6,,,,",
    )
    mapping = mapped(tmp_path, {"export.csv": text})
    found = products(mapping)
    assert mapping.draft.recognized == "a product export of Shopify"
    assert found["tee"] == {
        **{"title": "Tee", "description": "Soft.", "seller": "Norlund", "price": 19.0},
        **{"availability": "in_stock", "images": ["1.jpg", "2.jpg"]},
        "attributes": {"type": ["Shirt"], "tag": ["new", "soft"], "color": ["Red", "Blue"]},
        **({"status": found["tee"]["status"]} if "status" in found["tee"] else {}),
    }
    assert found["mug"]["attributes"] == {"type": ["Mug"]}
    assert {name: product["availability"] for name, product in found.items()} == {
        **{"tee": "in_stock", "mug": "out_of_stock", "cap": "in_stock", "sock": "in_stock"},
        **{"hat": "out_of_stock", "pot": "out_of_stock"},
    }
    assert found["pot"]["attributes"]["size"] == ["S", "L"]
    assert "SEO Title" in mapping.draft.unused


def test_shopify_products_json(tmp_path):
    def one(number, title, available, options):
        return {
            **{"id": number, "title": title, "handle": title, "body_html": "<p>Light</p>"},
            **{"vendor": "Norlund", "product_type": "Shirt", "tags": ["a", "b"]},
            "variants": [
                {"id": 9, "option1": "x", "price": "39.00", "available": a} for a in available
            ],
            "images": [{"id": 5, "src": f"https://cdn.example/{number}.jpg"}],
            "options": options,
        }

    document = {
        "products": [
            one(1, "Shirt", [False, True], [{"name": "Color", "values": ["White", "Blue"]}]),
            one(2, "Hat", [False], [{"name": "Title", "values": ["Default Title"]}]),
        ]
    }
    found = products(mapped(tmp_path, {"products.json": json.dumps(document)}))
    assert found["1"]["attributes"] == {
        **{"type": ["Shirt"], "tag": ["a", "b"], "color": ["White", "Blue"]}
    }
    assert found["1"]["images"] == ["https://cdn.example/1.jpg"]
    assert [found[i]["availability"] for i in "12"] == ["in_stock", "out_of_stock"]
    assert "title" not in found["2"]["attributes"]
    assert found["1"]["price"] == 39.0


def test_woocommerce_joins_variations_to_their_parent(tmp_path):
    text = csv(
        "ID,Type,SKU,Name,Published,Short description,Description,In stock?,Sale price,"
        "Regular price,Categories,Tags,Images,Parent,Attribute 1 name,Attribute 1 value(s),"
        "Attribute 2 name,Attribute 2 value(s)",
        '11,variable,HOOD,Hoodie,1,Short,,1,,,"Clothing, Clothing > Hoodies",soft,"1.jpg, 2.jpg",,'
        'Color,"Blue, Red",Logo,Yes',
        "12,variation,,Hoodie - Red,1,,,1,40,45,,,3.jpg,HOOD,Color,Red,Logo,Yes",
        "13,variation,,Hoodie - Blue,1,,,1,,44,,,,id:11,Color,Blue,,",
        "14,simple,MUG,Mug,1,,A mug,0,,8,Kitchen,,4.jpg,,Material,Ceramic,,",
        "15,simple,OLD,Old,-1,,Gone,1,,8,Kitchen,,5.jpg,,Material,Ceramic,,",
    )
    found = products(mapped(tmp_path, {"wc-product-export.csv": text}))
    assert set(found) == {"11", "14", "15"}
    assert found["11"]["title"] == "Hoodie"
    assert found["11"]["description"] == "Short"
    assert found["11"]["price"] == 40.0
    assert found["11"]["images"] == ["1.jpg", "2.jpg", "3.jpg"]
    assert found["11"]["attributes"]["color"] == ["Blue", "Red"]
    assert found["11"]["attributes"]["category"] == ["Clothing", "Clothing > Hoodies"]
    assert found["14"]["attributes"]["material"] == ["Ceramic"]
    assert [found[i]["availability"] for i in ("11", "14", "15")] == [
        *("in_stock", "out_of_stock", "out_of_stock")
    ]


def test_magento_takes_one_store_view_and_finds_its_images(tmp_path):
    text = csv(
        "sku,store_view_code,attribute_set_code,product_type,categories,name,description,"
        "product_online,visibility,price,special_price,base_image,additional_images,"
        "additional_attributes,qty,is_in_stock,configurable_variations",
        'MH1,,Top,configurable,"Default/Men,Default/Men/Tops",Hoodie,Warm.,1,"Catalog, Search",52,,'
        '/m/h/1.jpg,"/m/h/2.jpg,/m/h/3.jpg","climate=Cool|Windy,material=Fleece",0,1,"sku=MH1-S,size=S"',
        "MH1,de,Top,configurable,,Kapuzenpulli,,,,,,,,,,,",
        "MH1-S,,Top,simple,Default/Men,Hoodie-S,,1,Not Visible Individually,52,,,,size=S,9,1,",
        'MB1,,Bag,simple,Default/Gear,Bag,,1,"Catalog, Search",34,29,/m/b/1.jpg,,'
        "material=Nylon,0,0,",
        'OLD,,Bag,simple,Default/Gear,Old,,2,"Catalog, Search",34,,,,material=Nylon,5,1,',
    )
    folder = "media/catalog/product"
    images = {f"{folder}/m/h/{n}.jpg": b"x" for n in (1, 2, 3)} | {f"{folder}/m/b/1.jpg": b"x"}
    mapping = mapped(tmp_path, {"catalog_product.csv": text, **images})
    found = products(mapping)
    assert set(found) == {"MH1", "MB1", "OLD"}
    assert found["OLD"]["availability"] == "out_of_stock"  # a later day may disable a live one
    assert found["MH1"]["title"] == "Hoodie"
    assert len(found["MH1"]["images"]) == 3
    assert found["MH1"]["attributes"]["climate"] == ["Cool", "Windy"]
    assert found["MB1"]["price"] == 29.0
    assert found["MB1"]["availability"] == "out_of_stock"
    assert mapping.draft.settings["images_from"] == folder


def test_bigcommerce_leaves_out_rows_of_variants_and_a_sale_of_nothing(tmp_path):
    text = csv(
        "Item Type,Product ID,Product Name,Product Code/SKU,Brand Name,Price,Sale Price,"
        "Current Stock Level,Category,Product Visible?,Product Image File - 1,"
        "Product Image URL - 1,Product Image URL - 2",
        "Product,101,Chair,WC,Borea,99.00,0.00,4,Furniture/Chairs;Sale,Y,a.jpg,"
        "https://s.example/a.jpg,https://s.example/b.jpg",
        "  SKU,501,[S]Color=Black,WC-B,,,,2,,,,,",
        "Product,102,Stool,WS,Borea,29.00,0.00,4,Furniture/Stools,N,,https://s.example/c.jpg,",
    )
    mapping = mapped(tmp_path, {"products.csv": text})
    found = products(mapping)
    assert set(found) == {"101", "102"}
    assert found["101"]["price"] == 99.0
    assert found["101"]["images"] == ["https://s.example/a.jpg", "https://s.example/b.jpg"]
    assert found["101"]["attributes"]["category"] == ["Furniture/Chairs", "Sale"]
    assert found["102"]["availability"] == "out_of_stock"
    assert columns(mapping)["price"] == "Price"


def test_prestashop(tmp_path):
    text = csv(
        "Product ID;Active (0/1);Name *;Categories (x,y,z...);Price tax excluded;"
        "Price tax included;Manufacturer;Quantity;Summary;Description;Image URLs (x,y,z...);"
        "Feature(Name:Value:Position)",
        "1;1;Mug;Accueil,Cuisine;9,92;11,90;Atelier;3;Un mug;;https://s.example/1.jpg,"
        "https://s.example/2.jpg;Composition:Verre:1",
        "2;0;Tasse;Accueil;5,00;6,00;Atelier;2;Une tasse;;https://s.example/3.jpg;",
    )
    mapping = mapped(tmp_path, {"products.csv": text})
    found = products(mapping)
    assert found["1"]["price"] == 11.9
    assert found["1"]["attributes"] == {"category": ["Accueil", "Cuisine"]}
    assert len(found["1"]["images"]) == 2
    assert found["2"]["availability"] == "out_of_stock"
    assert 'attributes."*"' in mapping.draft.unsure


def test_google_merchant_as_text_and_as_xml(tmp_path):
    rows = csv(
        "id\ttitle\tdescription\tlink\timage link\tadditional image link\tavailability\tprice\t"
        "sale price\tbrand\tgtin\tproduct type\titem group id\tcolor\tshipping",
        "A1\tShirt\tA shirt.\thttps://s.example/1\thttps://s.example/1.jpg\t"
        "https://s.example/2.jpg,https://s.example/3.jpg\tin stock\t19.90 EUR\t15.00 EUR\tNorlund\t"
        "4006381333931\tMen > Shirts\tG\tRed\tDE:::4.90 EUR",
        "A2\tHat\tA hat.\thttps://s.example/2\thttps://s.example/4.jpg\t\tout of stock\t"
        "1,299.00 EUR\t\tNorlund\t4006381333932\tMen > Hats\tG\tBlue\tDE:::4.90 EUR",
    )
    item = (
        "<item><g:id>A1</g:id><title>Shirt</title><description>A shirt.</description>"
        "<link>https://s.example/1</link><g:image_link>https://s.example/1.jpg</g:image_link>"
        "<g:additional_image_link>https://s.example/2.jpg</g:additional_image_link>"
        "<g:additional_image_link>https://s.example/3.jpg</g:additional_image_link>"
        "<g:availability>in_stock</g:availability><g:price>19.90 EUR</g:price>"
        "<g:sale_price>15.00 EUR</g:sale_price><g:brand>Norlund</g:brand>"
        "<g:product_type>Men &gt; Shirts</g:product_type><g:color>Red</g:color>"
        "<g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping></item>"
    )
    other = item.replace("A1", "A2").replace("Shirt<", "Hat<")
    xml = f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{item}{other}</channel></rss>'
    for name, text in (("feed.txt", rows), ("feed.xml", xml)):
        mapping = mapped(tmp_path / name, {name: text})
        assert "Google" in mapping.draft.recognized
        assert products(mapping)["A1"] == {
            **{"title": "Shirt", "description": "A shirt.", "price": 15.0, "currency": "EUR"},
            **{"seller": "Norlund", "availability": "in_stock", "url": "https://s.example/1"},
            "images": [f"https://s.example/{n}.jpg" for n in (1, 2, 3)],
            "attributes": {"product_type": ["Men", "Shirts"], "color": ["Red"]},
        }


def test_google_merchant_variants_stay_products_with_their_parent(tmp_path):
    rows = [
        f"S-{size},Shirt,https://s.example/{size},https://s.example/s.jpg,in stock,9 EUR,G1,{size}"
        for size in ("S", "M", "L")
    ]
    head = "id,title,link,image_link,availability,price,item_group_id,size"
    hat = "H,Hat,https://s.example/h,https://s.example/h.jpg,in stock,5 EUR,,"
    mapping = mapped(tmp_path, {"feed.csv": csv(head, *rows, hat)})
    assert "Google" in mapping.draft.recognized
    assert {i: p.get("parent") for i, p in products(mapping).items()} == {
        **{"S-S": "G1", "S-M": "G1", "S-L": "G1", "H": None}
    }


def test_meta_feed_with_comments_above_its_header(tmp_path):
    text = csv(
        "# Required | The id,# Required,# Required,# Required,# Required,# Required",
        "id,title,availability,price,link,image_link",
        "1,Red cup,in stock,9.99 USD,https://s.example/1,https://s.example/1.jpg",
        "2,Blue cup,out of stock,8.99 USD,https://s.example/2,https://s.example/2.jpg",
    )
    found = products(mapped(tmp_path, {"feed.csv": text}))
    assert found["2"]["currency"] == "USD"
    assert found["2"]["availability"] == "out_of_stock"


def test_amazon_flat_file_joins_children_to_their_parent(tmp_path):
    text = csv(
        "TemplateType=fptcustom\tVersion=2021.1\t\t\t\t\t\t\t\t\t",
        "Product Type\tSeller SKU\tBrand\tName\tPrice\tQuantity\tImage\tOther\tKind\tParent\tColor",
        "feed_product_type\titem_sku\tbrand_name\titem_name\tstandard_price\tquantity\t"
        "main_image_url\tother_image_url1\tparent_child\tparent_sku\tcolor_name",
        "shirt\tP1\tNorlund\tShirt\t\t\thttps://i.example/p.jpg\t\tParent\t\t",
        "shirt\tP1-R\tNorlund\tShirt red\t29.00\t4\thttps://i.example/r.jpg\t"
        "https://i.example/s.jpg\tChild\tP1\tRed",
        "shirt\tP1-B\tNorlund\tShirt blue\t27.00\t0\thttps://i.example/b.jpg\t\tChild\tP1\tBlue",
        "hat\tH1\tNorlund\tHat\t9.00\t1\thttps://i.example/h.jpg\t\t\t\tGrey",
    )
    found = products(mapped(tmp_path, {"flat.txt": text}))
    assert set(found) == {"P1", "H1"}
    assert found["P1"]["title"] == "Shirt"
    assert found["P1"]["price"] == 27.0
    assert found["P1"]["attributes"]["color"] == ["Red", "Blue"]
    assert len(found["P1"]["images"]) == 4


def test_amazon_reviews_metadata(tmp_path):
    rows = [
        {
            **{"main_category": "Kitchen", "title": f"Kettle {i}", "average_rating": 4.5},
            **{"features": ["Steel"], "description": ["A kettle.", "Hot."], "price": 24.9},
            "images": [{"thumb": "t.jpg", "large": "l.jpg", "hi_res": hi, "variant": "MAIN"}],
            **{"store": "Norlund", "categories": ["Home", "Kettles"], "parent_asin": f"B{i}"},
            "details": {"Color": "Silver"},
        }
        for i, hi in ((1, None), (2, "h.jpg"))
    ]
    mapping = mapped(tmp_path, {"meta.jsonl": "\n".join(map(json.dumps, rows))})
    found = products(mapping)
    assert [found[i]["images"] for i in ("B1", "B2")] == [["l.jpg"], ["h.jpg"]]
    assert found["B1"]["description"] == "A kettle. Hot."
    assert found["B1"]["attributes"]["color"] == ["Silver"]
    assert found["B1"]["attributes"]["category"] == ["Home", "Kettles"]
    assert columns(mapping)["seller"] == "store"
