"""Addresses of data requests in the API, with or without a slash at the end."""

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from transfers import collections_api
from transfers.api import DataRequestViewSet

app_name = "transfers-api"

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("data-requests", DataRequestViewSet, basename="datarequest")

urlpatterns = [
    *router.urls,
    re_path(r"^collections/?$", collections_api.CollectionsView.as_view(), name="collections"),
    re_path(r"^collections/(?P<collection_id>" + ID + r")/?$", collections_api.CollectionView.as_view(), name="collection"),
]
