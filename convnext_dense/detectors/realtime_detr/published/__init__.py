"""Published weights of RT-DETRv2 and D-FINE, and the names that they have for our parameters."""
