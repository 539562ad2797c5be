"""The model card of promoted weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from rl_diffusion_assets.promotion.gates import Verdict


def model_card(
    objective: str,
    about: Mapping[str, Any],
    learned: Mapping[str, Mapping[str, str]],
    figures: Mapping[str, float],
    verdicts: Sequence[Verdict],
) -> str:
    """What the weights are, what they were made of, and what was measured."""
    made = dict(about["parents"])
    made |= {name: digest[:16] for name, digest in about.get("tables", {}).items()}
    for model, sources in learned.items():
        made |= {f"{model}, learned from {name}": version for name, version in sources.items()}
    parents = "\n".join(f"| {name} | `{version}` |" for name, version in made.items())
    settings = "\n".join(f"| {key} | {value} |" for key, value in sorted(about["training"].items()))
    passed = "\n".join(
        f"| {one.gate} | {'' if one.value is None else f'{one.value:.3f}'} | {one.wanted} |"
        for one in verdicts
    )
    measured = "\n".join(f"| {name} | {value:.4f} |" for name, value in figures.items())
    return f"""# Text-to-image weights, tuned to: {objective}

Tuned by reinforcement from the base model below, the best of {about["summary"]["iterations"]}
iterations by the judge's word (iteration {about["summary"]["best_iteration"]}). The judge is a
model and stands in for people: ask people before anything depends on it.

Use it for pictures like those of its prompts. Skin tone and perceived gender are what a classifier
sees in a drawing; they say nothing about any person.

| made of | checkpoint or content |
|---|---|
{parents}

| setting | value |
|---|---|
{settings}

| gate | value | wanted |
|---|---|---|
{passed}

| measured | value |
|---|---|
{measured}
"""
