"""A published version may be withdrawn; harvesters are told then that the dataset is gone."""

from django.conf import settings
from django.db import migrations, models


TOLD = """
drop trigger datasets_keep_deleted_record on datasets_dataset;
create or replace function datasets_keep_deleted_record() returns trigger language plpgsql as $$
begin
    if {was_listed} and (tg_op = 'DELETE' or not ({is_listed})) then
        insert into datasets_deletedrecord (dataset_id, access_policy, subject_facet, deleted_at)
        values (old.id, old.access_policy, old.subject_facet, clock_timestamp())
        on conflict (dataset_id) do update set
            access_policy = excluded.access_policy, subject_facet = excluded.subject_facet, deleted_at = excluded.deleted_at;
    end if;
    return null;
end $$;
create trigger datasets_keep_deleted_record after delete or update of {columns} on datasets_dataset
    for each row execute function datasets_keep_deleted_record();
"""
WITH_WITHDRAWAL = TOLD.format(
    was_listed="old.published_at is not null and old.withdrawn_at is null",
    is_listed="new.published_at is not null and new.withdrawn_at is null",
    columns="published_at, withdrawn_at",
)
WITHOUT = TOLD.format(was_listed="old.published_at is not null", is_listed="new.published_at is not null", columns="published_at")


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0007_review_and_kept_descriptions'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='version',
            name='version_superseded_has_date',
        ),
        migrations.AddField(
            model_name='dataset',
            name='withdrawn_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='Its current version was withdrawn then', null=True),
        ),
        migrations.AddField(
            model_name='version',
            name='forward_url',
            field=models.URLField(blank=True, help_text='What to use instead', max_length=500),
        ),
        migrations.AddField(
            model_name='version',
            name='withdrawal',
            field=models.TextField(blank=True, help_text='Why it was withdrawn, as its page says'),
        ),
        migrations.AddField(
            model_name='version',
            name='withdrawn_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='version',
            name='status',
            field=models.CharField(choices=[('draft', 'Draft'), ('review', 'In review'), ('published', 'Published'), ('superseded', 'Superseded'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(('status', 'withdrawn'), models.Q(('status', 'superseded'), ('superseded_at__isnull', False)), models.Q(models.Q(('status', 'superseded'), _negated=True), ('superseded_at', None)), _connector='OR'), name='version_superseded_has_date'),
        ),
        migrations.AddConstraint(
            model_name='version',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'withdrawn'), ('withdrawn_at__isnull', False), models.Q(('withdrawal', ''), _negated=True)), models.Q(models.Q(('status', 'withdrawn'), _negated=True), ('forward_url', ''), ('withdrawal', ''), ('withdrawn_at', None)), _connector='OR'), name='version_withdrawn_says_why'),
        ),
        migrations.RunSQL(WITH_WITHDRAWAL, WITHOUT),
    ]
