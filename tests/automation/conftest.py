"""The small platform, for every test here."""

from tests.automation.small_platform import platform

__all__ = ["platform"]
