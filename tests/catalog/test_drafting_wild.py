"""Names in many languages, values in odd shapes; and what is not found is said."""

import json
from datetime import date

import pytest

from tests.catalog.feed_files import columns, csv, mapped, products


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Codice articolo,Nome articolo,Descrizione articolo,Prezzo,Immagine", "I-1,Lampada,Alta"),
        ("Código,Artículo,Descripción del artículo,Precio,Imagen", "E-1,Lámpara,Alta"),
        ("sku_id,sku_name,sku_desc,sku_prc,img_url", "K-1,Lamp,High"),
        ("Kod produktu,Nazwa produktu,Opis produktu,Cena,Zdjęcie", "P-1,Lampa,Wysoka"),
        ("商品コード,商品名,商品説明,販売価格,画像URL", "J-1,ランプ,高い"),
        ("Артикул,Наименование товара,Описание,Цена,Изображение", "R-1,Лампа,Высокая"),
        ("Varenummer,Varenavn,Beskrivelse,Pris,Billede", "D-1,Lampe,Høj"),
    ],
)
def test_names_of_columns_in_many_languages(tmp_path, header, row):
    rows = [f"{row.replace('-1', f'-{n}')},{n}9.50,https://i.example/{n}.jpg" for n in (1, 2, 3)]
    mapping = mapped(tmp_path, {"list.csv": csv(header, *rows)})
    names = header.split(",")
    fields = ("id", "title", "description", "price", "images")
    assert [columns(mapping)[field] for field in fields] == names


def test_a_file_whose_name_has_no_latin_letter_has_a_name(tmp_path):
    text = csv("商品コード,商品名,価格", "J1,ランプ,1500円", 'J2,机,"12,800円"')
    mapping = mapped(tmp_path, {"商品一覧.csv": text})
    assert {i: (p["price"], p["currency"]) for i, p in products(mapping).items()} == {
        **{"J1": (1500.0, "JPY"), "J2": (12800.0, "JPY")}
    }


def test_texts_of_several_keys_and_values(tmp_path):
    text = csv(
        "sku,title,features,specs",
        'a,Shoe,"Color: Red; Upper: Mesh; Sole: Rubber",'
        "\"{'Weight': '1 kg', 'Use': \"\"Men's\"\"}\"",
        "b,Boot,Color: Blue; Upper: Felt,\"{'Weight': '2 kg'}\"",
    )
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert found["a"]["attributes"] == {
        **{"color": ["Red"], "upper": ["Mesh"], "sole": ["Rubber"]},
        **{"weight": ["1 kg"], "use": ["Men's"]},
    }
    assert found["b"]["attributes"]["upper"] == ["Felt"]


def test_rows_without_an_id_and_a_title_are_parts_of_the_row_before(tmp_path):
    text = csv(
        "Item no,Name,Price,Size,Photo",
        "A1,Coat,90.00,S,https://i.example/1.jpg",
        ",,,M,https://i.example/2.jpg",
        "A2,Hat,20.00,L,https://i.example/3.jpg",
        ",,,XL,",
    )
    mapping = mapped(tmp_path, {"list.csv": text})
    found = products(mapping)
    assert {i: p["attributes"]["size"] for i, p in found.items()} == {
        **{"A1": ["S", "M"], "A2": ["L", "XL"]}
    }
    assert mapping.draft.settings["rows"] == "joined"


def test_stock_of_several_warehouses_is_in_stock_if_any_is(tmp_path):
    files = {
        "products.csv": csv("sku,name,price", "T1,Tent,199.00", "T2,Stove,59.00"),
        "stock.csv": csv("sku,warehouse,qty", "T1,B,0", "T1,P,4", "T2,B,0"),
    }
    found = products(mapped(tmp_path, files))
    assert [found[i]["availability"] for i in ("T1", "T2")] == ["in_stock", "out_of_stock"]


def test_a_count_says_more_than_that_something_is_for_sale(tmp_path):
    text = csv(
        "id,name,is_available,quantity", "a,Cap,true,3", "b,Vest,true,0", "c,Old vest,false,4"
    )
    found = products(mapped(tmp_path, {"p.csv": text}))
    assert [found[i]["availability"] for i in "abc"] == ["in_stock", *["out_of_stock"] * 2]


@pytest.mark.parametrize(
    ("header", "field", "named"),
    [
        ("sku,xyz,price,image", "columns.title", "xyz"),
        ("sku,title,price,qqq", "columns.images", "qqq"),
        ("sku,title,price_of_group,image", "columns.price", "price_of_group"),
    ],
)
def test_what_is_not_found_is_said(tmp_path, header, field, named):
    rows = [f"s{n},Thing {n},{n}.50,https://i.example/{n}" for n in (1, 2)]
    doubts = mapped(tmp_path, {"p.csv": csv(header, *rows)}).draft.unsure
    assert any(named in doubt for doubt in doubts[field])


def test_a_guess_of_the_letters_is_said(tmp_path):
    text = csv("Kod;Nazwa;Cena", "1;Łóżko;1 299,00 zł", "2;Półka;99,00 zł").encode("cp1250")
    mapping = mapped(tmp_path, {"cennik.csv": text})
    assert products(mapping)["1"]["title"] == "Łóżko"
    assert "cp1250" in mapping.draft.unsure["format.encoding"][0]


