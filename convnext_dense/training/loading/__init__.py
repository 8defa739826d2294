"""How batches come from their workers to the device."""
