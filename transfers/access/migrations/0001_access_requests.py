"""Access requests with their timeline and mails."""

import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('datasets', '0008_withdrawal'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AccessRequest',
            fields=[
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('claim_id', models.UUIDField(blank=True, help_text='Whose claim it is: each claim has its own', null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('waiting', 'Waiting for a steward'), ('granted', 'Access given'), ('renewing', 'Access given, more time asked'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn'), ('ended', 'Ended')], default='waiting', max_length=16)),
                ('last_act', models.CharField(choices=[('asked', 'Asked for access'), ('approved', 'Approved'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn'), ('renewal-asked', 'Asked for more time'), ('renewal-denied', 'More time denied'), ('renewal-withdrawn', 'Asked for no more time after all'), ('ended', 'Its time is over'), ('taken-back', 'A steward took the access back'), ('given-back', 'Gave the access back')], default='asked', max_length=20)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('moved_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('purpose', models.TextField()),
                ('wanted_until', models.DateTimeField(blank=True, null=True)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('reason', models.TextField(blank=True, help_text='Why it was denied, or taken back')),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('reminded_of', models.DateTimeField(blank=True, help_text='The end that she was reminded of', null=True)),
                ('acceptance', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='datasets.termsacceptance')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='access_requests', to='datasets.dataset')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('grant', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='access_requests', to='datasets.grant')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='access_requests', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='AccessMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message', models.CharField(max_length=32)),
                ('occasion', models.BigIntegerField(help_text='The event that it tells of')),
                ('message_id', models.CharField(max_length=255)),
                ('claimed_at', models.DateTimeField(auto_now_add=True)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='mails', to='access.accessrequest')),
            ],
        ),
        migrations.CreateModel(
            name='AccessEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('note', models.TextField(blank=True)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('act', models.CharField(choices=[('asked', 'Asked for access'), ('approved', 'Approved'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn'), ('renewal-asked', 'Asked for more time'), ('renewal-denied', 'More time denied'), ('renewal-withdrawn', 'Asked for no more time after all'), ('ended', 'Its time is over'), ('taken-back', 'A steward took the access back'), ('given-back', 'Gave the access back')], max_length=20)),
                ('old', models.CharField(blank=True, choices=[('waiting', 'Waiting for a steward'), ('granted', 'Access given'), ('renewing', 'Access given, more time asked'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn'), ('ended', 'Ended')], max_length=16)),
                ('new', models.CharField(choices=[('waiting', 'Waiting for a steward'), ('granted', 'Access given'), ('renewing', 'Access given, more time asked'), ('denied', 'Denied'), ('withdrawn', 'Withdrawn'), ('ended', 'Ended')], max_length=16)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='access.accessrequest')),
            ],
            options={
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.AddIndex(
            model_name='accessrequest',
            index=models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at'], name='accessrequest_due'),
        ),
        migrations.AddIndex(
            model_name='accessrequest',
            index=models.Index(fields=['dataset', 'status'], name='accessrequest_of_dataset'),
        ),
        migrations.AddIndex(
            model_name='accessrequest',
            index=models.Index(fields=['user', '-created_at'], name='accessrequest_of_user'),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', ['granted', 'renewing', 'waiting'])), fields=('user', 'dataset'), name='accessrequest_open_once'),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['granted', 'renewing']), _negated=True), ('grant__isnull', False), _connector='OR'), name='accessrequest_in_force_has_grant'),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'denied'), _negated=True), models.Q(models.Q(('reason', ''), _negated=True), ('decided_at__isnull', False)), _connector='OR'), name='accessrequest_denied_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='accessrequest',
            constraint=models.CheckConstraint(condition=models.Q(('purpose', ''), _negated=True), name='accessrequest_has_purpose'),
        ),
        migrations.AddConstraint(
            model_name='accessmail',
            constraint=models.UniqueConstraint(fields=('request', 'message', 'occasion'), name='accessmail_once'),
        ),
    ]
