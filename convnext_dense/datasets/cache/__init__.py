"""What was read of large annotation files, which the next run takes from this user's cache."""
