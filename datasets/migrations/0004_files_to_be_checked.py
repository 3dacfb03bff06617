"""A scan of a published version counts what it could not prove; the column has a default of its own for the release before."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0003_box_whole_or_absent'),
    ]

    operations = [
        migrations.AddField(
            model_name='scanrun',
            name='n_to_check',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Published files of the same size but another time, whose checksum could not be compared'),
        ),
    ]
