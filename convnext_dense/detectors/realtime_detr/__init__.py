"""Real-time DETRs: RT-DETRv2 and D-FINE."""
