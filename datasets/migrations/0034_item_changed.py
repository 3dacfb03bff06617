"""What two versions differ in is looked up among the items that came later than the first version, or ended."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('datasets', '0033_search_entries'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='item',
            index=models.Index(condition=models.Q(('first_version__gt', 1), ('last_version__isnull', False), _connector='OR'), fields=['dataset'], name='item_changed'),
        ),
    ]
