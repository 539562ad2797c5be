"""The columns of every asset's main table: type, meaning, and the columns they are made from."""

from collections.abc import Mapping

from resources.reporting import Column

OF_TASK = {
    "reward": "mean reward of the iteration's pictures",
    "reward_deviation": "standard deviation of the rewards",
    "gradient": "mean length of the gradient",
}
JUDGED = {  # where the judge was asked; `value` is what the best checkpoint is chosen by
    "judge_win": "share of the judge's own comparisons with the base that are won",
    "judge_score": "mean score of the judge",
    "proxy_win": "share of the trained-on scorer's comparisons with the base that are won",
    "proxy_score": "mean score of the trained-on scorer",
    "value": "mean gain over the objectives, in units of each bar",
}

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "prompt_sets": {
        "prompt_id": Column("String", "hash of the text without case, punctuation and articles"),
        "prompt": Column("String", "the text"),
        "objective": Column("String", "preference, fairness or composition"),
        "family": Column("String", "kind of prompt"),
        "split": Column("String", "train or held_out; the same for a prompt in every objective"),
        "objects": Column("List(Struct)", "those that a template or a format states"),
        "relation": Column("String", "of the first object to the second"),
        "held_out_objects": Column(
            "Boolean", "whether it names an object that is never trained on"
        ),
        "source": Column("String", "template, or file:row of the first one received"),
        "count": Column("Int64", "received prompts that this row stands for"),
    },
    "preference_pairs": {
        "pair_id": Column("String", "hash of the prompt and both images, in either order"),
        "prompt_id": Column("String", "hash of the prompt", ("prompt_sets.prompt_id",)),
        "prompt": Column("String", "what both images were drawn for"),
        "image_a": Column("String", "content hash; null where ratings come without pixels"),
        "image_b": Column("String", "content hash; null where ratings come without pixels"),
        "name_a": Column("String", "the image as the first of the pair's ratings names it"),
        "name_b": Column("String", "the image as the first of the pair's ratings names it"),
        "votes_a": Column("Int64", "votes for a"),
        "votes_b": Column("Int64", "votes for b"),
        "ties": Column("Int64", "votes for neither"),
        "share_a": Column("Float64", "votes for a, ties counting half, as a share of all"),
        "split": Column(
            "String",
            "by the prompt's text, but held_out wherever prompt_sets holds the prompt out",
            ("prompt_sets.split",),
        ),
        "source": Column("String", "file:row of the first rating"),
    },
    "base_diffusion": {
        "prompt": Column("String", "a caption of the sheet", ("prompt_sets.prompt",)),
        "seed": Column("Int64", "the picture's random seed"),
    },
    "reward_models": {
        "name": Column("String", "what was examined"),
        "value": Column("Float64", "share, or log loss", ("preference_pairs.share_a",)),
        "n": Column("Int64", "pictures or pairs that it was measured on"),
    },
    "rl_diffusion_weights": {
        "iteration": Column("Int64", "of the training, from 1"),
        **{
            f"{task}_{name}": Column("Float64", f"{task}: {about}")
            for task in ("preference", "fairness", "composition")
            for name, about in OF_TASK.items()
        },
        "pretraining_loss": Column("Float64", "of captioned pictures, mean of the iteration"),
        **{f"judge_{name}": Column("Float64", about) for name, about in JUDGED.items()},
        "seconds": Column("Float64", "wall time of the training until then, s"),
    },
    "rl_evaluation": {
        "name": Column("String", "what was measured; `_base` is the model before tuning"),
        "value": Column("Float64", "share or ratio"),
        "low": Column("Float64", "lower end of the 95 % interval; NaN where there is none"),
        "high": Column("Float64", "upper end of the 95 % interval; NaN where there is none"),
        "n": Column("Int64", "pictures or pairs that it was measured on"),
    },
    "promoted_diffusion_weights": {
        "checkpoint": Column("String", "the weights' version"),
        "objective": Column("String", "what they were tuned to"),
        "base": Column("String", "the base model's version"),
        "tuned": Column("String", "the version of rl_diffusion_weights that they were"),
    },
}
