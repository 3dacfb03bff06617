"""Addresses of graphs and previews in the API, with or without a slash at the end."""

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from transfers.analysis.api import GraphViewSet
from transfers.analysis.preview_api import PreviewView

app_name = "analysis-api"

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("graphs", GraphViewSet, basename="graph")

PREVIEW = r"^datasets/(?P<slug>[a-z0-9-]+)/versions/(?P<number>[0-9]{1,9})/preview/?$"
urlpatterns = [*router.urls, re_path(PREVIEW, PreviewView.as_view(), name="preview")]
