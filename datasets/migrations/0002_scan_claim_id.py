"""A scan's claim gets an id of its own, so that holding it longer and writing progress cannot be taken for losing it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("datasets", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="scanrun",
            name="claim_id",
            field=models.UUIDField(blank=True, help_text="Whose claim it is: each claim has its own", null=True),
        ),
    ]
