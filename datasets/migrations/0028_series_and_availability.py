"""Series and availability among the facet values of every dataset."""

from django.db import migrations

FILL = """
    create temporary table pair on commit drop as
        select d.id, 'series' as facet, s.slug::text as value from datasets_dataset d join datasets_series s on s.id = d.series_id
        union all
        select d.id, 'availability', case when bool_or(l.is_online) then 'online' else 'cold' end
        from datasets_dataset d cross join lateral (
            select id from datasets_version where dataset_id = d.id order by status = 'published' desc, number desc limit 1
        ) v join datasets_location l on l.version_id = v.id group by d.id;
    insert into datasets_facetvalue (facet, value, n_datasets) select distinct facet, value, 0 from pair;
    update datasets_dataset d set facet_ids = d.facet_ids || one.ids from (
        select pair.id, array_agg(known.id order by known.id) as ids from pair
        join datasets_facetvalue known on known.facet = pair.facet and known.value = pair.value group by pair.id
    ) one where one.id = d.id;
    update datasets_facetvalue known set n_datasets = one.n from (
        select pair.facet, pair.value, count(*) as n from pair join datasets_dataset d using (id) where d.is_counted group by 1, 2
    ) one where one.facet = known.facet and one.value = known.value;
    drop table pair;
"""
EMPTY = """
    update datasets_dataset set facet_ids = array(
        select id from unnest(facet_ids) id where id not in (select id from datasets_facetvalue where facet in ('series', 'availability'))
        order by id
    ) where facet_ids && (select array_agg(id) from datasets_facetvalue where facet in ('series', 'availability'));
    delete from datasets_facetvalue where facet in ('series', 'availability');
"""


class Migration(migrations.Migration):
    dependencies = [("datasets", "0027_words_of_a_version")]

    operations = [migrations.RunSQL(FILL, EMPTY)]
