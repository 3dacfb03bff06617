"""What a web process does once it has loaded the site."""

import json
import subprocess
import sys

import pytest

from services.embedded.stack import CHECKOUT

ASKED = """
import gc, json, sys
from portal import wsgi
print(json.dumps({
    "frozen": gc.get_freeze_count(), "searched": len(gc.get_objects()), "threshold": gc.get_threshold()[0], "young": wsgi.YOUNG_OBJECTS,
    "pages": [name for name in ("datasets.curation.pages", "transfers.pages") if name in sys.modules],
}))
"""


@pytest.mark.long
def test_what_the_site_is_made_of_is_loaded_and_left_out_of_the_search_for_garbage():
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pages"] == ["datasets.curation.pages", "transfers.pages"]
    assert told["frozen"] > 20 * told["searched"]
    assert told["threshold"] == told["young"] > 700
