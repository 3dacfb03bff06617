from django.db import migrations, models


class Migration(migrations.Migration):
    """A token remembers that its person signed out, so that it ends with the last work that needs it."""

    dependencies = [("transfers", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="globustoken",
            name="released_at",
            field=models.DateTimeField(blank=True, help_text="She signed out; it ends with the last work that needs it.", null=True),
        ),
        migrations.AddIndex(
            model_name="globustoken",
            index=models.Index(condition=models.Q(("released_at__isnull", False)), fields=["released_at"], name="globustoken_released"),
        ),
    ]
