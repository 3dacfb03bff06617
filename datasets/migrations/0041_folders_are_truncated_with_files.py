"""Without a foreign key `truncate datasets_folder cascade` would leave files behind whose folders are not there: it is refused."""

from django.db import migrations

REFUSED = """
create function datasets_folder_is_truncated() returns trigger language plpgsql as $$
begin
    if exists (select from datasets_file) then
        raise foreign_key_violation using message = 'datasets_folder is truncated together with datasets_file', table = 'datasets_folder';
    end if;
    return null;
end $$;
create trigger datasets_folder_is_truncated after truncate on datasets_folder
    for each statement execute function datasets_folder_is_truncated();
"""
ALLOWED = """
drop trigger datasets_folder_is_truncated on datasets_folder;
drop function datasets_folder_is_truncated;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0040_cold_folders'),
    ]

    operations = [migrations.RunSQL(REFUSED, ALLOWED)]
