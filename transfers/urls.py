"""Addresses of the pages of baskets and requests."""

from django.urls import path

from transfers import collection_pages, pages

app_name = "transfers"

urlpatterns = [
    path("datasets/<slug:slug>/versions/<int:number>/https/", pages.open_file, name="https"),
    path("datasets/<slug:slug>/files/measure/", pages.measure, name="measure"),
    path("collections/", collection_pages.list_collections, name="collections"),
    path("collections/<uuid:collection_id>/", collection_pages.show_collection, name="collection"),
    path("basket/", pages.basket, name="basket"),
    path("basket/add/", pages.add_to_basket, name="basket-add"),
    path("basket/<int:selection_id>/change/", pages.change_selection, name="basket-change"),
    path("basket/<int:selection_id>/remove/", pages.remove_selection, name="basket-remove"),
    path("basket/empty/", pages.empty_basket, name="basket-empty"),
    path("requests/", pages.requests, name="requests"),
    path("requests/new/", pages.new_share, name="request-new"),
    path("requests/<uuid:request_id>/", pages.request_page, name="request"),
    path("requests/<uuid:request_id>/manifest.csv", pages.manifest, name="manifest"),
    path("requests/<uuid:request_id>/<slug:act>/", pages.act, name="request-act"),
    path("send/", pages.choose_destination, name="send"),
    path("send/review/", pages.review_transfer, name="send-review"),
    path("send/confirm/", pages.confirm_transfer, name="send-confirm"),
]
