"""Cold files are not asked for: the basket names them and keeps the others."""

import pytest

from datasets.errors import ConflictError
from datasets.files import FileQuery
from datasets.models import Version
from datasets.preservation import locating
from tests.transfers.conftest import everything
from transfers import linking, selecting, sharing


def test_cold_files_are_named_left_out_and_refused(publish, ada, dee, client):
    version = publish()
    locating.set_availability(version.locations.get(), user=dee, is_online=True, cold_folders=["/2020/"])
    version = Version.objects.get(pk=version.pk)
    basket = selecting.open_basket(user=ada, session_key=None)
    chosen = selecting.add_selection(basket, version=version, query=FileQuery(), user=ada)
    client.force_login(ada)
    html = client.get("/basket/").content.decode()
    assert "2 of its files are cold, on tape or away for a time: /2020/. Leave them out, or ask the steward." in html
    with pytest.raises(ConflictError, match="2 of its files are cold"):
        sharing.request_share(user=ada, wanted=everything(version))
    with pytest.raises(ConflictError, match="is cold"):
        linking.file_address(version, "/2020/jan.nc", user=ada)

    assert client.post(f"/basket/{chosen.pk}/change/", {"online": "1"}).status_code == 302
    html = client.get("/basket/").content.decode()
    assert ("Left out" in html, "1 file, " in html, "without /2020/" in html) == (False, True, True)
    review = selecting.review(basket, user=ada)
    request = sharing.request_share(user=ada, wanted=review.wanted)
    assert (request.n_files, request.selections.get().filters) == (1, {"without": ["/2020/"]})
