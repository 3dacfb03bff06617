"""The shapes of the catalogue's nouns in the API: one to read and one to write for each."""

from typing import Any

from rest_framework import serializers

from datasets.models import (
    AccessPolicy,
    Alarm,
    Classification,
    Creator,
    Dataset,
    Grant,
    Harvest,
    HarvestedPart,
    HarvestedRecord,
    Location,
    PrincipalType,
    ScanChange,
    ScanRun,
    SeriesSteward,
    ShareVariant,
    Variable,
    Version,
    Watch,
)


class CreatorSerializer(serializers.ModelSerializer[Creator]):
    """A creator; `affiliation` holds the names of `affiliations`, which are `{name, ror}`."""

    affiliation = serializers.CharField(read_only=True)

    class Meta:
        model = Creator
        fields = ["name", "orcid", "ror", "affiliations", "affiliation"]


class VariableSerializer(serializers.ModelSerializer[Variable]):
    class Meta:
        model = Variable
        fields = ["name", "standard_name", "long_name", "units", "dimensions"]


class LocationSerializer(serializers.ModelSerializer[Location]):
    class Meta:
        model = Location
        fields = ["id", "kind", "collection_id", "bucket", "base_path", "is_primary", "is_online", "wait_minutes"]


class CuratedLocationSerializer(LocationSerializer):
    """As its steward reads it: names of folders are not for everybody who may read the description."""

    class Meta(LocationSerializer.Meta):
        fields = [*LocationSerializer.Meta.fields, "cold_folders"]


