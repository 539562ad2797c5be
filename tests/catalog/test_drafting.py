"""Files of unknown kinds: what is certain is mapped, what is not is said."""

import gzip
import io
import json
import zipfile

import pytest

from operations.mapping import map_files, report
from pinlanding_assets.catalog.drafting.drafter import draft
from pinlanding_assets.catalog.drafting.samples import Sample
from resources.feeds.rows import FeedError
from tests.catalog.feed_files import columns, csv, mapped, products

LISTS = {
    "de": (
        "Pos;Artikel-Nr.;Artikelbezeichnung;Warengruppe;EK netto;VK brutto;Hersteller;EAN;"
        "Lagerbestand;Bild 1;Gewicht kg;Größe;Farbe",
        "1;A-1;Regenjacke;Jacken;40,00;1.089,90;Norlund;4006381333931;4;a.jpg;0,8;M;grün",
        "2;A-2;Hose;Hosen;20,00;49,90;Norlund;4006381333932;0;b.jpg;0,5;L;grau",
    ),
    "fr": (
        "Référence;Désignation;Description;Prix TTC;Couleur;Marque;Disponibilité;Photo",
        "A-1;Canapé;Un grand canapé.;1 089,90 €;vert;Norlund;En stock;a.jpg",
        "A-2;Chaise;Une chaise.;49,90 €;gris;Norlund;Rupture de stock;b.jpg",
    ),
    "es": (
        "Código;Nombre;Descripción;Precio;Color;Talla;Marca;Imagen;Stock",
        "A-1;Camisa;Camisa de lino;1.089,90;verde;M;Norlund;a.jpg;3",
        "A-2;Pantalón;Pantalón;49,90;gris;L;Norlund;b.jpg;0",
    ),
    "it": (
        "Codice articolo;Nome;Descrizione;Prezzo;Colore;Marca;Immagine;Disponibilità",
        "A-1;Camicia;Camicia di lino;1.089,90;verde;Norlund;a.jpg;disponibile",
        "A-2;Pantaloni;Pantaloni;49,90;grigio;Norlund;b.jpg;esaurito",
    ),
    "nl": (
        "Artikelnummer;Naam;Omschrijving;Prijs;Kleur;Merk;Afbeelding;Voorraad",
        "A-1;Hemd;Linnen hemd;1.089,90;groen;Norlund;a.jpg;3",
        "A-2;Broek;Broek;49,90;grijs;Norlund;b.jpg;0",
    ),
    "en": (
        "Item No.;Product Name;Long Description;Unit Price;Colour;Brand;Photo;In stock",
        "A-1;Shirt;A linen shirt;1089.90;green;Norlund;a.jpg;yes",
        "A-2;Trousers;Trousers;49.90;grey;Norlund;b.jpg;no",
    ),
}


@pytest.mark.parametrize("language", LISTS)
def test_lists_of_spreadsheets(tmp_path, language):
    files = {"list.csv": csv(*LISTS[language]), "a.jpg": b"x", "b.jpg": b"x"}
    mapping = mapped(tmp_path, files)
    found = products(mapping)["A-1"]
    assert found["price"] == 1089.9
    assert found["title"]
    assert found["seller"] == "Norlund"
    assert found["images"] == ["a.jpg"]
    assert [p["availability"] for p in products(mapping).values()] == ["in_stock", "out_of_stock"]
    assert {"farbe", "couleur", "color", "colore", "kleur", "colour"} & set(found["attributes"])
    assert mapping.draft.settings["collections"] == {"min_products": 4, "min_sellers": 1}
    assert (
        not {"EK netto", "EAN", "Gewicht kg", "Pos"} - {*mapping.draft.unused} or language != "de"
    )


def test_prices_that_may_be_read_in_two_ways_are_said(tmp_path):
    mapping = mapped(tmp_path, {"p.csv": csv("sku,name,price", "1,Sofa,1.299", "2,Chair,2.499")})
    assert "decimal" in mapping.draft.unsure
    assert "decimal" not in mapping.draft.settings
    assert "defaults.currency" in mapping.draft.unsure


def test_the_currency_is_taken_from_the_header_or_the_signs(tmp_path):
    header = mapped(
        tmp_path / "1", {"p.csv": csv("sku,name,price_usd", "1,Cup,4.50", "2,Hat,5.50")}
    )
    signs = mapped(tmp_path / "2", {"p.csv": csv("sku;name;price", "1;Cup;4,50 €", "2;Hat;5,50")})
    dollars = mapped(tmp_path / "3", {"p.csv": csv("sku,name,price", "1,Cup,$4.50", "2,Hat,$5.50")})
    assert header.draft.settings["defaults"] == {"currency": "USD"}
    assert signs.draft.settings["defaults"] == {"currency": "EUR"}
    assert "USD, CAD" in dollars.draft.unsure["defaults.currency"][0]


