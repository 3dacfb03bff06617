"""Whether the folder of a file is there is checked a statement at a time: a foreign key is checked row by row, which doubles what it takes to
write a million rows. The locks are those of a foreign key: a folder with files cannot go, nor a file come into one that goes meanwhile.
"""

import django.db.models.deletion
from django.db import migrations, models

CHECKED = """
create function datasets_file_has_folder() returns trigger language plpgsql as $$
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
create trigger datasets_file_has_folder after insert on datasets_file
    referencing new table as added for each statement execute function datasets_file_has_folder();

create function datasets_file_keeps_folder() returns trigger language plpgsql as $$
begin
    raise foreign_key_violation using message = 'a row of datasets_file keeps its folder', table = 'datasets_file';
end $$;
create trigger datasets_file_keeps_folder before update of folder_id on datasets_file
    for each row when (old.folder_id is distinct from new.folder_id) execute function datasets_file_keeps_folder();

create function datasets_folder_is_empty() returns trigger language plpgsql as $$
begin
    if exists (select from gone where exists (select from datasets_file fi where fi.folder_id = gone.id)) then
        raise foreign_key_violation using message = 'a row of datasets_file is still in this folder', table = 'datasets_folder';
    end if;
    return null;
end $$;
create trigger datasets_folder_is_empty after delete on datasets_folder
    referencing old table as gone for each statement execute function datasets_folder_is_empty();
"""
UNCHECKED = """
drop trigger datasets_folder_is_empty on datasets_folder;
drop function datasets_folder_is_empty;
drop trigger datasets_file_keeps_folder on datasets_file;
drop function datasets_file_keeps_folder;
drop trigger datasets_file_has_folder on datasets_file;
drop function datasets_file_has_folder;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0030_listed_parts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='file',
            name='folder',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='datasets.folder'),
        ),
        migrations.RunSQL(CHECKED, UNCHECKED),
    ]
