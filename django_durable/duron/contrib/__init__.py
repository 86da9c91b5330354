"""What Duron keeps in its `contrib`."""