@pytest.mark.parametrize(
    ("names", "rows", "chosen"),
    [
        ("price,old_price", ("4.5,5.5", "6.5,7.5"), "price"),
        ("regular_price,sale_price", ("4.5,", "6.5,5.5"), ["sale_price", "regular_price"]),
        (
            "price,sale_price",
            ("4.5,0", "6.5,5.5"),
            ["to_number(sale_price) > `0` && sale_price || ''", "price"],
        ),
        ("price,sale_price", ("4.5,45", "6.5,65"), "price"),
        ("cost,shipping_price,retail_price", ("1,2,4.5", "1,2,5.5"), "retail_price"),
        ("price_cents,weight", ("450,1", "550,2"), None),
    ],
)
def test_which_price_is_one(tmp_path, names, rows, chosen):
    lines = [f"{i},Cup {i},{row}" for i, row in enumerate(rows)]
    mapping = mapped(tmp_path, {"p.csv": csv(f"sku,name,{names}", *lines)})
    assert columns(mapping).get("price") == chosen


def test_words_in_place_of_a_price_and_columns_that_hold_none(tmp_path):
    rows = ("1,Cup,4.50", "2,Hat,on request", "3,Mug,5.50")
    mapping = mapped(tmp_path / "1", {"p.csv": csv("sku,name,price", *rows)})
    assert mapping.draft.settings["nulls"] == ["on request"]
    assert set(products(mapping)) == {"1", "2", "3"}
    rows = ("1,Cup,4.50 - 9.50", "2,Hat,5 - 6")
    mapping = mapped(tmp_path / "2", {"p.csv": csv("sku,name,price", *rows)})
    assert "are no prices" in mapping.draft.unsure["columns.price"][0]


def test_states_of_a_product(tmp_path):
    rows = ("1,Cup,active,4", "2,Hat,draft,3", "3,Mug,paused,1")
    mapping = mapped(tmp_path, {"p.csv": csv("sku,name,status,stock", *rows)})
    assert columns(mapping)["status"] == "status"
    assert "paused" in mapping.draft.unsure["columns.status"][0]
    assert products(mapping)["1"]["availability"] == "in_stock"
    assert products(mapping)["2"]["availability"] == "out_of_stock"


def test_nested_documents(tmp_path):
    def one(number, available):
        return {
            "product": {
                **{"id": number, "name": {"en": f"Cup {number}", "de": f"Tasse {number}"}},
                "pricing": {"current": {"value": 4.5, "currency": "EUR"}},
                "media": [{"type": "image", "url": f"https://i.example/{number}.jpg"}],
                "taxonomy": {"category": "Kitchen"},
                "stock": {"available": available, "quantity": 4},
                "specs": [{"label": "Color", "value": "red"}],
            }
        }

    document = {"page": 1, "data": {"products": [one(7, True), one(8, False)]}}
    found = products(mapped(tmp_path, {"p.json": json.dumps(document)}))
    assert found["7"] == {
        **{"title": "Cup 7", "price": 4.5, "currency": "EUR", "availability": "in_stock"},
        "images": ["https://i.example/7.jpg"],
        "attributes": {"category": ["Kitchen"], "color": ["red"]},
    }
    assert found["8"]["availability"] == "out_of_stock"


def test_schema_org_and_amounts_in_cents(tmp_path):
    product = {
        **{"@context": "https://schema.org", "@type": "Product", "@id": "https://s.example/1"},
        **{"name": "Cup", "image": ["https://s.example/1.jpg"], "sku": "C1"},
        "brand": {"@type": "Brand", "name": "Norlund"},
        "offers": {
            **{"@type": "Offer", "price": "9.90", "priceCurrency": "EUR"},
            "availability": "https://schema.org/InStock",
        },
    }
    cents = {"id": "c", "title": "Cup", "price": {"centAmount": 1250, "currencyCode": "EUR"}}
    found = products(mapped(tmp_path / "1", {"p.jsonl": json.dumps(product) + "\n"}))
    assert found["https://s.example/1"]["price"] == 9.9
    assert found["https://s.example/1"]["seller"] == "Norlund"
    assert found["https://s.example/1"]["availability"] == "in_stock"
    assert "attributes" not in found["https://s.example/1"]
    found = products(mapped(tmp_path / "2", {"p.jsonl": json.dumps(cents) + "\n"}))
    assert (found["c"]["price"], found["c"]["currency"]) == (12.5, "EUR")


