"""Series of datasets as a tree; the database itself counts what is listed in each, and keeps the series of what is gone."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# Two rows are written in the order of their ids, so that two moves at once cannot lock each other out.
COUNT = """
create function datasets_count_listed() returns trigger language plpgsql as $$
declare
    gone bigint; come bigint;
begin
    if tg_op <> 'INSERT' and old.published_at is not null and old.withdrawn_at is null then gone := old.series_id; end if;
    if tg_op <> 'DELETE' and new.published_at is not null and new.withdrawn_at is null then come := new.series_id; end if;
    if gone is not distinct from come then return null; end if;
    if gone is not null and (come is null or gone < come) then
        update datasets_series set n_listed = n_listed - 1 where id = gone;
    end if;
    if come is not null then
        update datasets_series set n_listed = n_listed + 1 where id = come;
    end if;
    if gone is not null and come is not null and gone > come then
        update datasets_series set n_listed = n_listed - 1 where id = gone;
    end if;
    return null;
end $$;
create trigger datasets_count_listed after insert or delete or update of series_id, published_at, withdrawn_at on datasets_dataset
    for each row execute function datasets_count_listed();
"""
COUNT_NO_MORE = "drop trigger datasets_count_listed on datasets_dataset; drop function datasets_count_listed();"

KEEP = """
create or replace function datasets_keep_deleted_record() returns trigger language plpgsql as $$
begin
    if old.published_at is not null and old.withdrawn_at is null
        and (tg_op = 'DELETE' or not (new.published_at is not null and new.withdrawn_at is null)) then
        insert into datasets_deletedrecord (dataset_id, access_policy, subject_facet{column}, deleted_at)
        values (old.id, old.access_policy, old.subject_facet{value}, clock_timestamp())
        on conflict (dataset_id) do update set access_policy = excluded.access_policy, subject_facet = excluded.subject_facet,
            {both}deleted_at = excluded.deleted_at;
    end if;
    return null;
end $$;
"""
KEEP_SERIES = KEEP.format(column=", series_id", value=", old.series_id", both="series_id = excluded.series_id, ")
KEEP_NONE = KEEP.format(column="", value="", both="")


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0013_facet_values'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SeriesEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('note', models.TextField(blank=True)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('slug', models.SlugField(max_length=80)),
                ('act', models.CharField(max_length=40)),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='SeriesSteward',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('principal_type', models.CharField(choices=[('identity', 'Identity'), ('group', 'Group')], max_length=10)),
                ('principal', models.UUIDField()),
                ('label', models.CharField(blank=True, help_text='How the page names the identity or group', max_length=200)),
                ('appointed_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['principal_type', 'label', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Series',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=80, unique=True)),
                ('title', models.CharField(max_length=300)),
                ('description', models.TextField(blank=True)),
                ('lineage', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, editable=False, help_text='Ids from the top of the tree down to its own; datasets.series writes it', size=None)),
                ('n_listed', models.BigIntegerField(db_default=0, default=0, editable=False, help_text='Listed datasets directly in it; a database trigger keeps it')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='datasets.series')),
            ],
            options={
                'verbose_name_plural': 'series',
                'ordering': ['title', 'id'],
            },
        ),
        migrations.AddField(
            model_name='dataset',
            name='series',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='datasets', to='datasets.series'),
        ),
        migrations.AddField(
            model_name='deletedrecord',
            name='series',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='datasets.series'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(fields=['series', 'title', 'id'], name='dataset_of_series'),
        ),
        migrations.AddField(
            model_name='seriesevent',
            name='actor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='seriesevent',
            name='series',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='events', to='datasets.series'),
        ),
        migrations.AddField(
            model_name='seriessteward',
            name='appointed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='seriessteward',
            name='series',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='stewards', to='datasets.series'),
        ),
        migrations.AddIndex(
            model_name='series',
            index=django.contrib.postgres.indexes.GinIndex(fields=['lineage'], name='series_lineage'),
        ),
        migrations.AddConstraint(
            model_name='series',
            constraint=models.CheckConstraint(condition=models.Q(('parent', None), models.Q(('parent', models.F('id')), _negated=True), _connector='OR'), name='series_not_its_own_parent'),
        ),
        migrations.AddConstraint(
            model_name='series',
            constraint=models.CheckConstraint(condition=models.Q(('n_listed__gte', 0)), name='series_counts_up'),
        ),
        migrations.AddIndex(
            model_name='seriessteward',
            index=models.Index(fields=['principal'], name='seriessteward_principal'),
        ),
        migrations.AddConstraint(
            model_name='seriessteward',
            constraint=models.UniqueConstraint(fields=('series', 'principal_type', 'principal'), name='seriessteward_once'),
        ),
        migrations.RunSQL(COUNT, COUNT_NO_MORE),
        migrations.RunSQL(KEEP_SERIES, KEEP_NONE),
    ]
