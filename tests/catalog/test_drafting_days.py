"""Several files: days, parts, renamed columns, full exports, tables that belong together."""

from pathlib import Path

import pytest

from operations.mapping import map_files
from pinlanding_assets.catalog.drafting.files import patterns
from tests.catalog.feed_files import columns, csv, mapped, products

CASES = Path(__file__).resolve().parents[3] / "shared/cases/feeds"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a_20261101.csv", "a_20261102.csv"], {"a_{day}.csv"}),
        (["2026-11-01/p.csv", "2026-11-02/p.csv"], {"{day}/p.csv"}),
        (["2026-11-01/p_20261101.csv"], {"{day}/p_*.csv"}),
        (["e_2026-11-01_063000.csv", "e_2026-11-02_064501.csv"], {"e_{day}_*.csv"}),
        (["d/20261101/part-0001.csv", "d/20261101/part-0002.csv"], {"d/{day}/part-*.csv"}),
        (["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"], {"train-*.parquet"}),
        (["products_1.csv", "products_2.csv"], {"products_*.csv"}),
        (["p_01.11.2026.csv"], {"p_{day:%d.%m.%Y}.csv"}),
        (["part-0001.csv"], {"part-0001.csv"}),
        (["catalog-20269999.csv", "shop.csv"], {"catalog-20269999.csv", "shop.csv"}),
    ],
)
def test_names_become_patterns(names, found):
    assert {pattern for pattern, _ in patterns(names).values()} == found


def day(number: int, *rows: str) -> dict[str, str | bytes]:
    return {f"2026-11-0{number}/p.csv": csv(*rows)}


def test_a_full_export_each_night(tmp_path):
    first = day(1, "sku,name,price", "1,Cup,4", "2,Hat,5", "3,Mug,6")
    mapping = mapped(tmp_path, first | day(2, "sku,name,price", "1,Cup,4", "3,Mug,6"))
    assert mapping.draft.settings["feeds"] == ["{day}/p.csv"]
    assert mapping.draft.settings["snapshot"] == "full"


def test_changes_each_night(tmp_path):
    first = day(1, "sku,name,price", "1,Cup,4", "2,Hat,5", "3,Mug,6")
    mapping = mapped(tmp_path, first | day(2, "sku,name,price", "3,Mug,7", "4,Pot,6"))
    assert "snapshot" not in mapping.draft.settings
    assert "snapshot" in mapping.draft.unsure


def test_codes_of_operations(tmp_path):
    first = day(1, "sku,name,op", "1,Cup,I", "2,Hat,I")
    mapping = mapped(tmp_path / "1", first | day(2, "sku,name,op", "1,,D", "2,Hat,U"))
    assert columns(mapping)["operation"] == "op"
    assert "snapshot" not in mapping.draft.unsure
    text = csv("id,name,is_deleted", "1,Cup,false", "2,Hat,true")
    mapping = mapped(tmp_path / "2", {"p.csv": text})
    assert mapping.draft.settings["words"] == {"operation": {"false": "upsert", "true": "delete"}}
    assert set(products(mapping)) == {"1"}
    text = csv("id,name,deleted_at", "1,Cup,", "2,Hat,2026-11-01")
    assert set(products(mapped(tmp_path / "3", {"p.csv": text}))) == {"1"}


def test_columns_that_are_renamed_and_added(tmp_path):
    first = day(1, "artikelnr,name,preis", 'A1,Cup,"4,50"', 'A2,Hat,"9,50"', 'A3,Mug,"5,50"')
    later = day(
        2, "sku,name,vk,farbe", 'A1,Cup,"4,50",rot', 'A2,Hat,"9,00",blau', 'A3,Mug,"5,50",rot'
    )
    mapping = mapped(tmp_path / "1", first | later)
    assert columns(mapping)["id"] == ["artikelnr", "sku"]
    assert columns(mapping)["price"] == ["preis", "vk"]
    assert mapping.draft.settings["attributes"] == {"farbe": "farbe"}
    renamed = day(1, "sku,name,colour", "1,Cup 1,red", "2,Cup 2,blue")
    renamed |= day(2, "sku,product_name,colour", "1,Cup 1,red", "2,Cup 2,blue")
    assert columns(mapped(tmp_path / "2", renamed))["title"] == ["name", "product_name"]