def test_numbers_that_a_data_set_names_are_words(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": ["boot", "men's shirt"]},
        "parts": {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["sole", "lace"]}},
    }
    image = pa.array([{"bytes": b"\xff\xd8\xff", "path": f"{n}.jpg"} for n in range(3)])
    table = pa.table({"image": image, "label": [1, 0, -1], "parts": [[0, 1], [1], []]})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "train.parquet")
    found = products(mapped(tmp_path, {}))
    assert [found[f"{n}.jpg"].get("attributes", {}).get("label") for n in range(3)] == [
        *(["men's shirt"], ["boot"], None)
    ]


def test_a_document_may_have_its_products_under_their_ids(tmp_path):
    def one(title, price):
        return {
            "title": title,
            "price": price,
            "tags": ["a"],
            "photo": f"https://i.example/{title}",
        }

    document = {"-N1": one("Globe", 49.5), "-N2": one("Map", 12)}
    found = products(mapped(tmp_path, {"c.json": json.dumps(document)}))
    assert {i: p["price"] for i, p in found.items()} == {"-N1": 49.5, "-N2": 12.0}


def test_a_day_may_be_three_folders_and_an_image_column_renamed(tmp_path):
    files = {
        "2026/11/01/a.csv": csv("ref;titel;bild", "r1;Vase;1.jpg", "r2;Krug;2.jpg"),
        "2026/11/02/a.csv": csv("ref;titel;bild_url", "r1;Vase;1.jpg", "r3;Topf;3.jpg"),
    }
    settings = mapped(tmp_path, files).draft.settings
    assert settings["feeds"] == ["{day:%Y/%m/%d}/a.csv"]
    assert settings["columns"]["images"] == [
        {"column": "bild", "until": date(2026, 11, 1)},
        {"column": "bild_url", "since": date(2026, 11, 2)},
    ]


def test_images_may_be_called_after_the_ids(tmp_path):
    images = {f"images/{n}.jpg": b"x" for n in (11, 12, 13)}
    text = csv("id,productDisplayName,baseColour", *(f"{n},Shirt {n},Blue" for n in (11, 12, 13)))
    mapping = mapped(tmp_path, {"styles.csv": text, **images})
    assert mapping.draft.settings["images_from"] == "images"
    assert products(mapping)["11"]["images"] == ["11.jpg"]


def test_texts_in_lists_of_languages_are_found_by_the_name_around_them(tmp_path):
    def one(number, name, color):
        values = {
            "name": [{"locale": "en_US", "data": name}, {"locale": "de_DE", "data": "?"}],
            "color": [{"locale": None, "data": color}],
        }
        return {"identifier": f"a{number}", "enabled": number != 2, "values": values}

    lines = [one(1, "Polo shirt", "navy"), one(2, "Swim shorts", "red"), one(3, "Hat", "red")]
    found = products(mapped(tmp_path, {"p.jsonl": "\n".join(map(json.dumps, lines))}))
    assert found["a1"]["title"] == "Polo shirt"
    assert found["a1"]["attributes"] == {"color": ["navy"]}
    assert found["a2"]["availability"] == "out_of_stock"


def test_states_and_files_that_are_left_out_are_said(tmp_path):
    files = {
        "products.csv": csv("sku,title,state", "a,Lamp,7", "b,Desk,8", "c,Chair,7"),
        "other.csv": csv("zone,rate", "x1,0.5", "x2,0.7"),
    }
    unsure = mapped(tmp_path, files).draft.unsure
    assert any("state" in doubt for doubt in unsure["columns.status"])
    assert any("other.csv" in doubt for doubt in unsure["feeds"])


def test_rows_of_an_unknown_export_belong_to_the_row_with_a_title(tmp_path):
    text = csv(
        "slug,name,part no,price,size",
        *("coat,Coat,c1,90.00,S", "coat,,c2,95.00,M", "hat,Hat,h1,20.00,L", "hat,,h2,20.00,XL"),
    )
    mapping = mapped(tmp_path, {"p.csv": text})
    found = products(mapping)
    assert {i: p["attributes"]["size"] for i, p in found.items()} == {
        **{"coat": ["S", "M"], "hat": ["L", "XL"]}
    }


def test_products_without_a_title_are_said(tmp_path):
    rows = ("a,Coat,90.00", "b,,95.00", "c,Hat,20.00", "d,,20.00")
    mapping = mapped(tmp_path, {"p.csv": csv("sku,name,price", *rows)})
    assert "2 of 4 rows" in mapping.draft.unsure["columns.title"][0]


def test_names_as_warehouses_shorten_them(tmp_path):
    rows = (f"w{n},Tool {n},{n}9.50,EUR,{'YN'[n % 2]},Bo" for n in (1, 2, 3))
    text = csv("prod_cd,prod_nm,sell_prc_amt,curr_cd,avl_flg,brnd_nm", *rows)
    assert columns(mapped(tmp_path, {"p.csv": text})) == {
        **{"id": "prod_cd", "title": "prod_nm", "price": "sell_prc_amt", "currency": "curr_cd"},
        **{"seller": "brnd_nm", "availability": "avl_flg"},
    }


def test_a_sheet_of_instructions_is_not_the_table(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["How to fill this in"])
    book.active.append(["Do not change the header"])
    sheet = book.create_sheet("Items")
    for row in (["sku", "title", "price"], ["a", "Knife", 35], ["b", "Fork", 12]):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    mapping = mapped(tmp_path, {})
    assert products(mapping).keys() == {"a", "b"}
    assert "not read" in mapping.draft.unsure["format.sheet"][0]
