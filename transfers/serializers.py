"""The shapes of requests and selections in the API: one to read, one to write."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers

from datasets.errors import InvalidError
from datasets.files import FileQuery
from datasets.files.filters import NAMES, FileFilter
from datasets.models import Dataset, Version
from transfers import acts, globus, requesting, requirements
from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError, ReauthenticationNeededError
from transfers.models import DataRequest, DataRequestEvent, DataRequestTask, FailedFile, Selection
from transfers.requesting import Wanted
from transfers.states import Kind, Status


class SelectionSerializer(serializers.ModelSerializer[Selection]):
    dataset = serializers.CharField(source="version.dataset.slug", read_only=True)
    title = serializers.CharField(source="version.dataset.title", read_only=True)
    version = serializers.IntegerField(source="version.number", read_only=True)

    class Meta:
        model = Selection
        fields = ["id", "dataset", "title", "version", "folders", "globs", "files", "filters", "n_files", "size_bytes"]


class TaskSerializer(serializers.ModelSerializer[DataRequestTask]):
    activity_url = serializers.SerializerMethodField()

    class Meta:
        model = DataRequestTask
        fields = [
            "sequence", "kind", "status", "task_id", "activity_url", "n_files", "files_done", "bytes_done", "bytes_per_second",
            "faults", "last_fault", "submitted_at", "finished_at",
        ]  # fmt: skip

    def get_activity_url(self, task: DataRequestTask) -> str:
        return globus.activity_link(task.task_id) if task.task_id else ""


class EventSerializer(serializers.ModelSerializer[DataRequestEvent]):
    class Meta:
        model = DataRequestEvent
        fields = ["at", "old", "new", "note"]


class FailedFileSerializer(serializers.ModelSerializer[FailedFile]):
    class Meta:
        model = FailedFile
        fields = ["path", "size_bytes", "reason"]


class DataRequestSerializer(serializers.ModelSerializer[DataRequest]):
    status_words = serializers.CharField(source="get_status_display", read_only=True)
    selections = SelectionSerializer(many=True, read_only=True)
    tasks = TaskSerializer(many=True, read_only=True)
    events = EventSerializer(many=True, read_only=True)
    share = serializers.SerializerMethodField()
    destination = serializers.SerializerMethodField()
    failed_files = serializers.SerializerMethodField()
    acts = serializers.SerializerMethodField()
    page_url = serializers.CharField(source="get_absolute_url", read_only=True)
    requirement = serializers.SerializerMethodField()

    class Meta:
        model = DataRequest
        fields = [
            "id", "kind", "status", "status_words", "created_at", "updated_at", "finished_at", "n_files", "size_bytes", "files_done",
            "bytes_done", "bytes_per_second", "faults", "last_fault", "failure", "required_scopes", "requirement", "selections", "share",
            "destination", "tasks", "failed_files", "events", "acts", "page_url",
        ]  # fmt: skip

    def get_share(self, request: DataRequest) -> dict[str, Any] | None:
        if not request.is_share:
            return None
        share: dict[str, Any] = {
            "variant": request.variant,
            "lifetime_days": request.lifetime_days,
            "expires_at": request.expires_at,
            "extended_count": request.extended_count,
        }
        if request.is_granted and request.collection_id:
            share |= {
                "collection_id": request.collection_id,
                "path": request.granted_path,
                "rule_id": request.rule_id,
                "file_manager_url": globus.file_manager_link(request.collection_id, request.granted_path),
                "https_url": self._https_url(request),
            }
        return share

    def _https_url(self, request: DataRequest) -> str:
        """Empty while Globus does not answer: the rest of the document does not wait for it."""
        try:
            return globus.https_url(request.collection_id or "", request.granted_path)
        except (GlobusUnavailableError, GlobusRefusedError):
            return ""

    def get_destination(self, request: DataRequest) -> dict[str, Any] | None:
        if request.is_share:
            return None
        return {
            "collection_id": request.destination_collection_id,
            "path": request.destination_path,
            "name": request.destination_name,
        }

    def get_failed_files(self, request: DataRequest) -> list[dict[str, Any]]:
        """The first hundred; none of controlled files without a second factor."""
        found = list(FailedFileSerializer(request.failed_files.all()[:100], many=True).data)
        return [] if found and requesting.lacks_second_factor(request, self.context["request"].user) else found

    def get_requirement(self, request: DataRequest) -> dict[str, Any] | None:
        """What it waits for in NEEDS_SIGN_IN, as a GARE document, and the `url` where the person meets it."""
        if request.status != Status.NEEDS_SIGN_IN:
            return None
        error = ReauthenticationNeededError if request.required_session else ConsentNeededError
        return requirements.document(
            code=error.code,
            scopes=request.required_scopes,
            session=request.required_session,
            next_url=request.get_absolute_url(),
            user_id=request.user_id,
        )

    def get_acts(self, request: DataRequest) -> list[str]:
        return acts.possible_acts(request, user=self.context["request"].user)


class DataRequestLineSerializer(serializers.ModelSerializer[DataRequest]):
    """A request in a list."""

    status_words = serializers.CharField(source="get_status_display", read_only=True)

    class Meta:
        model = DataRequest
        fields = [
            "id", "kind", "status", "status_words", "created_at", "updated_at", "expires_at", "n_files", "size_bytes", "files_done",
            "bytes_done",
        ]  # fmt: skip


class WantedSerializer(serializers.Serializer[Wanted]):
    """Files of a version: its folders, globs, files and filters; all empty means the whole version, and no version the current one."""

    dataset = serializers.SlugField()
    version = serializers.IntegerField(required=False, min_value=1)
    folders = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    globs = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    files = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    filters = serializers.DictField(required=False, default=dict)

    def validate_filters(self, value: dict[str, Any]) -> FileFilter:
        """`min_size`, `max_size` (bytes, or with a unit), `modified_from`, `modified_to` (days), `without` (folders)."""
        if unknown := sorted(set(value) - set(NAMES)):
            raise serializers.ValidationError([f"There is no filter {unknown[0]!r}. Filters: {', '.join(NAMES)}."])
        try:
            return FileFilter.read(value)
        except InvalidError as error:
            raise serializers.ValidationError(error.fields) from error

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Name only what the person may see."""
        versions: QuerySet[Version] = Version.objects.published().filter(
            dataset__in=Dataset.objects.visible_to(self.context["request"].user), dataset__slug=attrs["dataset"]
        )
        if "version" in attrs:
            versions = versions.filter(number=attrs["version"])
        found = versions.select_related("dataset").order_by("-number").first()
        if found is None:
            raise serializers.ValidationError({"dataset": ["There is no such dataset or version."]})
        query = FileQuery(tuple(attrs["folders"]), tuple(attrs["globs"]), tuple(attrs["files"]), attrs["filters"] or FileFilter())
        return {"wanted": Wanted(found, query)}


class DestinationWriteSerializer(serializers.Serializer[Any]):
    collection_id = serializers.UUIDField()
    path = serializers.CharField(max_length=4000)
    name = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)


class DataRequestWriteSerializer(serializers.Serializer[DataRequest]):
    kind = serializers.ChoiceField(choices=Kind.choices, default=Kind.SHARE)
    selections = WantedSerializer(many=True, allow_empty=False)
    lifetime_days = serializers.IntegerField(required=False, min_value=1)
    destination = DestinationWriteSerializer(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] == Kind.TRANSFER and "destination" not in attrs:
            raise serializers.ValidationError({"destination": ["Say where to: collection_id and path."]})
        return attrs

    @property
    def wanted(self) -> list[Wanted]:
        return [one["wanted"] for one in self.validated_data["selections"]]

    @property
    def collection_id(self) -> UUID:
        return UUID(str(self.validated_data["destination"]["collection_id"]))
