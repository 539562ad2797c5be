"""The one time dimension of the location: the day that ratings came in, in UTC."""

import os

import dagster as dg

# A constant, never now() - N days: a moving start makes partitions vanish and breaks backfills.
START_DATE = os.environ.get("PLATFORM_START_DATE", "2026-11-01")

DAILY = dg.DailyPartitionsDefinition(start_date=START_DATE)
RANGE = dg.BackfillPolicy.single_run()  # process start costs more than a day's work
EVERY_DAY = dg.AllPartitionMapping()  # an unpartitioned asset over all days of its parent
