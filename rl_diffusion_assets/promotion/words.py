"""The words that a model was asked for in training: what others may ask it to draw."""

import re

import polars as pl

SCHEMA = {"word": pl.String, "role": pl.String, "plural": pl.Boolean}


def taught_words(prompts: pl.DataFrame) -> pl.DataFrame:
    """Objects and colours of the composition prompts, as word, role (object or quality), plural.

    An object that never follows an article is plural.
    """
    rows = prompts.filter(pl.col("objective") == "composition")
    names: dict[str, bool] = {}
    qualities: set[str] = set()
    for row in rows.iter_rows(named=True):
        for one in row["objects"] or []:
            qualities |= {one["colour"]} - {None}
            phrase = " ".join(filter(None, (one["colour"], one["name"])))
            single = re.search(rf"\b(a|an)\s+{re.escape(phrase)}\b", row["prompt"]) is not None
            names[one["name"]] = names.get(one["name"], True) and not single
    table = [(name, "object", plural) for name, plural in sorted(names.items())]
    table += [(word, "quality", False) for word in sorted(qualities)]
    return pl.DataFrame(table, schema=SCHEMA, orient="row")