def test_rows_that_belong_together(tmp_path):
    photos = csv(
        "sku,name,image,color",
        "1,Cup,https://i.example/1.jpg,red",
        "1,Cup,https://i.example/2.jpg,red",
        "2,Hat,https://i.example/3.jpg,blue",
    )
    mapping = mapped(tmp_path / "1", {"p.csv": photos})
    assert mapping.draft.settings["rows"] == "joined"
    assert len(products(mapping)["1"]["images"]) == 2
    languages = csv("sku,lang,name", "1,de,Tasse", "1,en,Cup", "2,de,Hut", "2,en,Hat")
    mapping = mapped(tmp_path / "2", {"p.csv": languages})
    assert mapping.draft.settings["only"] == {"lang": ["en"]}
    assert products(mapping)["1"]["title"] == "Cup"
    assert "only" in mapping.draft.unsure
    by_day = csv("date,sku,name", "2026-11-01,1,Cup", "2026-11-02,1,Cup", "2026-11-02,2,Hat")
    mapping = mapped(tmp_path / "3", {"p.csv": by_day})
    assert columns(mapping)["day"] == "date"
    assert "columns.day" in mapping.draft.unsure


def test_tables_are_joined_by_their_keys(tmp_path):
    files: dict[str, str | bytes] = {
        "products.csv": csv(
            "product_id,name,category_id",
            *("1,Red cup,10", "2,Blue cup,10", "3,Hat,20"),
        ),
        "product_images.csv": csv("product_id,url,width", "1,a.jpg,9", "1,b.jpg,9", "2,c.jpg,9"),
        "categories.csv": csv("category_id,category_name", "10,Kitchen", "20,Clothes"),
        "prices.csv": csv("product_id,price,currency", "1,4.50,EUR", "2,5.50,EUR", "3,9.00,EUR"),
        "product_attributes.csv": csv(
            "product_id,attribute,value", "1,Color,red", "1,Material,glass", "2,Color,blue"
        ),
        "reviews.csv": csv("product_id,rating,title", "1,5,Great", "1,2,Broken", "2,4,Nice"),
        "searches.csv": csv("query,count", "cup,3", "hat,9"),
    }
    mapping = mapped(tmp_path, files)
    assert products(mapping)["1"] == {
        **{"title": "Red cup", "price": 4.5, "currency": "EUR", "images": ["a.jpg", "b.jpg"]},
        "attributes": {"category_name": ["Kitchen"], "color": ["red"], "material": ["glass"]},
    }
    assert "reviews.csv" in mapping.draft.unused
    assert "searches.csv" in mapping.draft.unused


def test_variants_under_the_id_of_another_row(tmp_path):
    text = csv(
        "id,name,parent_id,color,price",
        *("1,Shirt,,,", "2,Shirt red,1,red,10", "3,Shirt blue,1,blue,11", "4,Hat,,grey,5"),
    )
    mapping = mapped(tmp_path / "1", {"p.csv": text})
    assert columns(mapping)["parent"] == "parent_id"
    assert products(mapping)["1"]["attributes"] == {"color": ["red", "blue"]}


@pytest.mark.parametrize(
    "name", ["item_group_id", "parent_sku", "Parent", "Style ID", "ITEMGROUP_ID"]
)
def test_variants_of_what_has_no_row_name_their_parent(tmp_path, name):
    text = csv(f"id,title,{name}", "1,Shirt red,G", "2,Shirt blue,G", "3,Hat,H")
    mapping = mapped(tmp_path / "1", {"p.csv": text})
    assert columns(mapping)["parent"] == name
    assert {i: p["parent"] for i, p in products(mapping).items()} == {
        **{"1": "G", "2": "G", "3": "H"}
    }
    text = csv(f"id,title,{name}", "1,Shirt,G", "2,Kettle,G", "3,Hat,H", "4,Lamp,H")
    mapping = mapped(tmp_path / "2", {"p.csv": text})
    assert "parent" not in columns(mapping)
    assert "columns.parent" in mapping.draft.unsure
    text = csv(f"id,title,{name}", "1,Shirt,G", "2,Kettle,I", "3,Hat,H")
    assert "parent" not in columns(mapped(tmp_path / "3", {"p.csv": text}))