class VersionSerializer(serializers.ModelSerializer[Version]):
    """A version as it is read; totals belong to its root folder."""

    digest = serializers.CharField(source="digest_hex")
    doi = serializers.SerializerMethodField()
    locations = LocationSerializer(many=True)

    class Meta:
        model = Version
        fields = ["number", "status", "reason", "published_at", "doi", "superseded_at", "withdrawn_at", "withdrawal", "forward_url",
                  "digest", "damaged_at", "damage", "locations"]  # fmt: skip

    def get_doi(self, version: Version) -> dict[str, str] | None:
        """`name`, and `status`: only a registered one leads here."""
        doi = version.own_doi
        return {"name": doi.name, "status": doi.status} if doi else None


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A dataset as it is read."""

    creators = CreatorSerializer(many=True)
    series: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(read_only=True, slug_field="slug")
    subjects: serializers.SlugRelatedField[Any] = serializers.SlugRelatedField(many=True, read_only=True, slug_field="name")
    variables = VariableSerializer(many=True)
    formats = serializers.ListField(source="format_facet")
    bbox = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    point = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = Dataset
        fields = [
            "id",
            "slug",
            "url",
            "title",
            "abstract",
            "licence",
            "access_policy",
            "access_note",
            "classification",
            "embargo_ends_at",
            "share_variant",
            "series",
            "creators",
            "subjects",
            "keywords",
            "variables",
            "instruments",
            "platforms",
            "funders",
            "related",
            "formats",
            "bbox",
            "point",
            "places",
            "temporal_start",
            "temporal_end",
            "temporal_resolution",
            "source_name",
            "source_url",
            "provenance",
            "contact_name",
            "contact",
            "published_at",
            "revision",
            "n_files",
            "size_bytes",
        ]


def _entries(words: str) -> Any:
    """A list of mappings whose parts the verb knows and checks."""
    return serializers.ListField(child=serializers.DictField(), required=False, max_length=2_000, help_text=words)


class DatasetWriteSerializer(serializers.Serializer[Any]):
    """A dataset as it is written; the rules are the verb's."""

    title = serializers.CharField(max_length=300)
    abstract = serializers.CharField(required=False, allow_blank=True)
    licence = serializers.CharField(max_length=60, required=False, allow_blank=True, help_text="SPDX identifier, or LicenseRef- and a name")
    access_policy = serializers.ChoiceField(AccessPolicy.choices, required=False)
    access_note = serializers.CharField(required=False, allow_blank=True)
    classification = serializers.ChoiceField(Classification.choices, required=False)
    embargo_ends_at = serializers.DateTimeField(required=False, allow_null=True)
    share_variant = serializers.ChoiceField(ShareVariant.choices, required=False)
    bbox = serializers.ListField(child=serializers.FloatField(), min_length=4, max_length=4, required=False, allow_null=True)
    point = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2, required=False, allow_null=True)
    places = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    temporal_start = serializers.DateField(required=False, allow_null=True)
    temporal_end = serializers.DateField(required=False, allow_null=True)
    temporal_resolution = serializers.CharField(
        max_length=40, required=False, allow_blank=True, help_text="ISO 8601 duration, such as PT6H"
    )
    contact_name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    contact = serializers.EmailField(required=False, allow_blank=True)
    source_name = serializers.CharField(max_length=300, required=False, allow_blank=True)
    source_url = serializers.URLField(max_length=500, required=False, allow_blank=True)
    provenance = serializers.CharField(required=False, allow_blank=True)
    series = serializers.SlugField(
        max_length=80, required=False, allow_null=True, help_text="Its slug; null takes the dataset out of its series"
    )
    subjects = serializers.ListField(child=serializers.CharField(max_length=120), required=False)
    creators = _entries("name, orcid, ror, affiliations: [{name, ror}], in the order of the citation")
    keywords = _entries("scheme (a loaded vocabulary), value (the path of a term, its label or its identifier)")
    variables = _entries("name, standard_name, long_name, units, dimensions")
    instruments = _entries("name, and scheme (a loaded vocabulary) or identifier (DOI, handle or address)")
    platforms = _entries("name, and scheme (a loaded vocabulary) or identifier (DOI, handle or address)")
    funders = _entries("name, identifier (ROR or Crossref Funder id), award_number, award_title, award_uri")
    related = _entries("relation, type, identifier, resource_type, title; relation, type and resource_type are DataCite's words")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The box or the point as four sides."""
        if attrs.get("point"):
            attrs["bbox"] = [*attrs["point"], *attrs["point"]]
        attrs.pop("point", None)
        if "bbox" in attrs:
            box = attrs.pop("bbox") or [None] * 4
            attrs |= dict(zip(("west", "south", "east", "north"), box, strict=True))
        return attrs


class RegisterSerializer(DatasetWriteSerializer):
    """A new dataset: the same with its slug."""

    slug = serializers.SlugField(max_length=80)


class SeriesChangeSerializer(serializers.Serializer[Any]):
    """What can be changed of a series; `parent` is a slug, null the top of the tree."""

    title = serializers.CharField(max_length=300)
    description = serializers.CharField(required=False, allow_blank=True)
    parent = serializers.SlugField(max_length=80, required=False, allow_null=True)  # type: ignore[assignment]  # declared fields leave the class


class SeriesWriteSerializer(SeriesChangeSerializer):
    """A new series: the same with its slug."""

    slug = serializers.SlugField(max_length=80)


class SeriesStewardSerializer(serializers.ModelSerializer[SeriesSteward]):
    class Meta:
        model = SeriesSteward
        fields = ["id", "principal_type", "principal", "label", "appointed_at"]


class SeriesStewardWriteSerializer(serializers.Serializer[Any]):
    principal_type = serializers.ChoiceField(PrincipalType.choices)
    principal = serializers.UUIDField()
    label = serializers.CharField(max_length=200, required=False, allow_blank=True)  # type: ignore[assignment]  # declared fields leave the class


class LocationWriteSerializer(serializers.Serializer[Any]):
    collection_id = serializers.UUIDField(required=False)
    bucket = serializers.CharField(max_length=200, required=False)
    base_path = serializers.CharField()


class PlaceWriteSerializer(LocationWriteSerializer):
    """Where the bytes of a draft are."""

    closes_others = serializers.BooleanField(
        default=False, help_text="Place it there although other datasets are not read in place any more then"
    )


class NoteWriteSerializer(serializers.Serializer[Any]):
    note = serializers.CharField(default="", allow_blank=True)


class DraftWriteSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(default="", allow_blank=True)


class WithdrawalWriteSerializer(serializers.Serializer[Any]):
    """The verb says what lacks."""

    reason = serializers.CharField(default="", allow_blank=True)
    forward_url = serializers.CharField(default="", allow_blank=True)


class FolderSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    n_files = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    availability = serializers.CharField()


class FileSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    modified_at = serializers.DateTimeField()
    format = serializers.CharField()
    collection_path = serializers.CharField()
    availability = serializers.CharField()


class ScanSerializer(serializers.ModelSerializer[ScanRun]):
    class Meta:
        model = ScanRun
        fields = [
            "id",
            "purpose",
            "status",
            "step",
            "asked_at",
            "started_at",
            "finished_at",
            "n_folders",
            "n_files",
            "size_bytes",
            "n_new",
            "n_changed",
            "n_missing",
            "n_to_inspect",
            "n_inspected",
            "n_unreadable",
            "n_to_check",
            "is_automatic",
            "accepted_at",
            "error",
        ]


class ScanChangeSerializer(serializers.ModelSerializer[ScanChange]):
    """A line of a scan's report; sizes in bytes, null where there is no file."""

    class Meta:
        model = ScanChange
        fields = ["path", "kind", "old_size_bytes", "size_bytes", "old_modified_at", "modified_at"]


