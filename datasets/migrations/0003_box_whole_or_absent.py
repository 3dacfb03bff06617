"""A box has four sides or none: a half one slipped through, because a comparison with null is not false to a check constraint."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0002_scan_claim_id'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='dataset',
            name='dataset_box_whole_or_absent',
        ),
        migrations.AddConstraint(
            model_name='dataset',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('east', None), ('north', None), ('south', None), ('west', None)), models.Q(('east__isnull', False), ('east__range', (-180, 180)), ('north__gte', models.F('south')), ('north__isnull', False), ('north__range', (-90, 90)), ('south__isnull', False), ('south__range', (-90, 90)), ('west__isnull', False), ('west__range', (-180, 180))), _connector='OR'), name='dataset_box_whole_or_absent', violation_error_message='Give all four sides: longitudes from -180 to 180, latitudes from -90 to 90, south below north.'),
        ),
    ]
