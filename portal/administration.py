"""The admin's site: entered through Globus sign-in only, for operators; it shows the product's own nouns and no password anywhere."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from datasets.addresses import local_or_home, page_of
from portal import signin

OTHERS = ("django.contrib.auth.", "social_django.")  # users here have no passwords, permissions or Django groups
PASSWORD_ROUTES = {"password_change", "password_change_done"}


class OperatorSite(AdminSite):
    site_header = "Causeway administration"
    site_title = "Causeway"
    index_title = "For operators"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """No form: to the portal's sign-in. Somebody signed in who is no operator is refused."""
        if request.user.is_authenticated:
            if self.has_permission(request):
                return redirect(local_or_home(request.GET.get("next")))
            message = f"The administration is for operators. You act as {request.user}."
            raise PermissionDenied(message)
        return redirect(page_of(reverse("portal:signin"), next=local_or_home(request.GET.get("next"))))

    @method_decorator(require_POST)
    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]
        """As everywhere else: the session ends, and the tokens that nothing needs."""
        signin.sign_out(request, is_everywhere=False)
        return redirect("portal:home")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [one for one in super().get_urls() if getattr(one, "name", "") not in PASSWORD_ROUTES]

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models = model_or_iterable if isinstance(model_or_iterable, list | tuple) else [model_or_iterable]
        own = [one for one in models if not one.__module__.startswith(OTHERS)]
        super().register(own, admin_class, **options)
