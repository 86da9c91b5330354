"""The Django project that django_durable is measured in."""
