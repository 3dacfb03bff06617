"""The shapes of graphs in the API: one to read, one to write."""

from typing import Any

from rest_framework import serializers

from datasets.models import Dataset, Version
from transfers.analysis.models import AnalysisEvent, AnalysisJob, AnalysisSource
from transfers.analysis.states import ChartKind


class AnalysisSourceSerializer(serializers.ModelSerializer[AnalysisSource]):
    dataset = serializers.CharField(source="version.dataset.slug", read_only=True)
    title = serializers.CharField(source="version.dataset.title", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)

    class Meta:
        model = AnalysisSource
        fields = ["dataset", "title", "version", "variable", "units"]


class AnalysisEventSerializer(serializers.ModelSerializer[AnalysisEvent]):
    class Meta:
        model = AnalysisEvent
        fields = ["at", "old", "new", "note"]


class AnalysisJobSerializer(serializers.ModelSerializer[AnalysisJob]):
    status_words = serializers.CharField(source="get_status_display", read_only=True)
    sources = AnalysisSourceSerializer(many=True, read_only=True)
    events = AnalysisEventSerializer(many=True, read_only=True)
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = AnalysisJob
        fields = [
            "id", "url", "status", "status_words", "created_at", "sources", "kinds", "start_year", "end_year", "parts_done", "parts_total",
            "results", "failures", "failure", "required_scopes", "folder_url", "expires_at", "events",
        ]  # fmt: skip


class WantedSerializer(serializers.Serializer[Any]):
    dataset = serializers.SlugField()
    version = serializers.IntegerField(required=False, min_value=1, help_text="The current version when left out")
    variable = serializers.CharField(required=False, allow_blank=True, max_length=200, help_text="The first variable when left out")


class AnalysisJobWriteSerializer(serializers.Serializer[Any]):
    datasets = WantedSerializer(many=True, allow_empty=False)
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=ChartKind.choices), required=False)
    start_year = serializers.IntegerField(required=False, min_value=0, max_value=9999)
    end_year = serializers.IntegerField(required=False, min_value=0, max_value=9999)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        user = self.context["request"].user
        attrs["wanted"] = [(find_version(user, one["dataset"], one.get("version")), one.get("variable", "")) for one in attrs["datasets"]]
        if ("start_year" in attrs) != ("end_year" in attrs):
            raise serializers.ValidationError({"end_year": "Give both years, or none."})
        attrs["years"] = (attrs["start_year"], attrs["end_year"]) if "start_year" in attrs else None
        return attrs


def find_version(user: Any, slug: str, number: int | None = None) -> Version:
    """A published version among what a person may see, the current one unless said. Raises ValidationError."""
    visible = Dataset.objects.visible_to(user).filter(slug=slug)
    versions = Version.objects.published().filter(dataset__in=visible).select_related("dataset").order_by("-number")
    found = (versions.filter(number=number) if number else versions).first()
    if found is None:
        raise serializers.ValidationError(
            {"datasets": f"There is no published dataset {slug!r}{f' with a version {number}' if number else ''}."}
        )
    return found
