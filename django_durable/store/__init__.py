"""All ORM and SQL: claims, turns, inbox, activities, instances, retention, wake-ups. Guarded writes only."""
