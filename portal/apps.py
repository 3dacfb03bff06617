from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class PortalConfig(AppConfig):
    name = "portal"
    default = True
    verbose_name = "People and roles"

    def ready(self) -> None:
        from portal import celery, checks  # noqa: F401  (tasks find their broker; the system checks register)


class AdministrationConfig(admin_apps.AdminConfig):
    default = False
    default_site = "portal.administration.OperatorSite"
