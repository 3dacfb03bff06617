"""A Globus collection that an operator registered: tested, known by name, offered where a steward says where files are."""

from django.conf import settings
from django.db import models


class GlobusCollection(models.Model):
    """One collection. What is asked of Globus (its name, the portal's role there) is kept as it was when last tested."""

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=300)
    folder = models.TextField(default="/", help_text="The folder that was tested")
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    registered_at = models.DateTimeField(auto_now_add=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    is_usable = models.BooleanField(default=False, help_text="Whether every check of the last test passed")
    checks = models.JSONField(default=list, blank=True, help_text="The last test: name, passed, words and remedy of each check")

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name
