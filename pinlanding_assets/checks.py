"""What must hold of the data of every stage, and what to do where it does not.

The functions look at what an asset has just made; `published_collections` calls them again on what
it is about to publish, because a backfill does not stop at another run's failed check.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from pinlanding_assets.attributes.describing import unanswered
from pinlanding_assets.catalog.checks import CHECKS as CATALOG_CHECKS
from pinlanding_assets.catalog.live import sellable
from pinlanding_assets.collections.gates import GateError, Gates, verify_gates
from pinlanding_assets.encoder.vectors import vector_matrix
from resources.quality import (
    ROW_COUNT,
    SCHEMA,
    Check,
    Finding,
    Limits,
    at_least,
    at_most,
)

EMPTY_VOCABULARY = (
    "look at vlm_attributes' `sources`: without mentions there is nothing to build from. A catalog "
    "without attributes is read by its titles, if words repeat there; images alone have no names. "
    "Map more columns under `attributes:` in catalog.yaml, or give it a vision-language model."
)
SEE_TOPICS = (
    "look at `refusals` of collections and at the row count of topics; `collections:` in "
    "catalog.yaml says how large a page has to be."
)
VECTORS = Check(
    "vectors",
    "Every vector is finite and of length 1.",
    "the encoder or its cached vectors are broken: delete the folder cache/, materialize "
    "dual_encoder anew if they still are, then backfill product_embeddings for all days.",
    stops=True,
)
COVERAGE = (
    "Enough products carry an attribute.",
    "compare `mentions_kept` and `keys` of attribute_vocabulary with earlier runs, then "
    "materialize dual_encoder and backfill product_attributes.",
)
PRECISION = Check(
    "p_at_10",
    "Of the first ten products of a collection enough are right, where the truth is known.",
    "look at `wrong_products_sheet` and `figures` of scorecard: labels.* says which source errs. "
    "Mend it, or materialize attribute_vocabulary and dual_encoder anew, then the days and "
    "collections.",
    stops=True,
)
ESTIMATED = Check(
    "estimated_precision",
    "What is said of products whose labels are hidden is right often enough.",
    "look at `estimates` of dual_encoder: keys of low precision want more labelled products, or "
    "have to be left out under `attributes:` in catalog.yaml. Then materialize "
    "attribute_vocabulary and dual_encoder anew, then the days and collections.",
    stops=True,
)
LOG_INTACT = Check(
    "log_intact",
    "The log of decisions is what was written, event by event.",
    "somebody has changed the database of the log. Restore it from a backup, or take the exported "
    "log that `curate log` has printed; until then nothing new is decided.",
    stops=True,
)
FACETS = ("feed_decisions", "word_decisions", "label_decisions", "page_decisions")
CHECKS: Mapping[str, Sequence[Check]] = {
    **CATALOG_CHECKS,
    **{facet: [LOG_INTACT] for facet in FACETS},
    "curation_proposals": [
        Check(
            "answered",
            "No proposal waits so long that it is about to lapse.",
            "answer what `make curate` shows, or launch the job decide; what lapses is proposed "
            "again as long as it holds.",
        ),
    ],
    "vlm_attributes": [
        ROW_COUNT,
        SCHEMA,
        Check(
            "valid_answers",
            "The vision-language model's answers can be used.",
            "`invalid` shows answers with what is wrong: the model may be the wrong one, or "
            "its server down. Then materialize the day again; good answers are kept.",
        ),
        Check(
            "nothing_left",
            "Every chosen image was answered.",
            "`invalid` says why not; the next day's run asks again by itself. Where it is the "
            "budget, day after day, raise it (`budget:` of the settings) or lower `vlm_budget`.",
        ),
    ],
    "attribute_vocabulary": [
        Check("not_empty", "There are attributes to build from.", EMPTY_VOCABULARY, stops=True),
        Check(
            "mentions_kept",
            "The vocabulary can still say most of what was mentioned.",
            "`dropped` says what is left out most often, and why.",
        ),
    ],
    "dual_encoder": [
        Check(
            "entry_vectors",
            "The vector of every attribute is finite and of length 1.",
            "training has diverged: look at `training_curves` and at `entries` of "
            "attribute_vocabulary, and materialize dual_encoder again before anything below it.",
            stops=True,
        ),
        Check(
            "better_than_frequency",
            "On held-out products the encoder beats naming the most frequent attributes.",
            "look at `labelled_products` and `retrieval`: too few labels, or images that do not "
            "load, are the usual causes.",
        ),
        Check(
            "said_holds",
            "What is said of hidden labels is right as often as its probabilities say.",
            "look at the keys' `gap` in `estimates`: their labels may differ from source to "
            "source, or be silent where the key holds. Their pages are less sure than their score.",
        ),
    ],
    "product_embeddings": [
        ROW_COUNT,
        SCHEMA,
        VECTORS,
        Check(
            "embedded",
            "Nearly every product of a day has a vector.",
            "products without image and text have none: look at `rejects` of catalog for images "
            "that could not be fetched.",
        ),
    ],
    "product_attributes": [
        ROW_COUNT,
        SCHEMA,
        Check("coverage", *COVERAGE),
        Check(
            "probabilities",
            "Probabilities are numbers from 0 to 1.",
            "look at the vectors and entry_vectors checks of product_embeddings and dual_encoder, "
            "mend what they say, and materialize the day again.",
            stops=True,
        ),
    ],
    "vector_index": [
        Check(
            "recall",
            "The index has every product and finds the nearest ones.",
            "the version before stays in use. Look at the `vectors` check of product_embeddings, "
            "and materialize vector_index again; on a server, look at its log.",
            stops=True,
        ),
    ],
    "product_clusters": [
        Check(
            "largest_cluster",
            "No cluster holds most of the catalog.",
            "the vectors may be nearly equal: look at the neighbours sheet of vector_index and "
            "the retrieval of dual_encoder.",
        ),
    ],
    "search_log": [ROW_COUNT, SCHEMA],
    "demand": [
        Check(
            "understood",
            "The vocabulary knows a good part of the words that people search with.",
            "look at `top_queries`: words that are missing can be added under `lexicon:` in "
            "catalog.yaml.",
        ),
    ],
    "topics": [
        Check(
            "not_empty",
            "There are topics.",
            "look at the row count of product_attributes and at the coverage of its last days; a "
            "catalog of a few products has no combinations worth a page.",
            stops=True,
        ),
    ],
    "collections": [
        Check("not_empty", "A collection passed the gates.", SEE_TOPICS, stops=True),
        Check("accepted_share", "A fair part of the topics became collections.", SEE_TOPICS),
    ],
    "search_log_collections": [
        Check(
            "not_empty",
            "The searches give collections to compare with.",
            "look at the row counts of search_log; without a search log there is nothing to do.",
        ),
    ],
    "keyword_collections": [
        Check(
            "not_empty",
            "Keywords alone give collections to compare with.",
            "look at the row counts of catalog: without titles or fields there is nothing to do.",
        ),
    ],
    "collection_ratings": [
        Check(
            "readable",
            "Every line of the ratings can be read.",
            "look at the table `rejects`: it names file, line and what is wrong; mend or delete "
            "the line and materialize collection_ratings again.",
        ),
    ],
    "scorecard": [
        PRECISION,
        ESTIMATED,
        Check(
            "beats_search_log",
            "Collections from content are at least as right as those from the search log.",
            "compare `collections.*` with `search_log.*` in `figures`.",
        ),
    ],
    "model_ledger": [
        Check(
            "within_budget",
            "No day took more than its budget of calls, tokens and money.",
            "the server counts more tokens for an image than `image_tokens` of the settings says: "
            "raise it to the `prompt_tokens` a call of the newest day.",
        ),
        Check(
            "calls_answered",
            "Most calls of the newest day gave a usable answer.",
            "`newest` counts calls by outcome: a server that is overloaded wants a lower "
            "`concurrency`, one that breaks the schema another `response_format`.",
        ),
    ],
    "collection_covers": [
        Check(
            "not_blank",
            "Every cover shows something.",
            "look at `covers_sheet`; run the job demote of rl_diffusion_assets, then materialize "
            "again.",
        ),
    ],
    "published_collections": [
        Check(
            "gates",
            "Every page passes its gates with the catalog as it is now.",
            "the catalog has changed since collections were made: materialize collections and "
            "scorecard, then published_collections.",
            stops=True,
        ),
        Check("not_empty", "There is something to publish.", SEE_TOPICS, stops=True),
        Check(
            "pages_kept",
            "The site does not lose most of its pages at once.",
            "find out why: row_count of catalog, coverage of product_attributes, `refusals` of "
            "collections. If it is right, materialize with the run config `accept_fewer_pages: "
            "true`.",
            stops=True,
        ),
        VECTORS,
        Check("coverage", *COVERAGE, stops=True),
        PRECISION,
        ESTIMATED,
    ],
}


def answers_day(answers: pl.DataFrame, limits: Limits) -> dict[str, Finding]:
    """Findings of a day of vlm_attributes."""
    valid = float(answers["valid"].mean()) if answers.height else None  # type: ignore[arg-type]
    left = answers.filter(unanswered()).height
    return {
        "valid_answers": at_least(valid, limits.valid_answers, "share of usable answers"),
        "nothing_left": at_most(left, 0, "images without an answer"),
    }


def proposals_answered(ages: Sequence[float], limits: Limits) -> dict[str, Finding]:
    """Finding of curation_proposals.

    Args:
        ages: Of the open proposals, in days.
        limits: Holds the age that is allowed.
    """
    late = sum(age > limits.unanswered_days for age in ages)
    what = f"proposals wait for over {limits.unanswered_days} days"
    return {"answered": at_most(late, 0, what)}


def log_of_decisions(fault: str) -> dict[str, Finding]:
    """Finding of the assets of decisions: what is wrong with the log; empty: nothing."""
    return {"log_intact": Finding(failure=fault)}


def model_calls(
    newest: Mapping[str, float],
    spent: Mapping[str, float],
    caps: Mapping[str, float],
    limits: Limits,
) -> dict[str, Finding]:
    """Findings of model_ledger: figures of the newest day, what it took, and what it might."""
    over = [f"{spent[unit]:,.6g} of {cap:,.6g} {unit}" for unit, cap in caps.items()
            if spent[unit] > cap]  # fmt: skip
    return {
        "within_budget": Finding(len(over), ", ".join(over)),
        "calls_answered": at_least(
            newest.get("answered"), limits.calls_answered, "share of calls with a usable answer"
        ),
    }


def vocabulary(entries: int, kept: float, limits: Limits) -> dict[str, Finding]:
    """Findings of attribute_vocabulary."""
    return {
        "not_empty": at_least(entries, 1, "attributes"),
        "mentions_kept": at_least(kept, limits.mentions_kept, "share of mentions kept"),
    }


def encoder_figures(
    entry_vectors: pl.DataFrame, retrieval: pl.DataFrame, estimates: pl.DataFrame, limits: Limits
) -> dict[str, Finding]:
    """Findings of dual_encoder."""
    asked = estimates.filter(pl.col("stated") >= limits.estimated_statements)
    off = asked.filter(pl.col("gap").abs() > limits.said_gap).sort("key")
    told = [f"{row['key']}: said {row['said']:.3f}, right {row['precision']:.3f}"
            for row in off.iter_rows(named=True)]  # fmt: skip
    recall = {
        method: retrieval.filter(figure="recall_at_10", method=method)["value"].max()
        for method in ("encoder", "frequency")
    }
    ours, prior = recall["encoder"], recall["frequency"]
    known = ours is not None and prior is not None
    return {
        "entry_vectors": vectors(entry_vectors, limits),
        "better_than_frequency": at_least(ours, prior, "recall@10") if known else Finding(),  # type: ignore[arg-type]
        "said_holds": Finding(asked["gap"].abs().max(), ", ".join(told)),  # type: ignore[arg-type]
    }


def vectors(embeddings: pl.DataFrame, limits: Limits) -> Finding:
    """Whether all of the column `vector` can be compared: finite, and of length 1."""
    if not embeddings.height:
        return Finding()
    lengths = np.linalg.norm(vector_matrix(embeddings), axis=1)
    bad = ~(np.abs(lengths - 1) <= limits.norm_tolerance)  # NaN is bad, too
    first = embeddings[int(bad.argmax()), 0]
    return Finding(
        float(bad.mean()),
        f"{bad.sum():,} of {len(bad):,} vectors are not finite or not of length 1, the first of "
        f"{first!r}"
        if bad.any()
        else "",
    )


def embeddings_day(embeddings: pl.DataFrame, products: int, limits: Limits) -> dict[str, Finding]:
    """Findings of a day of product_embeddings with so many products."""
    share = embeddings.height / products if products else None
    return {
        "vectors": vectors(embeddings, limits),
        "embedded": at_least(share, limits.embedded, "share of products with a vector"),
    }


def coverage(assignments: pl.DataFrame, products: pl.Series, limits: Limits) -> Finding:
    """Whether enough of the products (ids) carry an attribute."""
    if not len(products):
        return Finding()
    share = products.is_in(assignments["product_id"].unique().implode()).mean()
    return at_least(float(share), limits.coverage, "share of products with an attribute")  # type: ignore[arg-type]


def attributes_day(
    assignments: pl.DataFrame, products: pl.Series, limits: Limits
) -> dict[str, Finding]:
    """Findings of a day of product_attributes with these products (ids)."""
    odd = assignments.filter(~pl.col("p").is_between(0, 1).fill_null(False)).height
    return {
        "coverage": coverage(assignments, products, limits),
        "probabilities": at_most(odd, 0, "assignments without a probability"),
    }


def index_figures(recall: float, limits: Limits) -> dict[str, Finding]:
    """Findings of vector_index."""
    return {"recall": at_least(recall, limits.index_recall, "recall@10")}


def cluster_sizes(sizes: pl.Series, limits: Limits) -> dict[str, Finding]:
    """Findings of product_clusters."""
    share = int(sizes.max()) / int(sizes.sum()) if len(sizes) else None  # type: ignore[arg-type]
    # two or three clusters of a tiny catalog say nothing
    limit = limits.largest_cluster if len(sizes) > 3 else 1.0
    return {"largest_cluster": at_most(share, limit, "share of products in one cluster")}


def searches_understood(parsed: pl.Series, limits: Limits) -> dict[str, Finding]:
    """Findings of demand: `parsed` is the known share of the words of each query."""
    share = float(parsed.mean()) if len(parsed) else None  # type: ignore[arg-type]
    return {"understood": at_least(share, limits.searches_understood, "share of known words")}


def accepted_share(found: pl.DataFrame, limits: Limits) -> dict[str, Finding]:
    """Findings of topics and of both kinds of collections."""
    count = int(found["accepted"].sum())
    share = count / found.height if found.height else None
    return {
        "not_empty": at_least(count, 1, "accepted"),
        "accepted_share": at_least(share, limits.collections_accepted, "share accepted"),
    }


def readable(answers: int, rejects: int) -> dict[str, Finding]:
    """Findings of collection_ratings."""
    share = rejects / (answers + rejects) if answers + rejects else None
    return {"readable": at_most(share, 0.0, "share of lines that hold no answer")}


def measured(figures: pl.DataFrame, limits: Limits) -> dict[str, Finding]:
    """Findings of scorecard; a figure that is not known passes: no truth, or an estimate from too
    few statements."""
    known = dict(figures.select("name", "value").iter_rows())
    enough = figures.filter(
        pl.col("name") == "estimated.precision", pl.col("n") >= limits.estimated_statements
    )
    estimated = enough["value"].item() if enough.height else None
    return {
        "p_at_10": at_least(known.get("collections.p_at_10"), limits.p_at_10, "P@10"),
        "estimated_precision": at_least(
            estimated, limits.estimated_precision, "precision on hidden labels"
        ),
        "beats_search_log": at_least(
            known.get("comparison.p_at_10_gain"), 0.0, "P@10 minus that of the search log"
        ),
    }


def blank_covers(pictures: np.ndarray) -> dict[str, Finding]:
    """Findings of collection_covers, uint8 ``[n, h, w, 3]``: a picture of one colour is blank."""
    blank = int((pictures.reshape(len(pictures), -1).std(axis=1) < 2).sum()) if len(pictures) else 0
    return {"not_blank": at_most(blank, 0, "covers of one colour")}


def publication(
    collections: pl.DataFrame,
    items: pl.DataFrame,
    shelf: pl.DataFrame,
    gates: Gates,
    embeddings: pl.DataFrame,
    assignments: pl.DataFrame,
    figures: pl.DataFrame,
    pages_before: int,
    limits: Limits,
    *,
    accept_fewer_pages: bool = False,
) -> dict[str, Finding]:
    """Findings of published_collections: all that stops anywhere, on what is to be published.

    Args:
        collections, items: Tables of `collections`.
        shelf: The catalog as it stands.
        gates: What a page needs.
        embeddings, assignments: Of the catalog as it stands.
        figures: Of the scorecard of these collections.
        pages_before: Pages of the live site.
        limits: From where on data are bad.
        accept_fewer_pages: The loss of pages is meant.
    """
    pages = int(collections["accepted"].sum())
    kept = pages / pages_before if pages_before and not accept_fewer_pages else None
    scored = measured(figures, limits)
    return {
        "gates": _gates(collections, items, shelf, gates),
        "not_empty": at_least(pages, 1, "pages"),
        "pages_kept": at_least(kept, limits.pages_kept, "pages as a share of those live now"),
        "vectors": vectors(embeddings, limits),
        "coverage": coverage(assignments, sellable(shelf)["product_id"], limits),
        **{name: scored[name] for name in (PRECISION.name, ESTIMATED.name)},
    }


def _gates(
    collections: pl.DataFrame, items: pl.DataFrame, shelf: pl.DataFrame, gates: Gates
) -> Finding:
    try:
        verify_gates(collections, items, shelf, gates)
    except GateError as error:
        return Finding(None, str(error))
    return Finding()
