"""What the WSGI server loads: `granian --interface wsgi portal.wsgi:application`."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

YOUNG_OBJECTS = 20_000

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
application = get_wsgi_application()
get_resolver().check()  # imports all pages now rather than with the first request
gc.collect()
gc.freeze()  # what the site is made of need not be looked through again: that takes a tenth of a second, every fifty requests
gc.set_threshold(YOUNG_OBJECTS)
