"""The files that people edit as inputs of the graph: what is made from them follows an edit."""

import dagster as dg

from resources.feeds.catalog_config import OVERRIDES, part_version
from resources.staleness import Edited

READERS = {  # a part of catalog.yaml, or vocabulary.yaml -> the assets that are made from it
    "file_settings": {"raw_catalog"},
    "row_settings": {"catalog"},
    "lexicon": {"vlm_attributes", "keyword_collections"},
    "vocabulary_words": {"attribute_vocabulary"},
    "collection_settings": {"attribute_vocabulary", "topics", "collections"},
    "page_settings": {"topics", "published_collections"},
}


def read_by(asset: str) -> list[dg.AssetDep]:
    """What an asset is made from of the files that people edit."""
    return [dg.AssetDep(part) for part, readers in READERS.items() if asset in readers]


def edited_files(catalog: str) -> list[dg.SourceAsset]:
    """A part of a catalog.yaml each, and the vocabulary.yaml beside it."""
    return [_edited(catalog, part) for part in READERS]


def _edited(catalog: str, part: str) -> dg.SourceAsset:
    file = OVERRIDES if part == "vocabulary_words" else "catalog.yaml"

    @dg.observable_source_asset(
        name=part,
        description=f"What {file} says; an edit makes what is made from it out of date.",
        group_name="edited_files",
        automation_condition=Edited(catalog, part, part_version),
    )
    def looked_at() -> dg.DataVersion:
        return dg.DataVersion(part_version(catalog, part))

    return looked_at
