"""A resolved config, value by value: where each comes from, and how two configs differ."""
