"""Reward models: what a picture is worth, who is in it, what is in it; and the judge."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from PIL import Image

from resources.checkpoints import Checkpoints
from resources.diffusion import Diffusion
from resources.feeds.studio import Studio
from resources.gpu import Gpu
from resources.lake import Lake, content_hash
from resources.reporting import (
    contact_sheet,
    explained,
    markdown_table,
    rounded,
    table_metadata,
)
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.partitions import EVERY_DAY
from rl_diffusion_assets.preferences.assets import preference_pairs
from rl_diffusion_assets.rewards.building import REWARDS, Material, build, examine
from rl_diffusion_assets.rewards.material import (
    make_captioned,
    make_objects,
    make_pairs,
    make_people,
)
from rl_diffusion_assets.rewards.showing import sheets
from rl_diffusion_assets.rewards.training import Fit

REWARD = dg.StaticPartitionsDefinition(list(REWARDS))
TOO_LITTLE = (
    "look at the row counts of preference_pairs and at the labelled files that studio.yaml names; "
    "materialize reward_models again when they have what is missing."
)


class RewardFits(dg.Config):
    """Optimizer steps and batch of each model."""

    preference_steps: int = 400
    features_steps: int = 1500
    judge_steps: int = 1500
    person_steps: int = 320
    objects_steps: int = 480
    batch: int = 48
    seed: int = 0

    def fits(self) -> dict[str, Fit]:
        """Schedules by model."""
        return {
            "preference": Fit(self.preference_steps, self.batch, 2e-3, self.seed),
            "features": Fit(self.features_steps, self.batch, 1e-3, self.seed),
            "judge": Fit(self.judge_steps, self.batch, 1e-3, self.seed + 1_000),
            "person": Fit(self.person_steps, self.batch, 2e-3, self.seed),
            "objects": Fit(self.objects_steps, self.batch, 2e-3, self.seed),
        }


def days_of_pairs(lake: Lake) -> dict[str, str]:
    """Day -> data version of all rated pairs that there are."""
    found = {
        day: lake.manifest("preference_pairs", day) for day in lake.partitions("preference_pairs")
    }
    return {day: manifest.data_version for day, manifest in found.items() if manifest}


def learned_from(about: Mapping[str, Any]) -> dict[str, str]:
    """What a reward model learned from, as a line each for people; empty of one of before."""
    days: Mapping[str, str] = about.get("pairs", {})
    out = {f"labelled_{kind}": digest[:16] for kind, digest in about.get("labelled", {}).items()}
    if days:
        digest = hashlib.sha256(json.dumps(days, sort_keys=True).encode()).hexdigest()
        out["preference_pairs"] = f"{min(days)} to {max(days)}, {len(days)} days: {digest[:16]}"
    return out


@dg.asset(
    partitions_def=REWARD,
    deps=[dg.AssetDep(preference_pairs, partition_mapping=EVERY_DAY), "base_diffusion"],
    group_name="rewards",
    kinds={"pytorch", "safetensors"},
    pool="gpu_train",
    code_version="2",
)
def reward_models(
    context: dg.AssetExecutionContext,
    config: RewardFits,
    studio: Studio,
    lake: Lake,
    diffusion: Diffusion,
    checkpoints: Checkpoints,
    gpu: Gpu,
) -> dg.MaterializeResult:
    """Models that score pictures, and a judge of other data and build that no run learns from."""
    for name in context.partition_keys:
        with gpu.session() as session, explained(TOO_LITTLE):
            pinned = lake.manifest("base_diffusion")
            if pinned is None:
                raise dg.Failure("base_diffusion is not materialized; materialize it first")
            folder = checkpoints.path("base_diffusion", pinned.versions["checkpoint"])
            base = diffusion.load(str(folder), device=session.device)
            side, rated = base.side, lake.scan("preference_pairs", "pairs").collect()
            pairs, held_out = make_pairs(rated, lake.image, side)
            labelled = {kind: studio.labelled(kind) for kind in ("people", "objects", "captioned")}
            material = Material(
                pairs=pairs,
                held_out=held_out,
                people=make_people(labelled["people"], side),
                objects=make_objects(labelled["objects"], side),
                captioned=make_captioned(labelled.values(), side),
                decode=lambda pictures, base=base: base.decode(base.pack(pictures)),
                device=session.device,
                tell=context.log.info,
            )
            figures: list[dict] = []

            given = studio.reward_folder(name)

            def write(target: Path, name: str = name, material: Material = material) -> None:
                if given:  # noqa: B023
                    shutil.copytree(given, target, dirs_exist_ok=True)  # noqa: B023
                    made = examine(name, material, target)
                else:
                    made = build(name, material, Path(diffusion.scorer), config.fits(), target)
                figures.extend(made)  # noqa: B023

            learned = {kind: content_hash(table) for kind, table in labelled.items()}
            about = config.model_dump() | {"pairs": days_of_pairs(lake), "labelled": learned}
            version = checkpoints.save(f"reward_{name}", write, about=about)
            made = sheets(name, checkpoints.path(f"reward_{name}", version), material)
        manifest = lake.commit(
            "reward_models",
            {"figures": pl.DataFrame(figures)},
            partition=name,
            versions={"checkpoint": version, **learned_from(about)},
        )
        context.add_asset_metadata(
            {
                **table_metadata(manifest, "figures", COLUMNS["reward_models"]),
                **session.metadata(),
                "checkpoint": version,
                "pairs": len(pairs.first),
                "examination": markdown_table(figures),
                **rounded(
                    {one["name"]: one["value"] for one in figures if "recall" not in one["name"]}
                ),
                **{
                    f"{kind}_sheet": contact_sheet([*map(Image.fromarray, pictures)], captions)
                    for kind, (pictures, captions) in made.items()
                },
            },
            partition_key=name,
        )
    return dg.MaterializeResult()
