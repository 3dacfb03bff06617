from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "People and roles"

    def ready(self) -> None:
        from portal import celery, checks  # noqa: F401  (tasks find their broker; the system checks register)
