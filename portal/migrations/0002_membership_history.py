"""Since when somebody is in a group, and the memberships that ended."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('portal', '0001_people'),
    ]

    operations = [
        migrations.AddField(
            model_name='groupmembership',
            name='joined_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), default=django.utils.timezone.now, help_text='When the portal first read it'),
        ),
        migrations.CreateModel(
            name='PastMembership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('group_id', models.UUIDField(db_index=True)),
                ('name', models.CharField(blank=True, max_length=300)),
                ('identity_id', models.UUIDField()),
                ('joined_at', models.DateTimeField()),
                ('left_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='past_memberships', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ('-left_at',),
            },
        ),
    ]
