"""DOIs of versions, and the outbox that registers them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0008_withdrawal'),
    ]

    operations = [
        migrations.CreateModel(
            name='Doi',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('claim_id', models.UUIDField(blank=True, help_text='Whose claim it is: each claim has its own', null=True)),
                ('name', models.CharField(help_text='Prefix and suffix, such as 10.5072/7f3k-9q2m', max_length=200, unique=True)),
                ('status', models.CharField(choices=[('reserved', 'Reserved'), ('pending', 'Being registered'), ('registered', 'Registered'), ('failed', 'Refused')], default='reserved', max_length=10)),
                ('reserved_at', models.DateTimeField(auto_now_add=True)),
                ('registered_at', models.DateTimeField(blank=True, help_text='When DataCite first took it', null=True)),
                ('wanted', models.PositiveIntegerField(default=0)),
                ('told', models.PositiveIntegerField(default=0)),
                ('n_attempts', models.PositiveIntegerField(default=0)),
                ('error', models.TextField(blank=True)),
                ('version', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='doi', to='datasets.version')),
            ],
            options={
                'verbose_name': 'DOI',
                'indexes': [models.Index(condition=models.Q(('status', 'pending')), fields=['due_at'], name='doi_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(('told__lte', models.F('wanted'))), name='doi_told_is_wanted'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'registered'), _negated=True), ('registered_at__isnull', False), _connector='OR'), name='doi_registered_has_date'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'failed'), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='doi_failure_has_error')],
            },
        ),
    ]
