"""The encoder's tiny fixtures serve the embeddings too."""

from tests.encoder.conftest import _one_thread, backbone, tiny_folder, world

__all__ = ["_one_thread", "backbone", "tiny_folder", "world"]
