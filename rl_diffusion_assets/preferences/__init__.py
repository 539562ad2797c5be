"""Ratings of people -> preference_pairs."""
