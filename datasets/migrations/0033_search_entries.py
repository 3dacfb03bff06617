"""The words of a dataset stand in a narrow row of its own, with its place in the sets by which searches count; kept counts go."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

NARROW = """
    create sequence datasets_revision as bigint;
    alter table datasets_searchentry set (toast_tuple_target = 128);
    alter table datasets_searchentry alter column search_vector set storage external, alter column title_vector set storage external;
    alter table datasets_keptplaces alter column places set storage external;
"""
NARROW_NO_MORE = "drop sequence datasets_revision;"

FILL = """
    insert into datasets_searchentry (dataset_id, revision, search_vector, title_vector)
        select id, nextval('datasets_revision'), coalesce(search_vector, ''), to_tsvector('causeway', title)
        from (select id, search_vector, title from datasets_dataset order by listed_at, id) d;
    set constraints all immediate;
    set constraints all deferred;
"""
# The words come back; the counts, from the arrays, where the number of the value `all` stands for one release more.
EMPTY = """
    update datasets_dataset d set search_vector = e.search_vector from datasets_searchentry e where e.dataset_id = d.id;
    insert into datasets_facetvalue (facet, value, n_datasets) values ('all', '', 0) on conflict do nothing;
    update datasets_facetvalue set n_datasets = 0;
    update datasets_dataset d set is_counted = d.published_at is not null and d.withdrawn_at is null,
        facet_ids = array_remove(d.facet_ids, one.id) || one.id from datasets_facetvalue one where one.facet = 'all';
    update datasets_facetvalue known set n_datasets = one.n from (
        select value_id, count(*) as n from datasets_dataset d, unnest(d.facet_ids) as value_id where d.is_counted group by value_id
    ) one where one.value_id = known.id;
    set constraints all immediate;
    set constraints all deferred;
"""

UNCOUNT = """
create or replace function datasets_uncount() returns trigger language plpgsql as $$
begin
    with less as (
        select word, count(*) as n from (select unnest(search_terms) as word from gone) each group by word
    ), fewer as (
        update datasets_searchterm known set n_datasets = known.n_datasets - less.n from less
        where less.word = known.word and known.n_datasets > less.n
    )
    delete from datasets_searchterm known using less where less.word = known.word and known.n_datasets <= less.n;
    return null;
end $$;
"""
UNCOUNT_VALUES_TOO = """
create or replace function datasets_uncount() returns trigger language plpgsql as $$
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
"""

# Who deletes takes a revision as who writes does: alone until her transaction ends (search/indexing.py, COUNTERS).
FORGET = """
create function datasets_forget_places() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(x'63617573'::int);
    insert into datasets_goneplace (place, revision) select place, nextval('datasets_revision') from gone;
    return null;
end $$;
create trigger datasets_forget_places after delete on datasets_searchentry
    referencing old table as gone for each statement execute function datasets_forget_places();
create function datasets_forget_all_places() returns trigger language plpgsql as $$
begin
    insert into datasets_goneplace (place, revision) values (null, nextval('datasets_revision'));
    return null;
end $$;
create trigger datasets_forget_all_places after truncate on datasets_searchentry
    for each statement execute function datasets_forget_all_places();
"""
REMEMBER = """
drop trigger datasets_forget_all_places on datasets_searchentry;
drop function datasets_forget_all_places();
drop trigger datasets_forget_places on datasets_searchentry;
drop function datasets_forget_places();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0032_one_index_of_files'),
    ]

    operations = [
        migrations.CreateModel(
            name='SearchEntry',
            fields=[
                ('place', models.AutoField(primary_key=True, serialize=False)),
                ('revision', models.BigIntegerField(db_index=True)),
                ('search_vector', django.contrib.postgres.search.SearchVectorField()),
                ('title_vector', django.contrib.postgres.search.SearchVectorField()),
                ('dataset', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='search_entry', to='datasets.dataset')),
            ],
        ),
        migrations.CreateModel(
            name='GonePlace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.IntegerField(null=True)),
                ('revision', models.BigIntegerField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name='KeptPlaces',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=8)),
                ('key', models.IntegerField()),
                ('revision', models.BigIntegerField()),
                ('places', models.BinaryField()),
            ],
        ),
        migrations.AddConstraint(
            model_name='keptplaces',
            constraint=models.UniqueConstraint(fields=('kind', 'key'), name='keptplaces_once'),
        ),
        migrations.RunSQL(NARROW, NARROW_NO_MORE),
        migrations.RunSQL(FILL, EMPTY),
        migrations.AddIndex(
            model_name='searchentry',
            index=django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=['search_vector'], name='searchentry_words'),
        ),
        migrations.AddIndex(
            model_name='searchentry',
            index=django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=['title_vector'], name='searchentry_titles'),
        ),
        migrations.RunSQL(FORGET, REMEMBER),
        migrations.RunSQL(UNCOUNT, UNCOUNT_VALUES_TOO),
        migrations.RunSQL('analyze datasets_searchentry', migrations.RunSQL.noop),
        migrations.RemoveIndex(model_name='dataset', name='dataset_search'),
        migrations.RemoveIndex(model_name='dataset', name='dataset_facets'),
        migrations.RemoveIndex(model_name='dataset', name='dataset_title_search'),
        migrations.RemoveIndex(model_name='facetvalue', name='facetvalue_most'),
        # The columns stay for the release before this one, which still reads them.
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    """
                    alter table datasets_dataset alter column is_counted set default false;
                    alter table datasets_facetvalue alter column n_datasets set default 0;
                    """,
                    """
                    alter table datasets_dataset alter column is_counted drop default;
                    alter table datasets_facetvalue alter column n_datasets drop default;
                    """,
                )
            ],
            [
                migrations.RemoveField(model_name='dataset', name='search_vector'),
                migrations.RemoveField(model_name='dataset', name='is_counted'),
                migrations.RemoveField(model_name='facetvalue', name='n_datasets'),
            ],
        ),
        migrations.AddIndex(
            model_name='dataset',
            index=models.Index(condition=models.Q(('published_at', None), ('withdrawn_at__isnull', False), _connector='OR'), fields=['id'], name='dataset_unlisted'),
        ),
    ]
