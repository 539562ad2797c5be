import polars as pl

from pinlanding_assets.attributes.hierarchy import PARENTS_SCHEMA, induced_parents


def carried(*said: tuple[range, str]) -> pl.DataFrame:
    rows = [(f"p{n}", e.split("=")[0], e) for products, e in said for n in products]
    return pl.DataFrame(rows, schema=["product_id", "key", "entry_id"], orient="row")


def test_parents_are_the_nearest_wider_entries_that_nearly_all_products_carry():
    found = induced_parents(
        carried(
            (range(400), "kind=thing"),  # on everything: nobody's parent
            (range(100), "kind=shoe"),
            (range(60), "kind=boot"),
            (range(20), "kind=ankle boot"),
            (range(90, 130), "kind=sandal"),  # 10 of 40 are called shoes
            (range(0, 100, 2), "material=leather"),
            (range(1, 300, 2), "material=rubber"),
        )
    )
    assert found.schema == pl.Schema(PARENTS_SCHEMA)
    assert found.select("entry_id", "parent_id").rows() == [
        ("kind=ankle boot", "kind=boot"),
        ("kind=boot", "kind=shoe"),
        ("material=leather", "kind=shoe"),
    ]
    assert found["share"].to_list() == [1.0, 1.0, 1.0]


def test_silence_about_a_key_counts_neither_way_and_few_products_say_nothing():
    said = [(range(300, 500), "kind=hat"), (range(60), "kind=shoe"), (range(40), "heel=high")]
    found = induced_parents(carried(*said))
    assert found.rows() == [("heel=high", "kind=shoe", 1.0)]
    of_others = carried(*said, (range(600, 640), "heel=high"))  # their kind is not said
    assert induced_parents(of_others).is_empty()  # 80 products have it: shoes are not wider
    assert induced_parents(carried((range(300, 500), "kind=hat"), (range(60), "kind=shoe"),
                                   (range(36), "heel=high"),
                                   (range(600, 604), "heel=high"))).height == 1  # fmt: skip
    assert induced_parents(carried(*said[:2], (range(5), "heel=high"))).is_empty()
    assert induced_parents(carried()).is_empty()
