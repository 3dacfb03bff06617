import uuid

import pytest
from django.core.management import CommandError, call_command

from datasets.models import Dataset
from transfers import globus, opening
from transfers.models import ArchiveRule


def test_ingest_registers_a_path_and_takes_only_what_changed(world, dee, capsys):
    slug = f"ingested-{uuid.uuid4().hex[:6]}"
    folder = world.archive / slug / "deep"
    folder.mkdir(parents=True)
    (folder / "one.nc").write_bytes(b"one")
    ask = ["ingest", slug, f"/{slug}/", "--as", dee.username]
    call_command(*ask)
    assert "2 folders, 1 files, 3 bytes; 1 new" in capsys.readouterr().out
    (folder / "two.nc").write_bytes(b"two")
    call_command(*ask)
    assert "1 new, 0 changed, 0 gone" in capsys.readouterr().out
    assert Dataset.objects.get(slug=slug).versions.count() == 1


def test_ingest_says_the_remedy_when_the_portal_lacks_its_role(world, dee):
    with pytest.raises(CommandError, match="globus endpoint role create"):
        call_command("ingest", "campus-files", "/home/ada/", "--as", dee.username, "--collection", str(world.campus_id))


def test_ingest_asks_for_somebody_who_may(db):
    with pytest.raises(CommandError, match="Nobody of the name"):
        call_command("ingest", "x", "/x/", "--as", "nobody")


def test_reconcile_reports_and_repairs_nothing_when_asked(world, publish_real, capsys):
    dataset = publish_real().dataset
    opening.open_dataset(dataset)
    rule = ArchiveRule.objects.get(dataset=dataset)
    globus.remove_rule(rule.collection_id, rule.rule_id)
    call_command("reconcile", "--report-only")
    assert f"missing\t{rule.collection_id}\t{rule.path}\tanonymous\tleft as it is" in capsys.readouterr().out
    assert globus.find_rule(rule.collection_id, path=rule.path, principal_type="anonymous") is None
