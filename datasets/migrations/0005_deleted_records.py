"""What harvesters are told of datasets that are gone, and the order in which they list the others."""

import django.contrib.postgres.fields
from django.db import migrations, models

KEEP = """
create function datasets_keep_deleted_record() returns trigger language plpgsql as $$
begin
    if old.published_at is not null and (tg_op = 'DELETE' or new.published_at is null) then
        insert into datasets_deletedrecord (dataset_id, access_policy, subject_facet, deleted_at)
        values (old.id, old.access_policy, old.subject_facet, clock_timestamp())
        on conflict (dataset_id) do update set
            access_policy = excluded.access_policy, subject_facet = excluded.subject_facet, deleted_at = excluded.deleted_at;
    end if;
    return null;
end $$;
create trigger datasets_keep_deleted_record after delete or update of published_at on datasets_dataset
    for each row execute function datasets_keep_deleted_record();
"""
FORGET = """
drop trigger datasets_keep_deleted_record on datasets_dataset;
drop function datasets_keep_deleted_record();
"""


class Migration(migrations.Migration):
    dependencies = [("datasets", "0004_files_to_be_checked")]

    operations = [
        migrations.CreateModel(
            name="DeletedRecord",
            fields=[
                ("dataset_id", models.UUIDField(primary_key=True, serialize=False)),
                ("access_policy", models.CharField(max_length=12)),
                ("subject_facet", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ("deleted_at", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(fields=["deleted_at", "dataset_id"], name="deletedrecord_harvest")]},
        ),
        migrations.AddIndex(
            model_name="dataset",
            index=models.Index(
                condition=models.Q(("published_at__isnull", False)), fields=["updated_at", "id"], name="dataset_harvest"
            ),
        ),
        migrations.RunSQL(KEEP, FORGET),
    ]
