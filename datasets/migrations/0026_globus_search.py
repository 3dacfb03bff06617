"""The outbox of a Globus Search index. A trigger asks for the removal of what is deleted here, so that no way of deleting forgets it."""

from django.db import migrations, models

FORGET = """
create function datasets_forget_pushed_record() returns trigger language plpgsql as $$
begin
    update datasets_pushedrecord set wanted = wanted + 1, status = 'pending', due_at = clock_timestamp(), n_attempts = 0, error = ''
        where dataset_id = old.id;
    return null;
end $$;
create trigger datasets_forget_pushed_record after delete on datasets_dataset
    for each row execute function datasets_forget_pushed_record();
"""
FORGET_NO_MORE = "drop trigger datasets_forget_pushed_record on datasets_dataset; drop function datasets_forget_pushed_record();"


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0025_links_of_descriptions'),
    ]

    operations = [
        migrations.CreateModel(
            name='PushedRecord',
            fields=[
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('claim_id', models.UUIDField(blank=True, help_text='Whose claim it is: each claim has its own', null=True)),
                ('dataset_id', models.UUIDField(help_text='No foreign key: the row stays when the dataset is deleted', primary_key=True, serialize=False)),
                ('subject', models.CharField(blank=True, help_text='Under which the index knows it; blank before the first push', max_length=500)),
                ('status', models.CharField(choices=[('pending', 'Waiting'), ('sent', 'Sent'), ('told', 'Up to date'), ('failed', 'Refused')], default='pending', max_length=10)),
                ('wanted', models.PositiveIntegerField(default=0)),
                ('sent', models.PositiveIntegerField(default=0)),
                ('told', models.PositiveIntegerField(default=0)),
                ('is_present', models.BooleanField(default=False, help_text='Whether what was sent last is an entry; otherwise its removal')),
                ('is_alone', models.BooleanField(default=False, help_text='Something in its batch was refused: it is sent by itself')),
                ('task_id', models.CharField(blank=True, help_text='The task of Globus Search that carries it', max_length=64)),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('n_attempts', models.PositiveIntegerField(default=0)),
                ('error', models.TextField(blank=True)),
            ],
            options={
                'verbose_name': 'record in Globus Search',
                'verbose_name_plural': 'records in Globus Search',
                'indexes': [models.Index(condition=models.Q(('status', 'told'), _negated=True), fields=['status', 'due_at'], name='pushedrecord_open'), models.Index(condition=models.Q(('status', 'sent')), fields=['task_id'], name='pushedrecord_task')],
                'constraints': [models.CheckConstraint(condition=models.Q(('sent__lte', models.F('wanted')), ('told__lte', models.F('sent'))), name='pushedrecord_told_is_wanted'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'sent'), _negated=True), models.Q(('task_id', ''), _negated=True), _connector='OR'), name='pushedrecord_sent_has_task'), models.CheckConstraint(condition=models.Q(models.Q(('status', 'failed'), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='pushedrecord_failure_has_error')],
            },
        ),
        migrations.RunSQL(FORGET, FORGET_NO_MORE),
    ]
