"""Addresses of the catalogue under /api/v1/; the last slash may be left out."""

from django.urls import re_path

from datasets import api
from datasets.access import api as access_api
from datasets.curation import bin_api, waiting_api
from datasets.description import api as editing_api
from datasets.importing import api as import_api
from datasets.importing import harvest_api
from datasets.items import api as items_api
from datasets.metadata import api as metadata_api
from datasets.preservation import api as locations_api
from datasets.scans import api as scans_api
from datasets.series import api as series_api

app_name = "datasets-api"

DATASET = r"^datasets/(?P<slug>[a-z0-9-]+)"
SERIES = r"^series/(?P<slug>[a-z0-9-]+)"
VERSION = DATASET + r"/versions/(?P<number>[0-9]{1,9})"
LOCATION = VERSION + r"/locations/(?P<location_id>[0-9]{1,18})"
HARVEST = r"^harvests/(?P<harvest_id>[0-9]{1,18})"
SCAN = VERSION + r"/scans/(?P<scan_id>[0-9]{1,18})"

urlpatterns = [
    re_path(r"^datasets/?$", api.DatasetsView.as_view(), name="datasets"),
    re_path(r"^imports/?$", import_api.ImportsView.as_view(), name="imports"),
    re_path(r"^harvests/?$", harvest_api.HarvestsView.as_view(), name="harvests"),
    re_path(HARVEST + r"/?$", harvest_api.HarvestView.as_view(), name="harvest"),
    re_path(HARVEST + r"/records/?$", harvest_api.HarvestRecordsView.as_view(), name="harvest-records"),
    re_path(HARVEST + r"/unmapped/?$", harvest_api.HarvestPartsView.as_view(), name="harvest-parts"),
    re_path(
        HARVEST + r"/(?P<act>pause|resume|cancel|retry|again|anew|look|import)/?$", harvest_api.HarvestActView.as_view(), name="harvest-act"
    ),
    re_path(r"^series/?$", series_api.SeriesListView.as_view(), name="series-list"),
    re_path(SERIES + r"/?$", series_api.SeriesView.as_view(), name="series"),
    re_path(SERIES + r"/stewards/?$", series_api.SeriesStewardsView.as_view(), name="series-stewards"),
    re_path(SERIES + r"/stewards/(?P<steward_id>[0-9]{1,18})/?$", series_api.SeriesStewardView.as_view(), name="series-steward"),
    re_path(r"^suggestions/?$", api.SuggestionsView.as_view(), name="suggestions"),
    re_path(DATASET + r"/?$", api.DatasetView.as_view(), name="dataset"),
    re_path(r"^waiting/?$", waiting_api.WaitingView.as_view(), name="waiting"),
    re_path(r"^deleted-datasets/?$", bin_api.BinView.as_view(), name="bin"),
    re_path(r"^deleted-datasets/(?P<slug>[a-z0-9-]+)/restoration/?$", bin_api.RestorationView.as_view(), name="restoration"),
    re_path(r"^discarded-drafts/?$", bin_api.DiscardedDraftsView.as_view(), name="discarded-drafts"),
    re_path(DATASET + r"/discarded-draft/?$", bin_api.DiscardedDraftView.as_view(), name="discarded-draft"),
    re_path(DATASET + r"/discarded-draft/restoration/?$", bin_api.DraftRestorationView.as_view(), name="draft-restoration"),
    re_path(DATASET + r"/preview/?$", metadata_api.PreviewView.as_view(), name="preview"),
    re_path(DATASET + r"/edit-lock/?$", editing_api.EditLockView.as_view(), name="edit-lock"),
    re_path(DATASET + r"/versions/?$", api.VersionsView.as_view(), name="versions"),
    re_path(VERSION + r"/?$", api.VersionView.as_view(), name="version"),
    re_path(VERSION + r"/files/?$", api.FilesView.as_view(), name="files"),
    re_path(VERSION + r"/changes/?$", api.ChangesView.as_view(), name="changes"),
    re_path(VERSION + r"/manifest/?$", api.ManifestView.as_view(), name="manifest"),
    re_path(VERSION + r"/items/?$", items_api.ItemsView.as_view(), name="items"),
    re_path(VERSION + r"/item-columns/?$", items_api.ItemColumnsView.as_view(), name="item-columns"),
    re_path(VERSION + r"/location/?$", api.LocationView.as_view(), name="location"),
    re_path(VERSION + r"/scans/?$", api.ScansView.as_view(), name="scans"),
    re_path(SCAN + r"/?$", scans_api.ScanView.as_view(), name="scan"),
    re_path(SCAN + r"/changes/?$", scans_api.ScanChangesView.as_view(), name="scan-changes"),
    re_path(SCAN + r"/(?P<act>pause|resume|cancel|accept|discard|retry)/?$", scans_api.ScanActView.as_view(), name="scan-act"),
    re_path(VERSION + r"/locations/?$", locations_api.LocationsView.as_view(), name="locations"),
    re_path(LOCATION + r"/?$", locations_api.OneLocationView.as_view(), name="one-location"),
    re_path(LOCATION + r"/move/?$", locations_api.MoveView.as_view(), name="move-location"),
    re_path(VERSION + r"/damage/?$", locations_api.DamageView.as_view(), name="damage"),
    re_path(DATASET + r"/watch/?$", locations_api.WatchView.as_view(), name="watch"),
    re_path(VERSION + r"/checks/?$", api.ChecksView.as_view(), name="checks"),
    re_path(VERSION + r"/review/?$", api.ReviewView.as_view(), name="review"),
    re_path(VERSION + r"/doi/?$", api.DoiView.as_view(), name="doi"),
    re_path(VERSION + r"/withdrawal/?$", api.WithdrawalView.as_view(), name="withdrawal"),
    re_path(VERSION + r"/publication/?$", api.PublicationView.as_view(), name="publication"),
    re_path(DATASET + r"/terms/?$", access_api.TermsView.as_view(), name="terms"),
    re_path(DATASET + r"/terms/(?P<number>[0-9]{1,9})/acceptance/?$", access_api.AcceptanceView.as_view(), name="acceptance"),
    re_path(DATASET + r"/who-can-see/?$", access_api.WhoCanSeeView.as_view(), name="who-can-see"),
    re_path(r"^people/(?P<identity_id>[0-9a-f-]{36})/can-see/?$", access_api.WhatSheSeesView.as_view(), name="what-she-sees"),
    re_path(DATASET + r"/grants/?$", api.GrantsView.as_view(), name="grants"),
    re_path(DATASET + r"/grants/(?P<grant_id>[0-9]{1,18})/?$", api.GrantView.as_view(), name="grant"),
]
