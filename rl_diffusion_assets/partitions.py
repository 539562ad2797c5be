"""The one time dimension of the location: the day that ratings came in, in UTC."""

import dagster as dg

from resources.profiles import chunk_days, start_date

# A constant, never now() - N days: a moving start makes partitions vanish and breaks backfills.
START_DATE = start_date()

DAILY = dg.DailyPartitionsDefinition(start_date=START_DATE)
# One run for all days of a backfill: starting a process costs more than a day's work. Where a
# day is minutes of a GPU, chunks let a night have the device between them.
CHUNK_DAYS = chunk_days()
RANGE = dg.BackfillPolicy.multi_run(CHUNK_DAYS) if CHUNK_DAYS else dg.BackfillPolicy.single_run()
EVERY_DAY = dg.AllPartitionMapping()  # an unpartitioned asset over all days of its parent