def test_variants_with_photos_of_their_own_stay_products(tmp_path):
    rows = ("1,Shirt,P1,red", "2,Shirt,P1,blue", "3,Coat,P2,red", "4,Coat,P2,grey", "5,Hat,P3,red")
    photos = [f"{row},https://i.example/{row[0]}.jpg" for row in rows]
    mapping = mapped(tmp_path / "1", {"p.csv": csv("id,name,style_sku,color,photo", *photos)})
    assert (columns(mapping)["id"], columns(mapping)["parent"]) == ("id", "style_sku")
    assert len(products(mapping)) == 5
    mapping = mapped(tmp_path / "2", {"p.csv": csv("id,name,style_sku,color", *rows)})
    assert (columns(mapping)["id"], mapping.draft.settings["rows"]) == ("style_sku", "joined")


def test_numbers_of_rows_are_no_ids_where_they_change(tmp_path):
    first = day(1, "id,sku,name", "1,A,Cup", "2,B,Hat", "3,C,Mug")
    mapping = mapped(tmp_path, first | day(2, "id,sku,name", "1,B,Hat", "2,C,Mug", "3,D,Pot"))
    assert columns(mapping)["id"] == "sku"


def test_shops_with_the_same_columns_are_one_catalog(tmp_path):
    rows = {f"{n}.csv": csv("sku,name,price", f"{n}1,Cup {n},4.5") for n in ("north", "south")}
    mapping = mapped(tmp_path, {**rows})
    assert mapping.draft.settings["feeds"] == ["north.csv", "south.csv"]
    assert len(products(mapping)) == 2


SOFAS = {"100": ("Sofa grün", 1299.0, 1), "101": ("Sessel", 1299.0, 1), "102": ("Hocker", 89.9, 1)}
EXPECTED = {  # id -> title, price, how many images
    "amazon_reviews_meta": {
        "B000000001": ("Tea kettle 1 l", 24.9, 2),
        "B000000002": ("Tea pot", None, 1),
    },
    "excel_de_prices": SOFAS,
    "excel_semicolon": SOFAS,
    "hf_image_parquet": {"a": ("red box", None, 1), "b": ("blue box", None, 1)},
    "json_list_in_csv": {"u1": ("Cycling shorts", 999.0, 2), "u2": ("Sofa bed", 32157.0, 1)},
    "parquet_binary_strings": {
        "A-101": ("Red cup", 4.0, 0),
        "A-102": ("Blue cup", 5.0, 0),
        "A-103": ("Green mug", 6.0, 0),
    },
    "parquet_decimal_prices": {"1": ("Red cup", 19.9, 0), "2": ("Blue cup", 1e-7, 0)},
    "parquet_float32": {"1": ("Ring", 19.99, 0), "2": ("Ring", 5.1, 0)},
    "price_object": {"1": ("Red cup", 12.5, 0), "2": ("Blue cup", 3.0, 0)},
    "repeated_columns": {"1": ("Red cup", None, 2), "2": ("Blue cup", None, 1)},
    "shopify_variants": {
        "linen-shirt": ("Linen shirt", 39.0, 3),
        "wool-hat": ("Wool hat", 19.0, 1),
    },
    "windows_paths": {"IMG_1.jpg": ("Red box", None, 1), "IMG_2.jpg": ("Blue box", None, 1)},
    "woocommerce_attributes": {
        "11": ("Hoodie", 45.0, 2),
        "13": ("Mug", 8.0, 1),
        "14": ("Cup", 5.0, 1),
    },
}


@pytest.mark.skipif(not CASES.is_dir(), reason="the handed cases are not here")
@pytest.mark.parametrize("case", EXPECTED)
def test_handed_cases_by_drafting_alone(case):
    mapping = map_files([str(CASES / case)], CASES / case / "catalog.yaml")
    assert {
        name: (p["title"], p.get("price"), len(p.get("images", ())))
        for name, p in products(mapping).items()
    } == EXPECTED[case]


@pytest.mark.skipif(not CASES.is_dir(), reason="the handed cases are not here")
def test_every_handed_catalog_is_drafted():
    folders = [f for f in sorted(CASES.iterdir()) if (f / "catalog.yaml").exists()]
    found = {f.name: map_files([str(f)], f / "catalog.yaml") for f in folders}
    assert [name for name, mapping in found.items() if not mapping.products] == []
    assert found["nightly_full_export"].draft.settings["snapshot"] == "full"
    for name in ("renamed_column_csv", "renamed_field_jsonl"):
        assert columns(found[name])["title"] == ["name", "product_name"]
