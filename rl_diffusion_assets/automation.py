"""What runs by itself: the night, what follows it on its own cadence, late ratings, freshness."""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from resources import freshness
from resources.feeds.catalog_source import feed_version
from resources.nights import Feed
from resources.profiles import automation
from resources.staleness import Follow
from rl_diffusion_assets.policy.tasks import RUNS

DAILY = {"preference_pairs"}
OF_OBJECTIVE = {"rl_diffusion_weights", "rl_evaluation"}
TRAINED = {"reward_models", *OF_OBJECTIVE, "promoted_diffusion_weights"}


def followed(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The asset with its automation condition and its freshness policy.

    Raises:
        ValueError: PLATFORM_OBJECTIVES names one that there is not.
    """
    name, chosen = spec.key.to_user_string(), automation()
    if unknown := sorted(set(chosen.objectives) - set(RUNS)):
        raise ValueError(f"PLATFORM_OBJECTIVES: {', '.join(unknown)}: there are {', '.join(RUNS)}")
    rules: dict[str, dict[str, Any]] = {
        "reward_models": {"cron": chosen.reward_cron, "rows": chosen.reward_pairs},
        # hours of work: only for new reward models, which have a cadence
        "rl_diffusion_weights": {"inputs": ("reward_models",), "only": chosen.objectives},
        "rl_evaluation": {"only": chosen.objectives},
    }
    rule = Follow(chosen.night_cron, **rules.get(name, {}))
    if name in DAILY:
        policy = freshness.DAILY
    else:
        policy = freshness.WEEKLY if name in TRAINED else freshness.FOLLOWING
    return spec.replace_attributes(automation_condition=rule, freshness_policy=policy)


def _ratings(used: Mapping[str, Any]) -> tuple[Mapping[str, str], Callable[[str], str]]:
    studio = used["studio"]
    return studio.stamps(), lambda day: feed_version(studio.provenance(day))


FEEDS = [Feed("late_ratings", "preference_pairs", {"studio"}, _ratings)]
