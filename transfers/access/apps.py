"""The app of access requests as Django knows it."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "transfers.access"
    label = "access"
    verbose_name = "Access requests"
    default_auto_field = "django.db.models.BigAutoField"
