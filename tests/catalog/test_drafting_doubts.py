"""What a draft says of columns that it does not heed, and of values that no shopper should see."""

from tests.catalog.feed_files import csv, mapped


def test_columns_that_are_not_heeded_are_said(tmp_path):
    rows = ("1,Lamp,18.00,16.90,Y,a.jpg", "2,Cup,4.00,3.90,N,b.jpg", "3,Mat,7.00,6.50,N,c.jpg")
    text = csv("sku,name,price,members_price,Visible Online,image", *rows)
    unsure = mapped(tmp_path, {"p.csv": text}).draft.unsure
    assert "members_price" in " ".join(unsure["columns.price"])
    assert "Visible Online" in str(unsure), unsure


def test_what_looks_wrong_in_the_products_is_said(tmp_path):
    image = "https://cdn.example/thumb/1.jpg"
    rows = (f"1,Lamp,0.00,{image},red|blue", f"2,Cup,4.00,{image},red", f"3,Mat,7.00,{image},red")
    draft = mapped(tmp_path, {"p.csv": csv("sku,name,price,image,color", *rows)}).draft
    assert any("cost 0" in doubt for doubt in draft.unsure["columns.price"])
    assert any("small copy" in doubt for doubt in draft.unsure["columns.images"])
    assert draft.ranked()[0][0] == "columns.price"


def test_values_that_come_again_and_are_left_out_are_said(tmp_path):
    rows = [f"{n},Lamp {n},{n}.00,{('Y', 'N')[n % 2]},{12 * (n % 2 + 1)}" for n in range(1, 9)]
    draft = mapped(tmp_path, {"p.csv": csv("sku,name,price,dimmable,watts_x", *rows)}).draft
    said = " ".join(draft.unsure.get("attributes", []))
    for name in {"dimmable", "watts_x"} & draft.unused.keys():
        assert repr(name) in str(draft.unsure), draft.unsure
    assert "their values come again" in said


def test_a_shop_that_does_not_say_what_can_be_had_is_told(tmp_path):
    rows = [f"{n},Lamp {n},{n}.00" for n in range(1, 5)]
    unsure = mapped(tmp_path, {"p.csv": csv("sku,name,price", *rows)}).draft.unsure
    assert "every product counts as for sale" in str(unsure["columns.availability"])


def test_a_museum_sells_nothing(tmp_path):
    museum = mapped(tmp_path, {"m.csv": csv("sku,name,artist", "1,A,B", "2,C,D", "3,E,B")})
    assert "columns.availability" not in museum.draft.unsure
