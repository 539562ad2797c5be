"""The embedded default: a rendered catalogue, its feeds and search log, and tiny models for it.

Everything here is a pure function of a seed, so that a laptop without network has a world to
work on. Nothing in this package imports an asset package or dagster.
"""
