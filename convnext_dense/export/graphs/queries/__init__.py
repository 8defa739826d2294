"""Models whose queries look for objects or classes, as graphs."""
