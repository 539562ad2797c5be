"""Programs that reproduce the shipped weights from the renderer alone."""
