"""What a history is made of, fact by fact. `events` has them all, and gives each its place."""
