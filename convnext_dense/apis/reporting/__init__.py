"""Reports on finished runs, and what a run notes for its own."""
