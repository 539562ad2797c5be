"""The code page of a text without a mark is told by the letters of its language."""

import pytest

from resources.feeds.encodings import sniff_encoding


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Łyżka drewniana;39,00\nMiska dębowa;12,00\n"),
        ("cp1250", "Talíř bílý;Kuchyně\n"),
        ("cp1250", "Krožnik črn;Dom\n"),
        ("cp1250", "Bögre fehér;Tűzálló tál\n"),
        ("iso8859_2", "Łyżka ścienna;źródło\n"),
        ("cp1254", "Çay bardağı;Kırmızı şişe\n"),
        ("cp1257", "Šaukštas ąžuolinis;Virtuvė\n"),
        ("cp1252", "Käsereibe;9\nKüche;3\n"),
        ("cp1252", "Assiette décorée;€ 5\nPoêle à crêpes\n"),
        ("cp1252", "Søbredning æøå;Blå\n"),
        ("cp1252", "Fußball 5³ m²\n"),
        ("cp1251", "Ложка деревянная;Кухня\n"),
    ],
)
def test_the_letters_of_a_short_text_say_its_code_page(encoding, text):
    assert sniff_encoding(text.encode(encoding)) == encoding
