"""Addresses of the pages of graphs, quick looks and single files."""

from django.urls import path

from transfers.analysis import file_pages, pages

app_name = "analysis"

urlpatterns = [
    path("datasets/<slug:slug>/versions/<int:number>/file/", file_pages.show_file, name="file"),
    path("datasets/<slug:slug>/versions/<int:number>/file.png", file_pages.show_picture, name="file-picture"),
    path("graphs/", pages.graphs, name="graphs"),
    path("graphs/new/", pages.new_graph, name="graph-new"),
    path("graphs/<uuid:job_id>/", pages.graph_page, name="graph"),
    path("graphs/<uuid:job_id>/<int:number>.svg", pages.graph_chart, name="graph-chart"),
    path("graphs/<uuid:job_id>/<slug:act>/", pages.act, name="graph-act"),
    path("quick-looks/<int:look_id>.svg", pages.quick_look_chart, name="quick-look-chart"),
    path("quick-looks/<slug:slug>/<path:variable>/", pages.quick_look, name="quick-look"),
]
