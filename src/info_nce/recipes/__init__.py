"""Training recipes: one short file each, on one loop."""
