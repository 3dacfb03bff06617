"""One unique index of files by folder and name in place of two, which every row that is written had to enter."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0031_folders_of_files'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='file',
            constraint=models.UniqueConstraint(fields=('folder', 'name', 'last_version'), name='file_last_version', nulls_distinct=False),
        ),
        migrations.RemoveConstraint(
            model_name='file',
            name='file_first_version',
        ),
        migrations.RemoveConstraint(
            model_name='file',
            name='file_current',
        ),
    ]
