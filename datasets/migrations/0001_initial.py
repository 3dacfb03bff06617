"""The whole schema of the catalogue, with the extensions and the text search configuration that it stands on."""

import datasets.models.dataset
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.contrib.postgres.operations import TrigramExtension, UnaccentExtension
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        TrigramExtension(),
        UnaccentExtension(),
        # English stems, with accents taken off first: "Étude" and "etude" find the same.
        migrations.RunSQL(
            [
                "CREATE TEXT SEARCH CONFIGURATION causeway (COPY = english)",
                "ALTER TEXT SEARCH CONFIGURATION causeway ALTER MAPPING FOR hword, hword_part, word WITH unaccent, english_stem",
            ],
            "DROP TEXT SEARCH CONFIGURATION causeway",
        ),
        migrations.CreateModel(
            name='Subject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(unique=True)),
                ('name', models.CharField(max_length=120)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('slug', models.SlugField(max_length=80, unique=True)),
                ('title', models.CharField(max_length=300)),
                ('abstract', models.TextField(blank=True)),
                ('licence', models.CharField(blank=True, help_text='SPDX identifier; blank when unknown', max_length=60)),
                ('access_policy', models.CharField(choices=[('public', 'Public'), ('registered', 'Signed in'), ('restricted', 'Restricted')], default='public', max_length=12)),
                ('access_note', models.TextField(blank=True, help_text='Why access is as it is, in a sentence')),
                ('share_variant', models.CharField(choices=[('folder', 'A folder in the shares collection'), ('collection', 'A guest collection of its own')], default='folder', max_length=12)),
                ('west', models.FloatField(blank=True, null=True)),
                ('south', models.FloatField(blank=True, null=True)),
                ('east', models.FloatField(blank=True, null=True)),
                ('north', models.FloatField(blank=True, null=True)),
                ('temporal_start', models.DateField(blank=True, null=True)),
                ('temporal_end', models.DateField(blank=True, null=True)),
                ('contact', models.EmailField(blank=True, max_length=254)),
                ('source_name', models.CharField(blank=True, max_length=300)),
                ('source_url', models.URLField(blank=True, max_length=500)),
                ('provenance', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('published_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('listed_at', models.DateTimeField(editable=False)),
                ('n_files', models.BigIntegerField(default=0, editable=False)),
                ('size_bytes', models.BigIntegerField(default=0, editable=False)),
                ('creator_names', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('subject_facet', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('variable_facet', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('format_facet', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('decade_facet', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, editable=False, size=None)),
                ('search_vector', django.contrib.postgres.search.SearchVectorField(editable=False, null=True)),
                ('search_terms', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)),
                ('stewards', models.ManyToManyField(blank=True, related_name='stewarded_datasets', to=settings.AUTH_USER_MODEL)),
                ('subjects', models.ManyToManyField(blank=True, related_name='datasets', to='datasets.subject')),
            ],
        ),
        migrations.CreateModel(
            name='Folder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.TextField(db_collation='C')),
                ('name', models.TextField(blank=True, db_collation='C')),
                ('depth', models.PositiveSmallIntegerField()),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='folders', to='datasets.dataset')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='datasets.folder')),
            ],
        ),
        migrations.CreateModel(
            name='File',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField(db_collation='C')),
                ('first_version', models.PositiveIntegerField()),
                ('last_version', models.PositiveIntegerField(null=True)),
                ('size_bytes', models.BigIntegerField()),
                ('sha256', models.BinaryField(max_length=32, null=True)),
                ('modified_at', models.DateTimeField(null=True)),
                ('format', models.CharField(blank=True, max_length=40)),
                ('collection_path', models.TextField(blank=True, help_text='Where the bytes are, when not at base path + logical path')),
                ('inspected_at', models.DateTimeField(null=True)),
                ('inspection_error', models.TextField(blank=True)),
                ('folder', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='datasets.folder')),
            ],
        ),
        migrations.CreateModel(
            name='FolderState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_version', models.PositiveIntegerField()),
                ('n_files', models.BigIntegerField()),
                ('size_bytes', models.BigIntegerField()),
                ('digest', models.BinaryField(max_length=32, null=True)),
                ('folder', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='states', to='datasets.folder')),
            ],
        ),
        migrations.CreateModel(
            name='Grant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('principal_type', models.CharField(choices=[('identity', 'Identity'), ('group', 'Group')], max_length=10)),
                ('principal', models.UUIDField()),
                ('label', models.CharField(blank=True, help_text='How the page names the identity or group', max_length=200)),
                ('granted_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='grants', to='datasets.dataset')),
                ('granted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('revoked_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-granted_at'],
            },
        ),
        migrations.CreateModel(
            name='SearchTerm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('word', models.TextField(db_collation='C', unique=True)),
                ('n_datasets', models.PositiveIntegerField()),
            ],
            options={
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['word'], name='searchterm_trigrams', opclasses=['gin_trgm_ops'])],
            },
        ),
        migrations.CreateModel(
            name='Variable',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('standard_name', models.CharField(blank=True, max_length=200)),
                ('long_name', models.CharField(blank=True, max_length=300)),
                ('units', models.CharField(blank=True, max_length=100)),
                ('dimensions', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('example_path', models.TextField(blank=True, help_text='Logical path of a file that holds it; a quick look reads this one')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='variables', to='datasets.dataset')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Version',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('status', models.CharField(choices=[('draft', 'Draft'), ('published', 'Published'), ('superseded', 'Superseded')], default='draft', max_length=12)),
                ('reason', models.TextField(blank=True, help_text='What is new against the version before')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('published_at', models.DateTimeField(blank=True, null=True)),
                ('superseded_at', models.DateTimeField(blank=True, null=True)),
                ('digest', models.BinaryField(blank=True, help_text="The root folder's digest (datasets/digests.py)", max_length=32, null=True)),
                ('damaged_at', models.DateTimeField(blank=True, null=True)),
                ('damage', models.TextField(blank=True, help_text='Which published bytes are no longer what they were')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='datasets.dataset')),
            ],
            options={
                'ordering': ['-number'],
            },
        ),
        migrations.CreateModel(
            name='ScanRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('queued', 'Waiting'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed')], default='queued', max_length=10)),
                ('asked_at', models.DateTimeField(auto_now_add=True)),
                ('due_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('step', models.CharField(blank=True, help_text='listing, comparing or inspecting', max_length=20)),
                ('n_folders', models.BigIntegerField(default=0)),
                ('n_files', models.BigIntegerField(default=0)),
                ('size_bytes', models.BigIntegerField(default=0)),
                ('n_new', models.BigIntegerField(default=0)),
                ('n_changed', models.BigIntegerField(default=0)),
                ('n_missing', models.BigIntegerField(default=0)),
                ('n_to_inspect', models.BigIntegerField(default=0)),
                ('n_inspected', models.BigIntegerField(default=0)),
                ('n_unreadable', models.BigIntegerField(default=0)),
                ('n_attempts', models.PositiveIntegerField(default=0)),
                ('found', models.JSONField(blank=True, default=dict, help_text='Variables and coverage that file headers state')),
                ('error', models.TextField(blank=True)),
                ('asked_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='scans', to='datasets.version')),
            ],
            options={
                'ordering': ['-asked_at'],
            },
        ),
        migrations.CreateModel(
            name='Location',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('collection', 'Globus collection'), ('bucket', 'Object store bucket')], default='collection', max_length=12)),
                ('collection_id', models.UUIDField(blank=True, null=True)),
                ('bucket', models.CharField(blank=True, max_length=200)),
                ('base_path', models.TextField(default='/', help_text='Starts and ends with /')),
                ('is_primary', models.BooleanField(default=True)),
                ('is_online', models.BooleanField(default=True)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='locations', to='datasets.version')),
            ],
            options={
                'ordering': ['-is_primary', 'id'],
            },
        ),
        migrations.CreateModel(
            name='DatasetEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('act', models.CharField(max_length=40)),
                ('old', models.CharField(blank=True, max_length=20)),
                ('new', models.CharField(blank=True, max_length=20)),
                ('note', models.TextField(blank=True)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='datasets.dataset')),
                ('scan', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='events', to='datasets.scanrun')),
                ('version', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='events', to='datasets.version')),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Creator',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveSmallIntegerField()),
                ('name', models.CharField(max_length=200)),
                ('orcid', models.CharField(blank=True, max_length=19, validators=[datasets.models.dataset.check_orcid])),
                ('affiliation', models.CharField(blank=True, max_length=200)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='creators', to='datasets.dataset')),
            ],
            options={
                'ordering': ['position'],
                'constraints': [models.UniqueConstraint(fields=('dataset', 'position'), name='creator_position')],
            },
        ),
        migrations.AddIndex(
            model_name='folder',
            index=models.Index(fields=['parent', 'name'], name='folder_children'),
        ),
        migrations.AddConstraint(
            model_name='folder',
            constraint=models.UniqueConstraint(fields=('dataset', 'path'), name='folder_path'),
        ),
        migrations.AddConstraint(
            model_name='folder',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('depth', 0), ('parent', None), ('path', '/')), models.Q(('depth__gte', 1), ('parent__isnull', False)), _connector='OR'), name='folder_root_has_no_parent'),
        ),
        migrations.AddIndex(
            model_name='file',
            index=models.Index(condition=models.Q(('collection_path', ''), _negated=True), fields=['folder'], name='file_displaced'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.UniqueConstraint(fields=('folder', 'name', 'first_version'), name='file_first_version'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.UniqueConstraint(condition=models.Q(('last_version', None)), fields=('folder', 'name'), name='file_current'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.CheckConstraint(condition=models.Q(('last_version', None), ('last_version__gte', models.F('first_version')), _connector='OR'), name='file_versions_in_order'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.CheckConstraint(condition=models.Q(('size_bytes__gte', 0)), name='file_size_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='file',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('name', ''), _negated=True), models.Q(('name__contains', '/'), _negated=True)), name='file_has_name'),
        ),
        migrations.AddConstraint(
            model_name='folderstate',
            constraint=models.UniqueConstraint(fields=('folder', 'from_version'), include=('n_files', 'size_bytes'), name='folderstate_from_version'),
        ),
        migrations.AddConstraint(
            model_name='folderstate',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('digest', None), ('n_files', 0), ('size_bytes', 0)), models.Q(('digest__isnull', False), ('n_files__gt', 0)), _connector='OR'), name='folderstate_empty_has_no_digest'),
        ),
        migrations.AddIndex(
            model_name='grant',
            index=models.Index(fields=['principal'], name='grant_principal'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('dataset', 'principal_type', 'principal'), name='grant_one_open'),
        ),
        migrations.AddConstraint(
            model_name='grant',
            constraint=models.CheckConstraint(condition=models.Q(('revoked_at', None), ('revoked_at__gte', models.F('granted_at')), _connector='OR'), name='grant_ends_after_start'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=['search_vector'], name='dataset_search'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=django.contrib.postgres.indexes.GinIndex(fields=['subject_facet'], name='dataset_subjects'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=django.contrib.postgres.indexes.GinIndex(fields=['variable_facet'], name='dataset_variables'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=django.contrib.postgres.indexes.GinIndex(fields=['format_facet'], name='dataset_formats'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['listed_at', 'id'], name='dataset_newest'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['title', 'id'], name='dataset_by_title'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['size_bytes', 'id'], name='dataset_by_size'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('east', None), ('north', None), ('south', None), ('west', None)), models.Q(('east__range', (-180, 180)), ('north__gte', models.F('south')), ('north__range', (-90, 90)), ('south__range', (-90, 90)), ('west__range', (-180, 180))), _connector='OR'), name='dataset_box_whole_or_absent', violation_error_message='Give all four sides: longitudes from -180 to 180, latitudes from -90 to 90, south below north.'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('temporal_end', None), ('temporal_start', None), ('temporal_end__gte', models.F('temporal_start')), _connector='OR'), name='dataset_time_runs_forward', violation_error_message='The end lies before the start.'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('access_policy__in', ['public', 'registered', 'restricted'])), name='dataset_access_policy_known'),
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(('share_variant__in', ['folder', 'collection'])), name='dataset_share_variant_known'),
        ),
        migrations.AddConstraint(
            model_name='variable',
            constraint=models.UniqueConstraint(fields=('dataset', 'name'), name='variable_name'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.UniqueConstraint(fields=('dataset', 'number'), name='version_number'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'draft')), fields=('dataset',), name='version_one_open_draft'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'published')), fields=('dataset',), name='version_one_current'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('published_at', None), ('status', 'draft')), models.Q(models.Q(('status', 'draft'), ('published_at', None), _connector='OR'), _negated=True), _connector='OR'), name='version_published_has_date'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(('status', 'draft'), ('digest__isnull', False), _connector='OR'), name='version_published_has_digest'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'superseded'), ('superseded_at__isnull', False)), models.Q(models.Q(('status', 'superseded'), _negated=True), ('superseded_at', None)), _connector='OR'), name='version_superseded_has_date'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('damage', ''), ('damaged_at', None)), models.Q(models.Q(('damage', ''), _negated=True), ('damaged_at__isnull', False)), _connector='OR'), name='version_damage_has_date'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='version_number_from_one'),
        ),
        migrations.AddIndex(
            model_name='scanrun',
            index=models.Index(condition=models.Q(('status__in', ['queued', 'running'])), fields=['due_at'], name='scan_due'),
        ),
        migrations.AddConstraint(
            model_name='scanrun',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['queued', 'running'])), fields=('version',), name='scan_one_open'),
        ),
        migrations.AddConstraint(
            model_name='scanrun',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), ('status__in', ['queued', 'running'])), models.Q(('status__in', ['done', 'failed']), ('finished_at__isnull', False)), _connector='OR'), name='scan_end_has_date'),
        ),
        migrations.AddConstraint(
            model_name='scanrun',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'failed'), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='scan_failure_has_error'),
        ),
        migrations.AddConstraint(
            model_name='location',
            constraint=models.UniqueConstraint(condition=models.Q(('is_primary', True)), fields=('version',), name='location_one_primary'),
        ),
        migrations.AddConstraint(
            model_name='location',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('bucket', ''), ('collection_id__isnull', False), ('kind', 'collection')), models.Q(('collection_id', None), ('kind', 'bucket'), models.Q(('bucket', ''), _negated=True)), _connector='OR'), name='location_says_where'),
        ),
        migrations.AddConstraint(
            model_name='location',
            constraint=models.CheckConstraint(condition=models.Q(('base_path__startswith', '/'), ('base_path__endswith', '/')), name='location_path_is_a_folder'),
        ),
    ]
