"""The one time dimension of the location: the day of the feed, in UTC."""

from datetime import timedelta

import dagster as dg

from resources.profiles import chunk_days, only_day, start_date

# Constants, never now() - N days: a moving start makes partitions vanish and breaks backfills.
ONLY_DAY = only_day()
START_DATE = ONLY_DAY.isoformat() if ONLY_DAY else start_date()
END_DATE = (ONLY_DAY + timedelta(days=1)).isoformat() if ONLY_DAY else None

DAILY = dg.DailyPartitionsDefinition(start_date=START_DATE, end_date=END_DATE)
# One run for all days of a backfill: starting a process costs more than a day's work. Where a
# day is minutes of a GPU, chunks let a night have the device between them.
CHUNK_DAYS = chunk_days()
RANGE = dg.BackfillPolicy.multi_run(CHUNK_DAYS) if CHUNK_DAYS else dg.BackfillPolicy.single_run()
EVERY_DAY = dg.AllPartitionMapping()  # an unpartitioned asset over all days of its parent
