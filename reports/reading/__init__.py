"""What a run left, and what was decided of others: folders and records in, nothing judged yet."""
