"""Addresses of data requests in the API, with or without a slash at the end."""

from rest_framework.routers import SimpleRouter

from transfers.api import DataRequestViewSet

app_name = "transfers-api"

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("data-requests", DataRequestViewSet, basename="datarequest")

urlpatterns = router.urls
