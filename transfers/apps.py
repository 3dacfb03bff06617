"""The transfers app as Django knows it."""

from django.apps import AppConfig


class TransfersConfig(AppConfig):
    name = "transfers"
    verbose_name = "Transfers and shares"
    default_auto_field = "django.db.models.BigAutoField"
