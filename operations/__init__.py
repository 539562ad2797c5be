"""The command line, and what operators run."""

import warnings

# Dagster says so of each asset at every start; the tests would see it if it went
warnings.filterwarnings("ignore", message="Parameter `.*` of function `.*` is currently in beta")
