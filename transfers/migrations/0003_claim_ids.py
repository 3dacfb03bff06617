"""A request's claim gets an id of its own, so that holding it longer cannot be taken for losing it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('transfers', '0002_released_tokens'),
    ]

    operations = [
        migrations.AddField(
            model_name='datarequest',
            name='claim_id',
            field=models.UUIDField(blank=True, help_text='Whose claim it is: each claim has its own', null=True),
        ),
    ]
