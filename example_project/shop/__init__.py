"""The shop. Read `models.py`, then `workflows.py`, then the `activities.py` that these schedule."""
