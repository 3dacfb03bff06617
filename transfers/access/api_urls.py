"""Addresses of access requests in the API, with or without a slash at the end."""

from rest_framework.routers import SimpleRouter

from transfers.access.api import AccessRequestViewSet

app_name = "access-api"

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("access-requests", AccessRequestViewSet, basename="request")

urlpatterns = router.urls
