"""A description says all that DataCite 4.6 has words for; vocabularies that its words are chosen from."""

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0017_editing'),
    ]

    operations = [
        migrations.AddField(
            model_name='creator',
            name='affiliations',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list, help_text='[{name, ror}]'),
        ),
        migrations.AddField(
            model_name='creator',
            name='ror',
            field=models.CharField(blank=True, db_default='', help_text='The ROR id of a creator that is an organisation', max_length=9),
        ),
        migrations.RunSQL(
            "update datasets_creator set affiliations = jsonb_build_array(jsonb_build_object('name', affiliation, 'ror', '')) where affiliation <> ''",
            "update datasets_creator set affiliation = coalesce(left(affiliations -> 0 ->> 'name', 200), '')",
        ),
        # The column stays for the release before this one, which still reads it.
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL("alter table datasets_creator alter column affiliation set default ''", "alter table datasets_creator alter column affiliation drop default")],
            [migrations.RemoveField(model_name='creator', name='affiliation')],
        ),
        migrations.AddField(
            model_name='dataset',
            name='contact_name',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddField(
            model_name='dataset',
            name='funders',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='dataset',
            name='instruments',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='dataset',
            name='keywords',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='dataset',
            name='places',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='dataset',
            name='platforms',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='dataset',
            name='related',
            field=models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='dataset',
            name='temporal_resolution',
            field=models.CharField(blank=True, db_default='', help_text='ISO 8601 duration, such as PT6H or P1M', max_length=40),
        ),
        migrations.CreateModel(
            name='Vocabulary',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(unique=True)),
                ('use', models.CharField(choices=[('keywords', 'Keywords'), ('instruments', 'Instruments'), ('platforms', 'Platforms'), ('standard-names', 'Standard names of variables')], max_length=20)),
                ('name', models.CharField(max_length=200)),
                ('url', models.URLField(blank=True, max_length=500)),
                ('edition', models.CharField(blank=True, help_text='The version that its keeper gives it', max_length=100)),
                ('is_whole', models.BooleanField(default=True, help_text='Not an excerpt: what is not in it does not exist')),
                ('loaded_at', models.DateTimeField()),
            ],
            options={
                'verbose_name_plural': 'vocabularies',
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('use__in', ['keywords', 'instruments', 'platforms', 'standard-names'])), name='vocabulary_use_known')],
            },
        ),
        migrations.CreateModel(
            name='Term',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.TextField()),
                ('label', models.CharField(max_length=300)),
                ('identifier', models.CharField(blank=True, max_length=200)),
                ('meaning', models.TextField(blank=True)),
                ('units', models.CharField(blank=True, max_length=100)),
                ('instead', models.TextField(blank=True, help_text='The path of the term that replaced it')),
                ('vocabulary', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='terms', to='datasets.vocabulary')),
            ],
            options={
                'ordering': ['path'],
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['path'], name='term_spelling', opclasses=['gin_trgm_ops'])],
                'constraints': [models.UniqueConstraint(fields=('vocabulary', 'path'), name='term_path')],
            },
        ),
    ]
