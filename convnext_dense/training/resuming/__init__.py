"""What makes a resumed run equal one that was never stopped."""
