"""Templates and prompt files -> prompt_sets."""
