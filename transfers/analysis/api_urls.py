"""Addresses of graphs in the API, with or without a slash at the end."""

from rest_framework.routers import SimpleRouter

from transfers.analysis.api import GraphViewSet

app_name = "analysis-api"

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("graphs", GraphViewSet, basename="graph")

urlpatterns = router.urls
