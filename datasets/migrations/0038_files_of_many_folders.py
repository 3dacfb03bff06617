"""The folders of a statement's files are gathered once instead of sorted twice, and numbers of files are taken a thousand at a time."""

from django.db import migrations

GATHERED = """
create or replace function datasets_file_has_folder() returns trigger language plpgsql as $$
begin
    if exists (
        select from (select distinct folder_id from added) named
        where not exists (select from datasets_folder f where f.id = named.folder_id for key share)
    ) then
        raise foreign_key_violation using message = 'a row of datasets_file names a folder that is not there', table = 'datasets_file';
    end if;
    return null;
end $$;
"""
COUNTED = """
create or replace function datasets_file_has_folder() returns trigger language plpgsql as $$
declare n_there bigint; n_named bigint;
begin
    perform from datasets_folder f where f.id = any(array(select distinct folder_id from added)) for key share;
    get diagnostics n_there = row_count;
    select count(distinct folder_id) into n_named from added;
    if n_there <> n_named then
        raise foreign_key_violation using message = 'a row of datasets_file names a folder that is not there', table = 'datasets_file';
    end if;
    return null;
end $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0037_harvest_limits'),
    ]

    operations = [
        migrations.RunSQL(GATHERED, COUNTED),
        # A session that ends leaves a gap of up to a thousand; the numbers are bigints and mean nothing.
        migrations.RunSQL("alter sequence datasets_file_id_seq cache 1000", "alter sequence datasets_file_id_seq cache 1"),
    ]
