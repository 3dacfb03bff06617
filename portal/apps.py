from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "People and roles"

    def ready(self) -> None:
        from portal import celery, checks  # noqa: F401  (tasks find their broker; the system checks register)


class AdministrationConfig(AdminConfig):
    default_site = "portal.administration.OperatorSite"
