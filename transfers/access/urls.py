"""Addresses of the pages of access requests."""

from django.urls import path

from transfers.access import pages

app_name = "access"

urlpatterns = [
    path("datasets/<slug:slug>/request-access/", pages.ask, name="ask"),
    path("access-requests/", pages.own_requests, name="requests"),
    path("access-requests/<uuid:request_id>/", pages.show_request, name="request"),
    path("access-requests/<uuid:request_id>/<slug:act>/", pages.act, name="act"),
    path("steward/access-requests/", pages.queue, name="queue"),
]
