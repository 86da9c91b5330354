"""Accounts to look around with. Their password is public, so they are for the example only."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User

CUSTOMER = "customer"
STAFF = "staff"
PASSWORD = "demo"
STAFF_APPS = ["shop", "django_durable"]


def demo_customer() -> User:
    """Return the customer, made if need be."""
    return User.objects.filter(username=CUSTOMER).first() or User.objects.create_user(CUSTOMER, password=PASSWORD)


def demo_staff() -> User:
    """Return a member of the staff who has every permission of the shop and of its workflows, made if need be."""
    user = User.objects.filter(username=STAFF).first()
    if user is None:
        user = User.objects.create_user(STAFF, password=PASSWORD, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=STAFF_APPS))
    return user
