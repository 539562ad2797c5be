"""Drafts a catalog.yaml from samples of a catalog's files, with reasons; reads no file itself."""
