from django.db import migrations

FREE = "ALTER TABLE django_durable_instance SET (fillfactor = 70)"
FULL = "ALTER TABLE django_durable_instance RESET (fillfactor)"


def leave_room(apps, schema_editor):
    """Leave room on each page of PostgreSQL's: an instance is updated with every turn, in place where its page has room.

    It holds for pages that are written from now on, and takes no lock that reads or writes wait for.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FREE)


def fill_up(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FULL)


class Migration(migrations.Migration):
    dependencies = [("django_durable", "0003_checkpoints")]

    operations = [migrations.RunPython(leave_room, fill_up, elidable=False)]
