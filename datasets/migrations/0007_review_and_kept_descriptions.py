"""A version may wait in review, and keeps its description at publication."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0006_access_history_terms_embargo'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='version',
            name='version_one_open_draft',
        ),
        migrations.RemoveConstraint(
            model_name='version',
            name='version_published_has_date',
        ),
        migrations.RemoveConstraint(
            model_name='version',
            name='version_published_has_digest',
        ),
        migrations.AddField(
            model_name='version',
            name='description',
            field=models.JSONField(blank=True, help_text='The description as it was at publication (datasets/snapshots.py)', null=True),
        ),
        migrations.AddField(
            model_name='version',
            name='submitted_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='version',
            name='status',
            field=models.CharField(choices=[('draft', 'Draft'), ('review', 'In review'), ('published', 'Published'), ('superseded', 'Superseded')], default='draft', max_length=12),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['draft', 'review'])), fields=('dataset',), name='version_one_open_draft'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['draft', 'review']), ('published_at', None)), models.Q(('status__in', ['draft', 'review']), ('published_at', None), _connector='OR', _negated=True), _connector='OR'), name='version_published_has_date'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['draft', 'review']), ('digest__isnull', False), _connector='OR'), name='version_published_has_digest'),
        ),
    ]
