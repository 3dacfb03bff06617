"""What was mailed is not what was seen."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0010_saved_searches'),
    ]

    operations = [
        migrations.AddField(
            model_name='savedsearch',
            name='mailed_at',
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
    ]
