"""Names in many languages, values in odd shapes; and what is not found is said."""

import json

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
    # a few letters do not tell Polish from French; a person has to
    assert "cp1252" in mapping.draft.unsure["format.encoding"][0]


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
