"""Terms with versions and who accepted them; the classification of a dataset; its embargo; grants keep their history."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0005_deleted_records'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Terms',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('text', models.TextField()),
                ('published_at', models.DateTimeField(auto_now_add=True)),
                ('retired_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name_plural': 'terms',
                'ordering': ['-number'],
            },
        ),
        migrations.CreateModel(
            name='TermsAcceptance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('accepted_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-accepted_at'],
            },
        ),
        migrations.AddField(
            model_name='dataset',
            name='classification',
            field=models.CharField(choices=[('public', 'Public'), ('internal', 'Internal'), ('controlled', 'Controlled')], db_default='public', default='public', max_length=12),
        ),
        migrations.AddField(
            model_name='dataset',
            name='embargo_ends_at',
            field=models.DateTimeField(blank=True, help_text='Until then only a grant gives the files', null=True),
        ),
        migrations.AddField(
            model_name='dataset',
            name='embargo_lifted_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='grant',
            name='granted_at',
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('classification__in', ['public', 'internal', 'controlled'])), name='dataset_classification_known'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('classification', 'public'), models.Q(('access_policy', 'public'), _negated=True), _connector='OR'), name='dataset_anonymous_is_public', violation_error_message='Internal and controlled files are for people who are signed in: choose another access policy.'),
        ),
        migrations.AddField(
            model_name='terms',
            name='dataset',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='terms', to='datasets.dataset'),
        ),
        migrations.AddField(
            model_name='terms',
            name='published_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='termsacceptance',
            name='terms',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='acceptances', to='datasets.terms'),
        ),
        migrations.AddField(
            model_name='termsacceptance',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='accepted_terms', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.UniqueConstraint(fields=('dataset', 'number'), name='terms_number'),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.UniqueConstraint(condition=models.Q(('retired_at', None)), fields=('dataset',), name='terms_one_current'),
        ),
        migrations.AddConstraint(
            model_name='terms',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='terms_say_something'),
        ),
        migrations.AddConstraint(
            model_name='termsacceptance',
            constraint=models.UniqueConstraint(fields=('terms', 'user'), name='terms_accepted_once'),
        ),
    ]
