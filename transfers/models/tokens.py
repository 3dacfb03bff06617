"""The Globus tokens of people, one row per person and resource server, encrypted at rest. Read and written in `transfers.tokens` only."""

from django.conf import settings
from django.db import models


class GlobusToken(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="globus_tokens")
    resource_server = models.CharField(max_length=100)
    scopes = models.JSONField(default=list)
    access_token_encrypted = models.BinaryField()
    refresh_token_encrypted = models.BinaryField(default=bytes, blank=True)
    expires_at = models.DateTimeField()
    stored_at = models.DateTimeField(auto_now=True)
    released_at = models.DateTimeField(null=True, blank=True, help_text="She signed out; it ends with the last work that needs it.")

    class Meta:
        indexes = [models.Index(fields=["released_at"], condition=models.Q(released_at__isnull=False), name="globustoken_released")]
        constraints = [models.UniqueConstraint(fields=["user", "resource_server"], name="globustoken_one_per_server")]

    def __str__(self) -> str:
        return f"token of {self.user_id} for {self.resource_server}"
