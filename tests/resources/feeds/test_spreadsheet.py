"""Which sheet of a workbook holds the rows."""

import io

import openpyxl

from resources.feeds.spreadsheet import open_spreadsheet


def test_a_sheet_that_says_how_to_fill_in_another_comes_last():
    book = openpyxl.Workbook()
    guide, template = book.worksheets[0], book.create_sheet("Template")
    guide.title = "Data Definitions"
    for row in (["Group", "Field"], ["Required", "sku"], ["Required", "name"]):
        guide.append(row)
    for row in (["sku", "name"], ["1", "Rug"]):
        template.append(row)
    stream = io.BytesIO()
    book.save(stream)
    stream.seek(0)
    opened = open_spreadsheet(stream, "flatfile.xlsx")
    assert [row.value for row in opened.rows] == [{"sku": "1", "name": "Rug"}]
