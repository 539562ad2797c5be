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
