"""What the benchmark tools measure, and how."""
