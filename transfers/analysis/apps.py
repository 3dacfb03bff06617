"""The analysis app as Django knows it."""

from django.apps import AppConfig


class AnalysisConfig(AppConfig):
    name = "transfers.analysis"
    label = "analysis"
    verbose_name = "Graphs and quick looks"
    default_auto_field = "django.db.models.BigAutoField"
