"""Addresses of the catalogue's pages."""

from django.urls import path

from datasets import pages
from datasets.access import seeing_pages, terms_pages
from datasets.curation import bin_pages
from datasets.curation import pages as steward_pages
from datasets.description import editing_pages
from datasets.description import pages as description_pages
from datasets.files import pages as file_pages
from datasets.importing import harvest_pages
from datasets.importing import pages as import_pages
from datasets.items import pages as item_pages
from datasets.metadata import oai
from datasets.metadata import pages as machine_pages
from datasets.preservation import damage_pages, location_pages
from datasets.scans import pages as scan_pages
from datasets.search import pages as browsing_pages
from datasets.series import pages as series_pages

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
    path("datasets/<slug:slug>/items/", item_pages.list_items, name="items"),
    path("datasets/<slug:slug>/terms/", terms_pages.show_terms, name="terms"),
    path("terms/", terms_pages.accept, name="accept-terms"),
    path("datasets/<slug:slug>/similar/", browsing_pages.show_similar, name="similar"),
    path("datasets/<slug:slug>/changes/", pages.list_changes, name="changes"),
    path("datasets/<slug:slug>/damage/", damage_pages.show_damage, name="damage"),
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
    path("steward/import/", import_pages.import_records, name="import"),
    path("steward/harvests/", harvest_pages.show_harvests, name="harvests"),
    path("steward/harvests/<int:pk>/", harvest_pages.show_harvest, name="harvest"),
    path("steward/harvests/<int:pk>/<slug:act>/", harvest_pages.act_on_harvest, name="harvest-act"),
    path("steward/table.csv", steward_pages.download_table, name="download-table"),
    path("steward/datasets/<slug:slug>/items/", item_pages.desk, name="item-desk"),
    path("steward/datasets/<slug:slug>/", steward_pages.desk, name="desk"),
    path("steward/series/", series_pages.curate, name="curate-series"),
    path("steward/series/<slug:slug>/", series_pages.desk, name="series-desk"),
    path("steward/series/<slug:slug>/<slug:act>/", series_pages.act, name="series-act"),
    path("steward/people/", seeing_pages.what_she_sees, name="what-she-sees"),
    path("steward/datasets/<slug:slug>/who-can-see/", seeing_pages.who_can_see, name="who-can-see"),
    path("steward/datasets/<slug:slug>/scan-progress/", steward_pages.scan_progress, name="scan-progress"),
    path("steward/datasets/<slug:slug>/describe/", description_pages.describe, name="describe"),
    path("steward/bin/", bin_pages.show_bin, name="bin"),
    path("steward/bin/<slug:slug>/restore/", bin_pages.restore, name="restore"),
    path("steward/datasets/<slug:slug>/preview/", machine_pages.preview, name="preview"),
    path("steward/datasets/<slug:slug>/delete/", bin_pages.delete, name="delete"),
    path("steward/datasets/<slug:slug>/edit-lock/", editing_pages.hold, name="edit-lock"),
    path("steward/datasets/<slug:slug>/autosave/", editing_pages.autosave, name="autosave"),
    path("steward/datasets/<slug:slug>/discard-typed/", editing_pages.discard, name="discard-typed"),
    path("steward/datasets/<slug:slug>/describe/check/", description_pages.check_field, name="check-field"),
    path("steward/datasets/<slug:slug>/describe/suggest/", description_pages.suggest, name="suggest"),
    path("steward/datasets/<slug:slug>/locations/", location_pages.show_locations, name="locations"),
    path("steward/datasets/<slug:slug>/watch/", scan_pages.change_watch, name="watch"),
    path("steward/datasets/<slug:slug>/versions/<int:number>/scan/", scan_pages.scan_version, name="scan-version"),
    path("steward/datasets/<slug:slug>/scans/<int:scan_id>/", scan_pages.show_scan, name="scan"),
    path("steward/datasets/<slug:slug>/scans/<int:scan_id>/<slug:act>/", scan_pages.act_on_scan, name="scan-act"),
    path("steward/datasets/<slug:slug>/<slug:act>/", steward_pages.act, name="desk-act"),
]
