"""Code location of the second system: RL for diffusion. It has no assets yet."""

import dagster as dg

defs = dg.Definitions()
