"""A small site of django-globus-portal-framework, run by the interpreter of an environment that has it: its search page as it comes.

Its search client is one that has the answer already, so that a page is what the framework makes of it. Reads from the file that its
argument names `{"gmeta": [...], "facet_results": [...], "total": n}`; for each line "N" of its input it makes N pages with Django's test
client and prints the seconds of CPU time that they took.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
from django.conf import settings
from django.test import Client
from django.urls import path

READY: dict[str, Any] = {}
INDEX = "made"


def configure(facets: list[str]) -> None:
    """The settings of its documentation, with sessions in cookies: the cheapest that it can have."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of a bench",
        ROOT_URLCONF=__name__,
        STATIC_URL="/static/",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "globus_portal_framework",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                        "globus_portal_framework.context_processors.globals",
                    ]
                },
            }
        ],
        SEARCH_INDEXES={
            INDEX: {
                "uuid": "00000000-0000-0000-0000-000000000000",
                "name": "Made up",
                "fields": ["title", "abstract", "creators", "formats", "size"],
                "facets": [{"name": name, "field_name": name, "size": 10} for name in facets],
            }
        },
    )


def urlpatterns_of(views: Any, urls: Any) -> list[Any]:
    class Ready(views.generic.SearchView):  # type: ignore[misc]  # of a package that is not installed here
        def get_search_client(self) -> SimpleNamespace:
            return SimpleNamespace(post_search=lambda *_: SimpleNamespace(data=READY))

    return [path("<str:index>/", Ready.as_view(), name="search"), *urls.urlpatterns]


def main() -> None:
    READY.update(json.loads(Path(sys.argv[1]).read_text()))
    configure([facet["name"] for facet in READY["facet_results"]])
    for at, facet in enumerate(READY["facet_results"]):
        facet["name"] = f"facet_def_{at}_{facet['name']}"  # as the framework names what it asks for
    django.setup()
    views = importlib.import_module("globus_portal_framework.views")
    importlib.import_module("globus_portal_framework.views.generic")
    globals()["urlpatterns"] = urlpatterns_of(views, importlib.import_module("globus_portal_framework.urls"))
    client = Client()
    page = client.get(f"/{INDEX}/?q=*").content.decode()
    print(json.dumps({"rows": page.count("search-title"), "labels": page.count("facet-checkbox"), "bytes": len(page)}), flush=True)
    for line in sys.stdin:
        began = time.process_time()
        for _ in range(int(line)):
            client.get(f"/{INDEX}/?q=*")
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
