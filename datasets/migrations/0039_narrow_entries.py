"""The words of every dataset lie outside its row, however few they are, beside which stands what searches compare and sort by."""

import django.contrib.postgres.indexes
from django.db import migrations, models
from django.db.models.functions import Now, Repeat

INDEXES = {"searchentry_words": "search_vector", "searchentry_titles": "title_vector"}

# The rows are written once to fill them, and the table anew, so that no room of the former wide rows is left between.
FILL = """
    alter table datasets_searchentry alter column padding set storage main;
    update datasets_searchentry e set west = d.west, south = d.south, east = d.east, north = d.north,
        first_day = coalesce(d.temporal_start, d.temporal_end), last_day = coalesce(d.temporal_end, d.temporal_start),
        listed_at = d.listed_at, n_files = d.n_files, size_bytes = d.size_bytes
    from datasets_dataset d where d.id = e.dataset_id;
    set constraints all immediate;
    alter table datasets_searchentry alter column revision type bigint using revision + 0;
    set constraints all deferred;
"""


def without_indexes() -> list[migrations.RemoveIndex]:
    return [migrations.RemoveIndex(model_name="searchentry", name=name) for name in INDEXES]


def with_indexes() -> list[migrations.AddIndex]:
    return [
        migrations.AddIndex(
            model_name="searchentry",
            index=django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=[field], name=name),
        )
        for name, field in INDEXES.items()
    ]


class Migration(migrations.Migration):
    dependencies = [("datasets", "0038_files_of_many_folders")]

    operations = [
        *without_indexes(),
        *(migrations.AddField("searchentry", name, models.FloatField(null=True)) for name in ("west", "south", "east", "north")),
        migrations.AddField("searchentry", "first_day", models.DateField(null=True)),
        migrations.AddField("searchentry", "last_day", models.DateField(null=True)),
        migrations.AddField("searchentry", "listed_at", models.DateTimeField(db_default=Now())),
        migrations.AddField("searchentry", "n_files", models.BigIntegerField(db_default=0)),
        migrations.AddField("searchentry", "size_bytes", models.BigIntegerField(db_default=0)),
        migrations.AddField(
            "searchentry", "padding", models.TextField(db_default=Repeat(models.Value(" "), models.Value(2048)), editable=False)
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        *with_indexes(),
    ]
