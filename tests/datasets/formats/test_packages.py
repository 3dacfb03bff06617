"""STAC read and validated by pystac, the RO-Crate by rocrate, Croissant by mlcroissant, ISO 19115-3 by OWSLib."""

import json
import logging

import mlcroissant
import pystac
import pytest
from lxml import etree
from owslib.iso3 import MD_Metadata
from rocrate.rocrate import ROCrate

from datasets.formats import croissant, iso19115, ro_crate, stac
from datasets.formats.markup import clean
from tests.datasets.formats.conftest import RECORDS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of the validators' own insides


def without_extensions(item: dict) -> dict:
    """The schemas of extensions lie on the network, which is closed to tests; pystac's own package reads the extension's fields."""
    return item | {"stac_extensions": []}


def test_stac_collections_validate_where_space_and_time_exist(record):
    assert stac.has_collection(record) == (record.box is not None)
    if stac.has_collection(record):
        pystac.validation.validate_dict(stac.collection(record))
        collection = pystac.Collection.from_dict(stac.collection(record))
        assert collection.extent.spatial.bboxes == [list(record.box)]
        assert bool(collection.get_links("item")) == stac.has_item(record)


def test_stac_items_validate_where_both_ends_are_known(record):
    assert stac.has_item(record) == (record.box is not None and None not in {record.start, record.end})
    if stac.has_item(record):
        pystac.validation.validate_dict(without_extensions(stac.item(record)))
        item = pystac.Item.from_dict(stac.item(record))
        assert item.collection_id == record.slug
        assert len(item.assets) == len(record.files or ())


def test_stac_validation_can_fail(rich):
    broken = without_extensions(stac.item(rich))
    broken["properties"].pop("end_datetime")
    with pytest.raises(pystac.errors.STACValidationError):
        pystac.validation.validate_dict(broken)


def test_stac_names_sizes_and_checksums(rich):
    told = stac.item(rich)["assets"]["ostia/a b.nc"]
    assert told["file:size"] == 1_000
    assert told["file:checksum"] == "1220" + "ab" * 32


def test_a_box_across_the_antimeridian_is_cut():
    geometry = stac.geometry(RECORDS["across the antimeridian"])
    assert geometry["type"] == "MultiPolygon"
    assert [ring[0][0] for ring in geometry["coordinates"]] == [[170.0, -10.0], [-180.0, -10.0]]


def test_the_ro_crate_is_read_with_its_files(record, tmp_path):
    (tmp_path / "ro-crate-metadata.json").write_text(ro_crate.as_json(record))
    crate = ROCrate(str(tmp_path))
    assert crate.name == clean(record.title)
    assert crate.root_dataset["identifier"] == record.identifier
    assert [part.id for part in crate.data_entities] == [file.url for file in record.files or ()]
    named = {one.id for one in crate.get_entities()}
    referenced = {
        value["@id"]
        for entity in json.loads(ro_crate.as_json(record))["@graph"]
        for values in entity.values()
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, dict)
    }
    assert referenced - named == {ro_crate.SPECIFICATION}


def test_croissant_is_accepted_without_an_error(record, caplog):
    with caplog.at_level(logging.ERROR):
        dataset = mlcroissant.Dataset(jsonld=croissant.document(record))
    assert dataset.metadata.ctx.issues.errors == set()
    assert dataset.metadata.name == record.title
    told = [file for file in record.files or () if file.sha256]
    assert [one.content_url for one in dataset.metadata.distribution] == [file.url for file in told]


def test_croissant_validation_can_fail(rich):
    broken = croissant.document(rich)
    broken["distribution"][0].pop("sha256")
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=broken)


def test_iso_19115_3_is_read_by_a_catalogue_client(record):
    found = MD_Metadata(etree.fromstring(iso19115.as_xml(record).encode()))
    [described] = found.identification
    assert found.identifier == record.id
    assert found.hierarchy == "dataset"
    assert described.title == clean(record.title)
    box = described.extent.boundingBox if described.extent else None
    assert (box is not None) == (record.box is not None)
    if record.box:
        assert tuple(float(side) for side in (box.minx, box.miny, box.maxx, box.maxy)) == record.box
    links = [one.url for one in found.distribution.online]
    assert links == [record.url, *(file.url for file in record.files or ())]
