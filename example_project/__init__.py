"""A small real shop on django_durable: prints of city maps."""
