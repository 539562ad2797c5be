"""Code location of the second system: a text-to-image model is tuned to what people prefer."""

import dagster as dg

from resources.automation import automated
from resources.profiles import executor, resources
from resources.reporting import described
from rl_diffusion_assets import checks
from rl_diffusion_assets.automation import DAILY, FEEDS, followed
from rl_diffusion_assets.columns import COLUMNS
from rl_diffusion_assets.evaluation import assets as evaluation
from rl_diffusion_assets.policy import assets as policy
from rl_diffusion_assets.preferences import assets as preferences
from rl_diffusion_assets.promotion import assets as promotion
from rl_diffusion_assets.prompts import assets as prompts
from rl_diffusion_assets.rewards import assets as rewards

STAGES = [prompts, preferences, rewards, policy, evaluation, promotion]


@dg.definitions
def defs() -> dg.Definitions:
    """Assets of every stage, what runs them, the job that undoes a promotion, and the resources."""
    assets = dg.Definitions(
        assets=dg.load_assets_from_modules(STAGES),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        jobs=[promotion.demote],
        resources=resources() | {"pipes": dg.PipesSubprocessClient()},
        executor=executor(),
    ).permissive_map_resolved_asset_specs(
        func=lambda spec: followed(spec).replace_attributes(
            owners=["team:generation"],
            metadata={**spec.metadata, **described(COLUMNS, spec)},
        ),
        selection=None,
    )
    return automated(assets, DAILY, FEEDS)
