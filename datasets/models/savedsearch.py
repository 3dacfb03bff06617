"""A search that somebody keeps, and whether news of it come by mail."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class SavedSearch(models.Model):
    """`query` is the address' query string, as the results page has it. What was published after `seen_at` is news, and is mailed once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_searches")
    name = models.CharField(max_length=120)
    query = models.TextField(help_text="Such as ?q=sea+ice&subject=Ocean")
    wants_mail = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField(default=timezone.now)
    mailed_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]
        verbose_name_plural = "saved searches"
        constraints = [models.UniqueConstraint(fields=["user", "query"], name="savedsearch_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(wants_mail=True), name="savedsearch_due")]

    def __str__(self) -> str:
        return self.name
