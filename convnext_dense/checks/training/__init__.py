"""The checks on how a run trains: its length, its schedule, its optimizer."""
