"""The columns of every asset's main table: type, meaning, and the columns they are made from."""

from collections.abc import Mapping

from resources.reporting import Column

TITLE = Column("String", "the title of the page", ("topics.title",))
TOPIC_ID = Column("String", "hash of the topic's attributes", ("topics.topic_id",))
SLUG = Column("String", "the last part of the page's address", ("topics.slug",))
TOPIC_ENTRIES = Column("List(String)", "the attributes of the topic", ("topics.entries",))
RECORD = ("raw_catalog.record",)
TEXTS = ("catalog.title", "catalog.description")

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "raw_catalog": {
        "file": Column("String", "the feed's file"),
        "row": Column("Int64", "row of the file, from 1"),
        "record": Column("String", "the row as received, as a JSON object"),
        "size": Column("Int64", "size of the row as received, bytes"),
        "error": Column("String", "why the row cannot be read; null where it can"),
    },
    "catalog": {
        "product_id": Column("String", "the shop's own id", RECORD),
        "parent": Column("String", "what it is a variant of; null where it is of none", RECORD),
        "operation": Column("String", "upsert, delete, or keep (its row cannot be used)", RECORD),
        "title": Column("String", "cleaned title; may be empty", RECORD),
        "description": Column("String", "cleaned description; may be empty", RECORD),
        "images": Column("List(String)", "content hashes, the main image first", RECORD),
        "price": Column("Float64", "in units of `currency`", RECORD),
        "currency": Column("String", "code of three letters (ISO 4217)", RECORD),
        "seller": Column("String", "who sells or makes it", RECORD),
        "availability": Column("String", "in_stock, out_of_stock, preorder or unknown", RECORD),
        "url": Column("String", "the product's page in the shop", RECORD),
        "attributes": Column(
            "List(Struct)", "what the catalog itself says, as received: key and value", RECORD
        ),
        "snapshot": Column("Boolean", "whether the day's feed is the whole catalog"),
        "file": Column("String", "the feed's file", ("raw_catalog.file",)),
        "row": Column("Int64", "row of the file, from 1", ("raw_catalog.row",)),
    },
    **{
        f"{facet}_decisions": {
            "proposal": Column("String", "id of the proposal that was decided"),
            "actor": Column("String", "agent:, person: or mcp:, and a name"),
            "operation": Column("String", "what is done, as in word.merge"),
            "arguments": Column("String", "to what, as a JSON object"),
        }
        for facet in ("feed", "word", "label", "page")
    },
    "curation_proposals": {
        "proposal": Column("String", "its id; null where nothing was proposed"),
        "agent": Column("String", "who found it"),
        "operation": Column(
            "String", "what would be done, as JSON", ("attribute_vocabulary.entry_id",)
        ),
        "verdict": Column("String", "auto, approve or forbid, by the policy"),
        "why": Column("String", "what speaks for it, and why the policy says so"),
        "weight": Column("Float64", "searches or products at stake", ("demand.count",)),
        "products": Column("Int64", "products that it touches", ("product_attributes.product_id",)),
        "searches": Column("Int64", "searches that it would serve", ("demand.count",)),
        "outcome": Column("String", "that it waits for an answer, or why not"),
    },
    "vlm_attributes": {
        "product_id": Column("String", "the product spoken of", ("catalog.product_id",)),
        "image_hash": Column("String", "the image that was looked at", ("catalog.images",)),
        "source": Column("String", "catalog (its fields), title (its texts) or vlm (its image)"),
        "extractor": Column("String", "version of what read it"),
        "key": Column(
            "String",
            "kind of attribute",
            ("catalog.attributes", "catalog.title", "catalog.images"),
        ),
        "value": Column(
            "String",
            "the attribute's value, as said",
            ("catalog.attributes", "catalog.title", "catalog.description", "catalog.images"),
        ),
        "evidence": Column("String", "the words it was read from", ("catalog.title",)),
    },
    "attribute_vocabulary": {
        "entry_id": Column(
            "String", "key=value, cleaned", ("vlm_attributes.key", "vlm_attributes.value")
        ),
        "key": Column("String", "kind of attribute", ("vlm_attributes.key",)),
        "value": Column("String", "one spelling for all that mean it", ("vlm_attributes.value",)),
        "phrase": Column("String", "how it is said of a product", ("vlm_attributes.value",)),
        "products": Column("Int64", "products that it is said of", ("vlm_attributes.product_id",)),
        "mentions": Column("Int64", "how often it is said", ("vlm_attributes.value",)),
        "searchability": Column("Float64", "would people search for it: 1 to 5"),
        "coherence": Column("Float64", "do its products belong together: 1 to 5"),
        "label": Column(
            "String",
            "the value as it is shown, with a name's capitals",
            ("vlm_attributes.evidence",),
        ),
    },
    "dual_encoder": {
        "entry_id": Column("String", "the attribute", ("attribute_vocabulary.entry_id",)),
        "slope": Column("Float64", "of the calibration from log-odds to probability"),
        "intercept": Column("Float64", "of the calibration from log-odds to probability"),
        "threshold": Column("Float64", "probability from which a product carries it"),
        "precision": Column("Float64", "measured at the threshold, on calibration products"),
        "recall": Column("Float64", "measured at the threshold, on calibration products"),
        "support": Column("Int64", "calibration products that have it"),
    },
    "product_embeddings": {
        "product_id": Column("String", "the product", ("catalog.product_id",)),
        "image_hash": Column("String", "the image that was encoded", ("catalog.images",)),
        "content_hash": Column(
            "String", "hash of checkpoint, image and text", ("catalog.images", "catalog.title")
        ),
        "vector": Column(
            "Array(Float32)",
            "of length 1; products near each other look and read alike",
            ("catalog.images", "catalog.title", "catalog.description"),
        ),
        "readings": Column(
            "Binary",
            "log-odds of every attribute before calibration, a byte each, in steps of 1/8",
            ("catalog.images", "catalog.title", "catalog.description"),
        ),
    },
    "product_attributes": {
        "product_id": Column("String", "the product", ("catalog.product_id",)),
        "entry_id": Column(
            "String", "an attribute that it carries", ("attribute_vocabulary.entry_id",)
        ),
        "key": Column("String", "kind of attribute", ("attribute_vocabulary.key",)),
        "value": Column("String", "the attribute's value", ("attribute_vocabulary.value",)),
        "p": Column(
            "Float64",
            "calibrated probability",
            (
                "product_embeddings.readings",
                "dual_encoder.slope",
                "dual_encoder.intercept",
                "vlm_attributes.source",
            ),
        ),
        "source": Column("String", "catalog, title, vlm or encoder", ("vlm_attributes.source",)),
    },
    "vector_index": {
        "product_id": Column(
            "String", "payload of a point: the product", ("product_embeddings.product_id",)
        ),
        "availability": Column(
            "String", "payload: what a search may ask for", ("catalog.availability",)
        ),
        "seller": Column("String", "payload: what a search may ask for", ("catalog.seller",)),
        "product": Column(
            "Array(Float32)", "vector of the point, of length 1", ("product_embeddings.vector",)
        ),
    },
    "product_clusters": {
        "cluster_id": Column(
            "Int64",
            "hash of the product that it grew from; stays from night to night",
            ("product_embeddings.vector", "product_embeddings.product_id"),
        ),
        "size": Column("Int64", "products in it", ("product_embeddings.product_id",)),
        "label": Column("String", "attributes that it has more of", ("product_attributes.value",)),
        "entries": Column(
            "List(String)", "ids of these attributes", ("product_attributes.entry_id",)
        ),
    },
    "search_log": {
        "query": Column("String", "what was searched for, cleaned"),
        "count": Column("Int64", "searches on the day"),
    },
    "demand": {
        "query": Column("String", "one of the spellings of an intent", ("search_log.query",)),
        "count": Column("Int64", "searches of all days", ("search_log.count",)),
        "days": Column("Int64", "days on which it was searched for", ("search_log.query",)),
        "entries": Column(
            "List(String)",
            "attributes asked for",
            ("search_log.query", "attribute_vocabulary.entry_id"),
        ),
        "parsed": Column("Float64", "share of its words that are known", ("search_log.query",)),
    },
    "topics": {
        "topic_id": Column("String", "hash of the attributes", ("product_attributes.entry_id",)),
        "slug": Column("String", "the page's address", ("attribute_vocabulary.phrase",)),
        "title": Column("String", "the attributes as a title", ("attribute_vocabulary.phrase",)),
        "entries": Column(
            "List(String)", "attributes of the topic", ("product_attributes.entry_id",)
        ),
        "support": Column(
            "Int64",
            "products with all of them; of variants, one counts",
            ("product_attributes.product_id", "catalog.parent"),
        ),
        "lift": Column(
            "Float64",
            "how much more often together than by chance",
            ("product_attributes.entry_id",),
        ),
        "demand": Column("Float64", "searches for it", ("demand.count", "demand.entries")),
        "searchability": Column(
            "Float64", "would people search for it: 1 to 5", ("attribute_vocabulary.searchability",)
        ),
        "coherence": Column(
            "Float64",
            "do its products belong together: 1 to 5",
            ("attribute_vocabulary.coherence", "product_clusters.cluster_id"),
        ),
        "accepted": Column("Boolean", "whether it is worth a page"),
        "reason": Column("String", "why, or why not"),
    },
    "collections": {
        "topic_id": TOPIC_ID,
        "slug": SLUG,
        "title": TITLE,
        "entries": TOPIC_ENTRIES,
        "products": Column("Int64", "products on the page", ("product_attributes.product_id",)),
        "sellers": Column("Int64", "sellers on the page", ("catalog.seller",)),
        "score": Column("Float64", "mean probability of its products", ("product_attributes.p",)),
        "accepted": Column("Boolean", "whether it passed every gate"),
        "reason": Column("String", "that it passed, or the gate that it did not pass"),
        "duplicate_of": Column("String", "topic_id of the page with the same products"),
        "matches": Column("Int64", "products for the page, with those beyond its length"),
    },
    "search_log_collections": {
        "topic_id": Column("String", "hash of the query", ("search_log.query",)),
        "slug": Column("String", "the page's address", ("search_log.query",)),
        "title": Column("String", "the query as a title", ("search_log.query",)),
        "entries": Column(
            "List(String)",
            "attributes asked for",
            ("search_log.query", "attribute_vocabulary.entry_id"),
        ),
        "products": Column("Int64", "products on the page", TEXTS),
        "sellers": Column("Int64", "sellers on the page", ("catalog.seller",)),
        "score": Column("Float64", "how well texts match", TEXTS),
        "accepted": Column("Boolean", "whether it passed every gate"),
        "reason": Column("String", "that it passed, or the gate that it did not pass"),
        "duplicate_of": Column("String", "topic_id of the page with the same products"),
        "matches": Column("Int64", "products for the page, with those beyond its length"),
    },
    "keyword_collections": {
        "topic_id": Column("String", "hash of the topic's attributes", TEXTS),
        "slug": Column("String", "the page's address", TEXTS),
        "title": Column("String", "the title of the page", ("attribute_vocabulary.value",)),
        "entries": Column(
            "List(String)",
            "attributes that fields and words name",
            (*TEXTS, "catalog.attributes", "attribute_vocabulary.entry_id"),
        ),
        "products": Column("Int64", "products on the page", TEXTS),
        "sellers": Column("Int64", "sellers on the page", ("catalog.seller",)),
        "score": Column("Float64", "mean probability of its products", TEXTS),
        "accepted": Column("Boolean", "whether it passed every gate"),
        "reason": Column("String", "that it passed, or the gate that it did not pass"),
        "duplicate_of": Column("String", "topic_id of the page with the same products"),
        "matches": Column("Int64", "products for the page, with those beyond its length"),
    },
    "collection_covers": {
        "topic_id": Column("String", "the collection", ("collections.topic_id",)),
        "caption": Column("String", "what the model was asked to draw", ("collections.entries",)),
        "image": Column(
            "String",
            "content hash of the picture",
            ("collections.entries", "promoted_diffusion_weights.checkpoint"),
        ),
        "seed": Column("Int64", "the picture's random seed"),
    },
    "published_collections": {
        "topic_id": Column("String", "the topic", ("collections.topic_id",)),
        "slug": Column("String", "the last part of the page's address", ("collections.slug",)),
        "path": Column("String", "file of the page in the site", ("collections.slug",)),
        "title": Column("String", "the title of the page", ("collections.title",)),
        "products": Column("Int64", "products on the page", ("collections.products",)),
        "entries": Column("List(String)", "its attributes", ("collections.entries",)),
    },
    "collection_ratings": {
        "topic_id": Column("String", "the collection that was shown"),
        "title": Column("String", "its title, as it was shown"),
        "product_id": Column("String", "the product that was shown"),
        "rater": Column("String", "who answered"),
        "choice": Column("String", "yes, no or unsure"),
        "file": Column("String", "where the answer stands"),
        "row": Column("Int64", "line of the file, from 1"),
    },
    "scorecard": {
        "name": Column("String", "what was measured"),
        "value": Column(
            "Float64",
            "null where it cannot be known",
            (
                "collections.entries",
                "search_log_collections.entries",
                "keyword_collections.entries",
                "product_attributes.entry_id",
                "product_attributes.p",
                "dual_encoder.threshold",
                "vlm_attributes.value",
                "collection_ratings.choice",
            ),
        ),
        "low": Column("Float64", "lower end of the 95 % interval"),
        "high": Column("Float64", "upper end of the 95 % interval"),
        "n": Column("Int64", "pages, products or labels that it was measured on"),
        "unit": Column("String", "share, topics, entries, keys, ratio or kappa"),
        "basis": Column("String", "what it rests on: truth, judge, people, held_out or count"),
    },
    "model_ledger": {
        "day": Column("String", "when the server was asked, UTC"),
        "model": Column("String", "as the server calls it"),
        "purpose": Column("String", "the asset that asked", ("vlm_attributes.extractor",)),
        "outcome": Column("String", "answered, or why there was no usable answer"),
        "calls": Column("Int64", "requests, retries included"),
        "prompt_tokens": Column("Int64", "as the server counts them, images included"),
        "completion_tokens": Column("Int64", "of answers"),
        "assumed": Column(
            "Int64", "calls whose tokens the server did not tell: the most possible is counted"
        ),
        "dollars": Column("Float64", "US$, by the prices of the settings"),
        "seconds_median": Column("Float64", "from the request to the last byte, s"),
        "seconds_p95": Column("Float64", "95 of 100 calls took no longer, s"),
    },
}
