"""Addresses of the catalogue's pages."""

from django.urls import path

from datasets import (
    browsing_pages,
    description_pages,
    file_pages,
    machine_pages,
    oai,
    pages,
    scan_pages,
    seeing_pages,
    series_pages,
    steward_pages,
    terms_pages,
)

app_name = "datasets"

urlpatterns = [
    path("datasets/", pages.catalogue, name="catalogue"),
    path("datasets/compare/", browsing_pages.compare, name="compare"),
    path("datasets/saved/", browsing_pages.show_saved, name="saved"),
    path("datasets/saved/add/", browsing_pages.save_search, name="save-search"),
    path("datasets/saved/<int:pk>/forget/", browsing_pages.forget_search, name="forget-search"),
    path("datasets/saved/<int:pk>/open/", browsing_pages.open_search, name="open-search"),
    path("datasets/feed.atom", machine_pages.show_feed, name="feed"),
    path("datasets/<slug:slug>/", pages.dataset, name="dataset"),
    path("datasets/<slug:slug>/files/", file_pages.list_files, name="files"),
    path("datasets/<slug:slug>/terms/", terms_pages.show_terms, name="terms"),
    path("terms/", terms_pages.accept, name="accept-terms"),
    path("datasets/<slug:slug>/similar/", browsing_pages.show_similar, name="similar"),
    path("datasets/<slug:slug>/changes/", pages.list_changes, name="changes"),
    path("datasets/<slug:slug>/ask/", pages.ask, name="ask"),
    path("series/", series_pages.show_tree, name="series-tree"),
    path("series/<slug:slug>/", series_pages.show_series, name="series"),
    path("robots.txt", machine_pages.show_robots, name="robots"),
    path("sitemap.xml", machine_pages.show_sitemap_index, name="sitemap-index"),
    path("sitemaps/<int:number>.xml", machine_pages.show_sitemap, name="sitemap"),
    path("oai", oai.answer, name="oai"),
    path("steward/", steward_pages.steward, name="steward"),
    path("steward/register/", steward_pages.register, name="register"),
    path("steward/table/", steward_pages.load_table, name="load-table"),
    path("steward/table.csv", steward_pages.download_table, name="download-table"),
    path("steward/datasets/<slug:slug>/", steward_pages.desk, name="desk"),
    path("steward/series/", series_pages.curate, name="curate-series"),
    path("steward/series/<slug:slug>/", series_pages.desk, name="series-desk"),
    path("steward/series/<slug:slug>/<slug:act>/", series_pages.act, name="series-act"),
    path("steward/people/", seeing_pages.what_she_sees, name="what-she-sees"),
    path("steward/datasets/<slug:slug>/who-can-see/", seeing_pages.who_can_see, name="who-can-see"),
    path("steward/datasets/<slug:slug>/scan-progress/", steward_pages.scan_progress, name="scan-progress"),
    path("steward/datasets/<slug:slug>/describe/", description_pages.describe, name="describe"),
    path("steward/datasets/<slug:slug>/watch/", scan_pages.change_watch, name="watch"),
    path("steward/datasets/<slug:slug>/scans/<int:scan_id>/", scan_pages.show_scan, name="scan"),
    path("steward/datasets/<slug:slug>/scans/<int:scan_id>/<slug:act>/", scan_pages.act_on_scan, name="scan-act"),
    path("steward/datasets/<slug:slug>/<slug:act>/", steward_pages.act, name="desk-act"),
]
