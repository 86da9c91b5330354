import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def delete_what_nobody_owns(apps, schema_editor):
    """Orders and chats of before there were accounts."""
    for model in ["Payment", "Order", "Conversation"]:
        apps.get_model("shop", model).objects.all().delete()


class Migration(migrations.Migration):

    # PostgreSQL alters no table in the transaction that deleted rows which others refer to.
    atomic = False

    dependencies = [
        ("shop", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunPython(delete_what_nobody_owns, migrations.RunPython.noop, elidable=True),
        migrations.AddField(
            model_name="order",
            name="customer",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="orders", to=settings.AUTH_USER_MODEL, verbose_name="customer"),
        ),
        migrations.AlterModelOptions(
            name="conversation",
            options={"ordering": ["pk"], "verbose_name": "conversation", "verbose_name_plural": "conversations"},
        ),
        migrations.RemoveField(model_name="conversation", name="customer"),
        migrations.AddField(
            model_name="conversation",
            name="customer",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="conversations", to=settings.AUTH_USER_MODEL, verbose_name="customer"),
        ),
    ]
