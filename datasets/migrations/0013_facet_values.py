"""Facet values by number, counted for the whole catalogue; long texts move out of the row, so that counting reads little."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.conf import settings
from django.db import migrations, models

NARROW = """
    alter table datasets_dataset set (toast_tuple_target = 128);
    alter table datasets_dataset alter column slug set storage main, alter column title set storage main,
        alter column licence set storage main, alter column access_policy set storage main, alter column classification set storage main,
        alter column share_variant set storage main, alter column facet_ids set storage main, alter column search_vector set storage external;
"""
WIDE = """
    alter table datasets_dataset reset (toast_tuple_target);
    alter table datasets_dataset alter column slug set storage extended, alter column title set storage extended,
        alter column licence set storage extended, alter column access_policy set storage extended,
        alter column classification set storage extended, alter column share_variant set storage extended,
        alter column search_vector set storage extended;
"""
FILL = """
    create temporary table pair on commit drop as
        select d.id, one.facet, one.value from datasets_dataset d cross join lateral (
            select 'subject' as facet, unnest(d.subject_facet) as value
            union all select 'variable', unnest(d.variable_facet)
            union all select 'format', unnest(d.format_facet)
            union all select 'decade', unnest(d.decade_facet)::text
            union all select 'licence', coalesce(nullif(d.licence, ''), 'not-stated')
            union all select 'access', d.access_policy
            union all select 'all', ''
        ) one;
    insert into datasets_facetvalue (facet, value, n_datasets) select distinct facet, value, 0 from pair;
    update datasets_dataset d set is_counted = d.published_at is not null and d.withdrawn_at is null, facet_ids = one.ids from (
        select pair.id, array_agg(known.id order by known.id) as ids from pair
        join datasets_facetvalue known on known.facet = pair.facet and known.value = pair.value group by pair.id
    ) one where one.id = d.id;
    update datasets_facetvalue known set n_datasets = one.n from (
        select value_id, count(*) as n from datasets_dataset d, unnest(d.facet_ids) as value_id where d.is_counted group by value_id
    ) one where one.value_id = known.id;
    drop table pair;
"""

UNCOUNT = """
create function datasets_uncount() returns trigger language plpgsql as $$
begin
    update datasets_facetvalue known set n_datasets = known.n_datasets - one.n from (
        select id, count(*) as n from (select unnest(facet_ids) as id from gone where is_counted) each group by id
    ) one where one.id = known.id;
    with less as (
        select word, count(*) as n from (select unnest(search_terms) as word from gone) each group by word
    ), fewer as (
        update datasets_searchterm known set n_datasets = known.n_datasets - less.n from less
        where less.word = known.word and known.n_datasets > less.n
    )
    delete from datasets_searchterm known using less where less.word = known.word and known.n_datasets <= less.n;
    return null;
end $$;
create trigger datasets_uncount after delete on datasets_dataset
    referencing old table as gone for each statement execute function datasets_uncount();
"""
RECOUNT = """
drop trigger datasets_uncount on datasets_dataset;
drop function datasets_uncount();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0012_scan_reports'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='FacetValue',
            fields=[
                ('id', models.AutoField(primary_key=True, serialize=False)),
                ('facet', models.CharField(max_length=16)),
                ('value', models.TextField(db_collation='C')),
                ('n_datasets', models.IntegerField(default=0)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='dataset',
            name='dataset_subjects',
        ),
        migrations.RemoveIndex(
            model_name='dataset',
            name='dataset_variables',
        ),
        migrations.RemoveIndex(
            model_name='dataset',
            name='dataset_formats',
        ),
        migrations.AddField(
            model_name='dataset',
            name='facet_ids',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), default=list, editable=False, help_text='All of its facet values, by number', size=None),
        ),
        migrations.AddField(
            model_name='dataset',
            name='is_counted',
            field=models.BooleanField(default=False, editable=False, help_text='Whether the counts of its facet values include it'),
        ),
        migrations.RunSQL(NARROW, WIDE),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name='dataset',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.search.SearchVector('title', config='causeway'), fastupdate=False, name='dataset_title_search'),
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=['facet_ids'], name='dataset_facets'),
        ),
        migrations.AddIndex(
            model_name='facetvalue',
            index=models.Index(fields=['facet', '-n_datasets'], name='facetvalue_most'),
        ),
        migrations.AddConstraint(
            model_name='facetvalue',
            constraint=models.UniqueConstraint(fields=('facet', 'value'), name='facetvalue_once'),
        ),
        migrations.RunSQL(UNCOUNT, RECOUNT),
    ]
