"""The inventory: folders, their recursive totals per version, and files with the versions in which they hold.

A file row is valid in version n when `first_version <= n` and `last_version` is null or `>= n`: what did not change is stored once.
Folder totals are sparse likewise: the row with the highest `from_version <= n` holds at n; no row, or one without a digest, means that
the folder holds nothing there. Measured designs and their costs led to these shapes: folders apart from files, names in collation "C".
"""

from django.db import models
from django.db.models import F, Q

from datasets.models.dataset import Dataset


class Folder(models.Model):
    """A folder that some version of the dataset has; `path` starts and ends with `/`."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="folders")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    path = models.TextField(db_collation="C")
    name = models.TextField(db_collation="C", blank=True)
    depth = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "path"], name="folder_path"),
            models.CheckConstraint(
                name="folder_root_has_no_parent", condition=Q(parent=None, path="/", depth=0) | Q(parent__isnull=False, depth__gte=1)
            ),
        ]
        indexes = [models.Index(fields=["parent", "name"], name="folder_children")]

    def __str__(self) -> str:
        return self.path


class FolderState(models.Model):
    """Recursive totals and digest of a folder, from a version on until its next row."""

    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="states")
    from_version = models.PositiveIntegerField()
    n_files = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    digest = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["folder", "from_version"], name="folderstate_from_version", include=["n_files", "size_bytes"]),
            models.CheckConstraint(
                name="folderstate_empty_has_no_digest",
                condition=Q(n_files=0, size_bytes=0, digest=None) | Q(n_files__gt=0, digest__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.folder_id} from {self.from_version}"


class File(models.Model):
    """A file as it is from `first_version` to `last_version`; null: until further notice."""

    # A foreign key is checked row by row, which takes as long as writing the row with its indexes (2.8 us each); triggers of the migration
    # 0031 check a statement at a time (0.2 us a row), with the same locks.
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="files", db_index=False, db_constraint=False)
    name = models.TextField(db_collation="C")
    first_version = models.PositiveIntegerField()
    last_version = models.PositiveIntegerField(null=True)
    size_bytes = models.BigIntegerField()
    sha256 = models.BinaryField(max_length=32, null=True)
    modified_at = models.DateTimeField(null=True)
    format = models.CharField(max_length=40, blank=True)
    collection_path = models.TextField(blank=True, help_text="Where the bytes are, when not at base path + logical path")
    inspected_at = models.DateTimeField(null=True)
    inspection_error = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True, help_text="When its bytes were last to be read again")
    verified_at = models.DateTimeField(null=True, help_text="When they last had the published checksum")

    class Meta:
        constraints = [
            # One row without an end, and one for each end. No second large index: each takes a fifth of what writing a row takes.
            models.UniqueConstraint(fields=["folder", "name", "last_version"], nulls_distinct=False, name="file_last_version"),
            models.CheckConstraint(name="file_versions_in_order", condition=Q(last_version=None) | Q(last_version__gte=F("first_version"))),
            models.CheckConstraint(name="file_size_not_negative", condition=Q(size_bytes__gte=0)),
            models.CheckConstraint(name="file_has_name", condition=~Q(name="") & ~Q(name__contains="/")),
        ]
        indexes = [
            models.Index(fields=["folder"], condition=~Q(collection_path=""), name="file_displaced"),
            # What any two versions differ in is among these rows, and mostly they are few.
            models.Index(fields=["folder"], condition=Q(first_version__gt=1) | Q(last_version__isnull=False), name="file_changed"),
        ]

    def __str__(self) -> str:
        return self.name
