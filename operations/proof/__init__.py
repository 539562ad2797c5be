"""The live proof of nights, backfills and late feeds."""
