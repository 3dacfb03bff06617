"""Every address of the site. Pages of the catalogue and of requests are in their apps, the API under /api/v1/."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.http import require_GET, require_POST
from social_django import views as social

from portal import errors, health, pages

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.failed

portal_urls = (
    [
        path("", pages.home, name="home"),
        path("signin/", pages.show_signin, name="signin"),
        path("signin/second-factor/", pages.assure, name="assure"),
        path("signout/", pages.sign_out, name="signout"),
        path("consent/", pages.consent, name="consent"),
        path("profile/", pages.profile, name="profile"),
        path("profile/forget/<str:resource_server>/", pages.forget_consent, name="forget"),
        path("mails/", pages.show_mails, name="mails"),
        path("status/", pages.status, name="status"),
        path("livez", health.livez, name="livez"),
        path("readyz", health.readyz, name="readyz"),
    ],
    "portal",
)

# Sign-in and the way back from Globus; the package's other addresses (linking, unlinking, launching) are not ours.
social_urls = (
    [
        path("login/<str:backend>/", require_POST(social.auth), name="begin"),
        path("complete/<str:backend>/", require_GET(social.complete), name="complete"),
    ],
    "social",
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(portal_urls)),
    path("", include(social_urls)),
    path("", include("datasets.urls")),
    path("", include("transfers.urls")),
    path("", include("transfers.access.urls")),
    path("", include("transfers.analysis.urls")),
    path("api/v1/", include("datasets.api_urls")),
    path("api/v1/", include("transfers.api_urls")),
    path("api/v1/", include("transfers.analysis.api_urls")),
    path("api/v1/", include("transfers.access.api_urls")),
    path("admin/", admin.site.urls),
]