class HarvestSerializer(serializers.ModelSerializer[Harvest]):
    """A harvest of another archive: what was asked for, and how far its present run is."""

    set = serializers.CharField(source="set_spec")

    class Meta:
        model = Harvest
        fields = ["id", "base_url", "prefix", "set", "since", "until", "every", "next_at", "status", "repository", "is_dry_run",
                  "asked_at", "started_at", "finished_at", "asked_from", "harvested_until", "n_pages", "n_announced", "n_attempts",
                  "error"]  # fmt: skip


class HarvestWriteSerializer(serializers.Serializer[Any]):
    """What a steward orders; the verb says what is wrong with it."""

    base_url = serializers.CharField(max_length=500)
    prefix = serializers.CharField(default="oai_dc", max_length=20)
    set = serializers.CharField(default="", allow_blank=True, max_length=200)
    since = serializers.CharField(default="", allow_blank=True, max_length=20)
    until = serializers.CharField(default="", allow_blank=True, max_length=20)
    every = serializers.CharField(default="never", max_length=8)
    dry_run = serializers.BooleanField(default=False)


class HarvestCalendarSerializer(serializers.Serializer[Any]):
    every = serializers.CharField(max_length=8)


class HarvestedPartSerializer(serializers.ModelSerializer[HarvestedPart]):
    """A part of records without a place here."""

    class Meta:
        model = HarvestedPart
        fields = ["path", "n_records", "words"]


class HarvestedRecordSerializer(serializers.ModelSerializer[HarvestedRecord]):
    """A line of a harvest's report; `dataset` is the slug of the draft."""

    dataset = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)

    class Meta:
        model = HarvestedRecord
        fields = ["identifier", "datestamp", "act", "title", "dataset", "changed", "unmapped", "wrong"]


class AlarmSerializer(serializers.ModelSerializer[Alarm]):
    """An alarm on a damaged version: `lifted_as` whole, replaced or withdrawn once it is lifted."""

    class Meta:
        model = Alarm
        fields = ["words", "raised_at", "lifted_at", "lifted_as"]


class WatchSerializer(serializers.ModelSerializer[Watch]):
    """How the files of a dataset are watched."""

    class Meta:
        model = Watch
        fields = ["acceptance", "rescan_every", "rescan_due_at", "verify_every", "verify_due_at", "n_to_verify", "n_verified", "n_unread",
                  "last_verified_at", "verify_error"]  # fmt: skip
        read_only_fields = ["rescan_due_at", "verify_due_at", "n_to_verify", "n_verified", "n_unread", "last_verified_at", "verify_error"]


class GrantSerializer(serializers.ModelSerializer[Grant]):
    class Meta:
        model = Grant
        fields = ["id", "principal_type", "principal", "label", "granted_at", "expires_at", "revoked_at", "valid_until"]


class GrantWriteSerializer(serializers.Serializer[Any]):
    principal_type = serializers.ChoiceField(PrincipalType.choices)
    principal = serializers.UUIDField()
    label = serializers.CharField(max_length=200, required=False, allow_blank=True)  # type: ignore[assignment]  # declared fields leave the class
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