def test_xml_with_attributes_and_parameters(tmp_path):
    def one(number, more=""):
        return (
            f'<offer id="{number}" available="true"><name>Cup {number}</name>'
            f'<price currency="EUR">12.50</price><picture>https://i.example/{number}.jpg</picture>'
            f'<param name="Color">red</param>{more}</offer>'
        )

    text = (
        f"<shop>{one(1)}{one(2, '<param name=' + chr(34) + 'Size' + chr(34) + '>M</param>')}</shop>"
    )
    found = products(mapped(tmp_path, {"p.xml": text}))
    assert found["1"]["attributes"] == {"color": ["red"]}
    assert found["2"]["attributes"] == {"color": ["red"], "size": ["M"]}
    assert (found["1"]["price"], found["1"]["currency"]) == (12.5, "EUR")


def test_lists_are_split_where_that_is_certain_and_texts_are_not(tmp_path):
    rows = [
        f'{i},"Cup {i}, large",{("red", "new", "sale")[i % 3]},'
        f'"{("Cotton, Linen", "Wool")[i % 2]}",'
        f'"{("a, b", "b, c", "a")[i % 3]}","A > B{i % 2}"'
        for i in range(12)
    ]
    found = products(
        mapped(tmp_path, {"p.csv": csv("sku,name,remark_word,material,tags,category", *rows)})
    )
    assert found["0"]["title"] == "Cup 0, large"
    assert found["0"]["attributes"]["material"] == ["Cotton", "Linen"]
    assert found["0"]["attributes"]["tag"] == ["a", "b"]
    assert found["1"]["attributes"]["category"] == ["A", "B1"]


def test_a_zip_and_a_gz(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("p.csv", csv("sku,name", "1,Cup", "2,Hat"))
    packed = gzip.compress(csv("sku,name", "1,Cup", "2,Hat").encode())
    for name, content in (("c.zip", stream.getvalue()), ("p.csv.gz", packed)):
        mapping = mapped(tmp_path / name, {name: content})
        assert mapping.draft.settings["feeds"] == [name]
        assert set(products(mapping)) == {"1", "2"}


def test_without_ids_nothing_is_made_and_the_reason_is_said(tmp_path):
    none = mapped(tmp_path / "1", {"p.csv": csv("category,price", "A,3.5", "A,3.5", "B,4.5")})
    twice = mapped(tmp_path / "2", {"p.csv": csv("sku,name", "1,Cup", "1,Hat", "2,Mug")})
    log = mapped(tmp_path / "3", {"p.csv": csv("query,count", "red cup,3", "hat,4")})
    for mapping, why in ((none, "no id was found"), (twice, "different products"), (log, "log")):
        assert mapping.config is None
        assert why in mapping.draft.unsure["columns.id"][0]
        assert "There are no products" in report(mapping)


def test_files_that_are_missing_or_broken(tmp_path):
    with pytest.raises(FeedError, match="no such file"):
        map_files([str(tmp_path / "none.csv")])
    with pytest.raises(FeedError, match="no file of a catalog"):
        map_files([str(tmp_path)])
    mapping = mapped(tmp_path, {"bad.parquet": b"no", "p.csv": csv("sku,name", "1,Cup", "2,Hat")})
    assert "bad.parquet" in mapping.failed
    assert set(products(mapping)) == {"1", "2"}


def test_names_and_cells_of_an_enemy_stay_harmless(tmp_path):
    names = ["sku", "name", "a: [b]\n# c: d", "{{day}}", "- y", "*", "!!x:y", "\x07\u202e"]
    record = dict.fromkeys(names, "x" * 20) | {"sku": "1", "name": "Cup"}
    huge = {**record, "sku": "2", "name": "Hat", "*": "y" * 200_000}
    mapping = mapped(tmp_path, {"p.jsonl": f"{json.dumps(record)}\n{json.dumps(huge)}\n"})
    assert (columns(mapping)["id"], columns(mapping)["title"]) == ("sku", "name")
    shown = mapping.text + report(mapping)
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert len(shown) < 5_000


def test_an_empty_sample_drafts_nothing():
    assert not draft([]).usable
    assert not draft([Sample("p.csv", [], ["sku"])]).usable
    deep: dict = {"sku": "1"}
    inner = deep
    for _ in range(200):
        inner["x"] = {}
        inner = inner["x"]
    assert draft([Sample("p.jsonl", [deep, {"sku": "2"}])]).usable
