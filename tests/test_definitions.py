"""Both code locations, as the server loads them."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from resources.freshness import OF_DAILY, OF_FOLLOWING

REPOSITORY = Path(__file__).resolve().parent.parent
DAILY = {
    *("raw_catalog", "catalog", "vlm_attributes", "search_log"),
    *("product_embeddings", "product_attributes"),
}
# asset -> what it is made from: the picture in docs/architecture.md
LINEAGE = {
    "raw_catalog": {"file_settings"},
    "catalog": {"raw_catalog", "row_settings", "feed_decisions"},
    "vlm_attributes": {"catalog", "lexicon"},
    "attribute_vocabulary": {
        *("vlm_attributes", "catalog", "collection_settings", "vocabulary_words"),
        "word_decisions",
    },
    "dual_encoder": {"attribute_vocabulary", "vlm_attributes", "catalog"},
    "product_embeddings": {"catalog", "dual_encoder"},
    "vector_index": {"product_embeddings", "catalog", "dual_encoder"},
    "product_attributes": {
        *("product_embeddings", "catalog", "vlm_attributes"),
        *("attribute_vocabulary", "dual_encoder"),
    },
    "product_clusters": {
        *("product_embeddings", "product_attributes", "catalog", "attribute_vocabulary"),
        "label_decisions",
    },
    "search_log": set(),
    "demand": {"search_log", "attribute_vocabulary"},
    "topics": {
        *("product_attributes", "attribute_vocabulary", "product_clusters"),
        *("demand", "catalog", "collection_settings", "page_settings"),
        *("label_decisions", "page_decisions"),
    },
    "collections": {
        *("topics", "product_attributes", "product_embeddings", "catalog"),
        *("collection_settings", "label_decisions", "page_decisions"),
    },
    **{f"{facet}_decisions": set() for facet in ("feed", "word", "label", "page")},
    "search_log_collections": {"search_log", "attribute_vocabulary", "catalog"},
    "collection_ratings": set(),
    "keyword_collections": {"catalog", "attribute_vocabulary", "demand", "lexicon"},
    "collection_covers": {"collections", "attribute_vocabulary", "promoted_diffusion_weights"},
    "published_collections": {
        *("collections", "collection_covers", "product_attributes", "catalog"),
        *("attribute_vocabulary", "product_embeddings", "scorecard", "page_settings"),
        "label_decisions",
    },
    "curation_proposals": {
        *("attribute_vocabulary", "dual_encoder", "demand", "product_clusters", "topics"),
        *("collections", "page_decisions", "product_attributes", "product_embeddings"),
        *("vlm_attributes", "catalog"),
    },
    "model_ledger": {"vlm_attributes", "topics", "scorecard"},
    "scorecard": {
        *("collections", "search_log_collections", "product_attributes", "vlm_attributes"),
        *("attribute_vocabulary", "catalog", "keyword_collections", "dual_encoder"),
        *("collection_ratings", "label_decisions"),
    },
}
RL_LINEAGE = {
    "prompt_sets": set(),
    "preference_pairs": {"prompt_sets"},
    "base_diffusion": {"prompt_sets"},
    "reward_models": {"preference_pairs", "base_diffusion"},
    "rl_diffusion_weights": {"prompt_sets", "base_diffusion", "reward_models"},
    "rl_evaluation": {"rl_diffusion_weights"},
    "promoted_diffusion_weights": {"rl_evaluation"},
}
PARTITIONED = {
    *(*DAILY, "preference_pairs"),
    *("reward_models", "rl_diffusion_weights", "rl_evaluation"),
}
POOLS = {
    "pinlanding_assets": {
        "vlm_attributes": "gpu",
        "dual_encoder": "gpu_train",
        "product_embeddings": "gpu",
        "collection_covers": "gpu",
        "scorecard": "gpu",
    },
    "rl_diffusion_assets": {
        "base_diffusion": "gpu",
        "reward_models": "gpu_train",
        "rl_diffusion_weights": "gpu_train",
        "rl_evaluation": "gpu",
    },
}


MODELS = {"rl_diffusion_weights", "rl_evaluation", "promoted_diffusion_weights"}  # of no columns
FRESHNESS = {one.name for one in (*OF_DAILY, *OF_FOLLOWING)}


@pytest.fixture(scope="module", params=["pinlanding_assets", "rl_diffusion_assets"])
def location(request) -> tuple[str, dg.Definitions]:
    lazy = importlib.import_module(f"{request.param}.definitions").defs
    found = lazy() if callable(lazy) else lazy
    assert isinstance(found, dg.Definitions)
    return request.param, found


def test_lineage_is_the_one_in_the_picture(location):
    name, defs = location
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.materializable_asset_keys
    }
    assert found == (LINEAGE if name == "pinlanding_assets" else RL_LINEAGE)


def test_every_asset_says_what_an_operator_asks(location):
    graph = location[1].resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node, name = graph.get(key), key.to_user_string()
        assert node.description.endswith("."), name
        assert "\n" not in node.description, name  # a line: the list of assets shows no more
        assert len(node.description) <= 100, name
        assert node.owners, name
        assert node.group_name != "default", name
        assert node.kinds, name
        assert node.code_version, name
        assert node.freshness_policy, name
        assert (node.partitions_def is not None) == (name in PARTITIONED), name
        if name in (*DAILY, "preference_pairs"):
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), name


def test_all_days_are_of_one_definition_with_a_start_that_does_not_move(location):
    """A second definition splits backfills; a start that is counted from now loses partitions."""
    name, defs = location
    graph = defs.resolve_asset_graph()
    daily = {
        definition
        for key in graph.materializable_asset_keys
        if isinstance(
            definition := graph.get(key).partitions_def, dg.TimeWindowPartitionsDefinition
        )
    }
    shared = importlib.import_module(f"{name}.partitions").DAILY
    assert daily == {shared}
    assert shared.timezone == "UTC"
    assert shared.start.date().isoformat() == os.environ.get("PLATFORM_START_DATE", "2026-11-01")


def test_a_backfill_of_some_days_targets_no_other_day(location):
    """From the days of its roots Dagster finds those of the rest by the mappings between them."""
    graph = location[1].resolve_asset_graph()
    daily = {
        key
        for key in graph.materializable_asset_keys
        if isinstance(graph.get(key).partitions_def, dg.TimeWindowPartitionsDefinition)
    }
    for key in daily:
        for parent in graph.get(key).parent_keys & daily:
            mapping = graph.get_partition_mapping(key, parent)
            assert isinstance(mapping, dg.TimeWindowPartitionMapping), (key, mapping)
            assert mapping == dg.TimeWindowPartitionMapping(), (key, mapping)  # of the same day


def test_every_asset_has_checks_and_every_column_a_meaning(location):
    graph = location[1].resolve_asset_graph()
    known = {
        asset: importlib.import_module(f"{module}.columns").COLUMNS.get(asset)
        for module, lineage in (("pinlanding_assets", LINEAGE), ("rl_diffusion_assets", RL_LINEAGE))
        for asset in lineage
    }
    for key in graph.materializable_asset_keys:
        asset = key.to_user_string()
        names = {one.name for one in graph.asset_check_keys if one.asset_key == key}
        assert names - FRESHNESS, asset  # those are about when, these about what
        schema = graph.get(key).metadata["dagster/column_schema"]
        assert all(column.type and column.description for column in schema.columns), asset
        told = " ".join(str(column.description) for column in schema.columns)
        for source in (one for about in known[asset].values() for one in about.sources):
            parent, _, origin = source.partition(".")
            assert f"[{parent}](/assets/{parent}).{origin}" in told, asset  # the UI's only lineage
        made_of = [one for one in graph.get(key).parent_keys if not graph.get(one).is_observable]
        table = asset not in MODELS and made_of
        assert not table or any(about.sources for about in known[asset].values()), asset
        for column, about in known[asset].items():
            for source in about.sources:
                parent, _, origin = source.partition(".")
                assert origin in known[parent], f"{asset}.{column} from {source}"


def test_a_check_says_what_holds_and_what_to_do(location):
    checks = importlib.import_module(f"{location[0]}.checks").CHECKS
    for asset, several in checks.items():
        for check in several:
            assert check.description.endswith("."), (asset, check.name)
            assert len(check.remedy) > 30, (asset, check.name)
            assert check.remedy.endswith("."), (asset, check.name)


def test_assets_that_run_models_wait_for_the_gpu(location):
    name, defs = location
    pools = {
        key.to_user_string(): op.pool
        for definition in defs.resolve_asset_graph().assets_defs
        for key in definition.keys
        if definition.is_executable and (op := definition.op)
    }
    assert {name: pool for name, pool in pools.items() if pool} == POOLS[name]


def test_only_the_scorecard_can_ask_for_the_truth(location):
    asking = {
        key.to_user_string()
        for definition in location[1].resolve_asset_graph().assets_defs
        for key in definition.keys
        if "truth" in definition.required_resource_keys
    }
    # the keyword arm, a part of the scorecard, is given every synonym
    known = {"scorecard", "keyword_collections"}
    assert asking == (known if location[0] == "pinlanding_assets" else set())


@pytest.mark.parametrize("module", ["pinlanding_assets", "rl_diffusion_assets"])
def test_a_location_loads_without_heavy_libraries(module):
    program = (
        f"import sys, {module}.definitions as d; d.defs() if callable(d.defs) else d.defs\n"
        "heavy = {'torch', 'transformers', 'open_clip', 'sklearn', 'qdrant_edge', 'xgrammar', "
        "'diffusers', 'accelerate', 'matplotlib', 'scipy', 'dataframely', 'sqlalchemy', 'duckdb', "
        "'httpx', 'jinja2', 'rapidfuzz'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_workspace_loads_both_locations():
    done = subprocess.run(
        [sys.executable, "-m", "operations", "validate"],
        cwd=REPOSITORY,
        env=os.environ | {"PLATFORM_CATALOG": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "pinlanding_assets, rl_diffusion_assets" in done.stdout
