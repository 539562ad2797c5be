"""Both code locations, as the server loads them."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
DAILY = {
    *("raw_catalog", "catalog", "vlm_attributes", "search_log"),
    *("product_embeddings", "product_attributes"),
}
# asset -> what it is made from: the picture in docs/architecture.md
LINEAGE = {
    "raw_catalog": set(),
    "catalog": {"raw_catalog"},
    "vlm_attributes": {"catalog"},
    "attribute_vocabulary": {"vlm_attributes", "catalog"},
    "dual_encoder": {"attribute_vocabulary", "vlm_attributes", "catalog"},
    "product_embeddings": {"catalog", "dual_encoder"},
    "vector_index": {"product_embeddings", "catalog", "dual_encoder"},
    "product_attributes": {
        *("product_embeddings", "catalog", "vlm_attributes"),
        *("attribute_vocabulary", "dual_encoder"),
    },
    "product_clusters": {
        "product_embeddings",
        "product_attributes",
        "catalog",
        "attribute_vocabulary",
    },
    "search_log": set(),
    "demand": {"search_log", "attribute_vocabulary"},
    "topics": {
        *("product_attributes", "attribute_vocabulary", "product_clusters"),
        *("demand", "catalog"),
    },
    "collections": {"topics", "product_attributes", "product_embeddings", "catalog"},
    "search_log_collections": {"search_log", "attribute_vocabulary", "catalog"},
    "published_collections": {
        *("collections", "product_attributes", "catalog", "attribute_vocabulary")
    },
    "scorecard": {
        *("collections", "search_log_collections", "product_attributes", "vlm_attributes"),
        *("attribute_vocabulary", "catalog"),
    },
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    from pinlanding_assets.definitions import defs as lazy

    found = lazy() if callable(lazy) else lazy
    assert isinstance(found, dg.Definitions)
    return found


def test_lineage_is_the_one_in_the_picture(defs):
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.materializable_asset_keys
    }
    assert found == LINEAGE


def test_every_asset_says_what_an_operator_asks(defs):
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node, name = graph.get(key), key.to_user_string()
        assert node.description, name
        assert node.owners, name
        assert node.group_name != "default", name
        assert node.kinds, name
        assert node.code_version, name
        assert node.freshness_policy, name
        assert (node.partitions_def is not None) == (name in DAILY), name
        if node.partitions_def:
            assert node.backfill_policy == dg.BackfillPolicy.single_run(), name


def test_assets_that_run_models_wait_for_the_gpu(defs):
    pools = {
        key.to_user_string(): op.pool
        for definition in defs.resolve_asset_graph().assets_defs
        for key in definition.keys
        if (op := definition.op)
    }
    found = {name: pool for name, pool in pools.items() if pool}
    assert found == {
        "vlm_attributes": "gpu",
        "dual_encoder": "gpu_train",
        "product_embeddings": "gpu",
    }


def test_only_the_scorecard_can_ask_for_the_truth(defs):
    asking = {
        key.to_user_string()
        for definition in defs.resolve_asset_graph().assets_defs
        for key in definition.keys
        if "truth" in definition.required_resource_keys
    }
    assert asking == {"scorecard"}


@pytest.mark.parametrize("module", ["pinlanding_assets", "rl_diffusion_assets"])
def test_a_location_loads_without_heavy_libraries(module):
    program = (
        f"import sys, {module}.definitions as d; d.defs() if callable(d.defs) else d.defs\n"
        "heavy = {'torch', 'transformers', 'open_clip', 'sklearn', 'qdrant_edge', 'xgrammar'}\n"
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
