import pytest

from pinlanding_assets.topics.words import content, normal_form, plural


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("dress", "dresses"),
        ("watch", "watches"),
        ("jeans", "jeans"),
        ("t-shirt", "t-shirts"),
        ("battery", "batteries"),
        ("toy", "toys"),
        ("scarf", "scarves"),
        ("fitness equipment", "fitness equipment"),
        ("activewear", "activewear"),
        ("box of chocolates", "boxes of chocolates"),
        ("woman", "women"),
        ("women", "women"),
        ("sports bra", "sports bras"),
        *(("hair care", "hair care"), ("swim", "swim"), ("home & kitchen", "home & kitchen")),
        *(("tanks & cami", "tanks & cami"), ("camis", "camis"), ("running", "running")),
        *(("earring", "earrings"), ("axis", "axes"), ("class", "classes")),
    ],
)
def test_plural(noun, expected):
    assert plural(noun) == expected


def test_normal_form_joins_number_spelling_and_hyphens():
    assert normal_form("Grey T-Shirts") == normal_form("gray t shirt")
    assert normal_form("dress") != normal_form("address")


def test_content_leaves_function_words_out():
    assert content("Dresses with the short sleeves") == content("dress short sleeve")
