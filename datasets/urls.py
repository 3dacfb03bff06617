"""Addresses of the catalogue's pages."""

from django.urls import path

from datasets import pages, steward_pages

app_name = "datasets"

urlpatterns = [
    path("datasets/", pages.catalogue, name="catalogue"),
    path("datasets/<slug:slug>/", pages.dataset, name="dataset"),
    path("datasets/<slug:slug>/files/", pages.list_files, name="files"),
    path("datasets/<slug:slug>/ask/", pages.ask, name="ask"),
    path("steward/", steward_pages.steward, name="steward"),
    path("steward/register/", steward_pages.register, name="register"),
    path("steward/datasets/<slug:slug>/", steward_pages.desk, name="desk"),
    path("steward/datasets/<slug:slug>/scan-progress/", steward_pages.scan_progress, name="scan-progress"),
    path("steward/datasets/<slug:slug>/<slug:act>/", steward_pages.act, name="desk-act"),
]
