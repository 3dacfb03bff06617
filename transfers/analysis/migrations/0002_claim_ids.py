"""Claims of jobs and quick looks get ids of their own, so that holding it longer cannot be taken for losing it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('analysis', '0001_analysis_jobs_and_quick_looks'),
    ]

    operations = [
        migrations.AddField(
            model_name='analysisjob',
            name='claim_id',
            field=models.UUIDField(blank=True, help_text='Whose claim it is: each claim has its own', null=True),
        ),
        migrations.AddField(
            model_name='quicklook',
            name='claim_id',
            field=models.UUIDField(blank=True, help_text='Whose claim it is: each claim has its own', null=True),
        ),
    ]
