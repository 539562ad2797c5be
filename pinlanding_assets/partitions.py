"""The one time dimension of the location: the day of the feed, in UTC."""

import os

import dagster as dg

# A constant, never now() - N days: a moving start makes partitions vanish and breaks backfills.
START_DATE = os.environ.get("PLATFORM_START_DATE", "2026-11-01")

DAILY = dg.DailyPartitionsDefinition(start_date=START_DATE)
# One run for all days of a backfill: starting a process costs more than a day's work. Where a
# day is minutes of a GPU, chunks let a night have the device between them.
CHUNK_DAYS = int(os.environ.get("PLATFORM_CHUNK_DAYS") or 0)
RANGE = dg.BackfillPolicy.multi_run(CHUNK_DAYS) if CHUNK_DAYS else dg.BackfillPolicy.single_run()
EVERY_DAY = dg.AllPartitionMapping()  # an unpartitioned asset over all days of its parent
