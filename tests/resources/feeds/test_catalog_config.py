import pytest
import yaml

from resources.feeds.catalog_config import CatalogConfig, CatalogConfigError, load_overrides

LEAST = {"feeds": ["feed.csv"], "columns": {"id": "sku"}}


def load(tmp_path, content, name="My shop.yaml"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return CatalogConfig.load(path)


def test_an_id_and_a_feed_are_enough(tmp_path):
    config = load(tmp_path, LEAST)
    assert config.name == "my-shop"
    assert config.collections.model_dump() == {
        "existing": None,
        **{"min_products": 10, "min_sellers": 1, "max_products": None},
    }
    assert load(tmp_path, LEAST, "clothing_cc0.yaml").name == "clothing_cc0"


def test_short_and_long_forms_mean_the_same(tmp_path):
    config = load(
        tmp_path,
        """
        feeds: [feed.csv]
        columns: {id: sku, images: image, seller: shop}
        attributes: {colour: {column: color, split: "/", values: {rd: red}}, "*": extra}
        lexicon: {size: [38, XL], colour: {red: [crimson]}}
        day: 2026-11-05
        """,
    )
    blank = {"since": None, "until": None, "split": None}
    assert config.columns.model_dump()["images"] == [{"column": "image", **blank}]
    assert config.columns.id[0].column == "sku"
    assert config.attributes["*"][0].column == "extra"
    assert config.attributes["colour"][0].values == {"rd": "red"}
    assert config.lexicon == {"size": ["38", "XL"], "colour": {"red": ["crimson"]}}
    assert str(config.day) == "2026-11-05"
    assert config.collections.min_sellers == 3


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"columns": {}}, "columns.id"),
        ({"columns": {"id": "sku", "titel": "name"}}, "columns.titel"),
        ({"columns": {"id": "sku", "title": {"column": "name", "split": ","}}}, "columns.title"),
        ({"columns": {"id": "sku", "parent_key": "code"}}, "parent"),
        ({"attributes": {"size": {"column": "a", "names": "b"}}}, "size"),
        ({"attributes": {"*": {"column": "a{n}", "names": "b"}}}, "attributes.*"),
        (
            {"columns": {"id": {"column": "a", "since": "2026-11-02", "until": "2026-11-01"}}},
            "since",
        ),
        ({"format": {"encoding": "klingon"}}, "format.encoding"),
        ({"format": {"separator": ";;"}}, "format.separator"),
        ({"snapshot": "yes"}, "snapshot"),
        ({"rows": "all"}, "rows"),
        ({"decimal": ";"}, "decimal"),
        ({"day_format": "%d.%m"}, "day_format"),
        ({"words": {"availability": {"maybe": "perhaps"}}}, "words.availability.maybe"),
        ({"feeds": []}, "feeds"),
        ({"feeds": "feed.csv"}, "feeds"),
        ({"collection": {}}, "collection"),
        ({"collections": {"min_products": 0}}, "collections.min_products"),
        ({"collections": {"existing": "tags"}}, "collections.existing"),
        ({"vlm_budget": -1}, "vlm_budget"),
        ({"defaults": {"currency": "dollars"}}, "defaults.currency"),
        ({"day": "tomorrow"}, "day"),
        ({"name": "../up"}, "name"),
        ({"phrases": {"sleeve": "with sleeves"}}, "sleeve"),
        ({"phrases": {"sleeve": "with {value.__class__} sleeves"}}, "sleeve"),
        ({"phrases": {"sleeve": "with {value"}}, "sleeve"),
        ({"lexicon": {"colour": [True]}}, "lexicon.colour"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path, change, setting):
    with pytest.raises(CatalogConfigError) as caught:
        load(tmp_path, LEAST | change)
    assert setting in str(caught.value)
    assert "My shop.yaml" in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "- a\n- b\n", "feeds: [", "!!python/object/apply:os.getcwd []"]
)
def test_a_file_that_holds_no_settings_is_named(tmp_path, content):
    with pytest.raises(CatalogConfigError, match=r"My shop\.yaml"):
        load(tmp_path, content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CatalogConfigError, match=r"none\.yaml"):
        CatalogConfig.load(tmp_path / "none.yaml")


def test_overrides_of_the_vocabulary(tmp_path):
    path = tmp_path / "vocabulary.yaml"
    assert load_overrides(path) == {}
    path.write_text("colour: {jet: black, asdf: null, crimson: crimson, 7: x}\n")
    words = {"jet": "black", "asdf": None, "crimson": "crimson", "7": "x"}
    assert load_overrides(path) == {"colour": words}
    path.write_text("")
    assert load_overrides(path) == {}
    path.write_text("colour: [jet]\n")
    with pytest.raises(CatalogConfigError, match=r"vocabulary.yaml: wrong settings:\n  colour"):
        load_overrides(path)
    path.write_text("colour: [")
    with pytest.raises(CatalogConfigError, match="cannot be read"):
        load_overrides(path)
