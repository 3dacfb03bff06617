"""The values of all facets, by number: what a dataset's `facet_ids` name, and how many listed datasets have each."""

from django.db import models


class FacetValue(models.Model):
    """A value of a facet. Of the facet `all` there is one value, which every dataset has: its count is the size of the catalogue."""

    ALL = "all"

    id = models.AutoField(primary_key=True)
    facet = models.CharField(max_length=16)
    value = models.TextField(db_collation="C")
    n_datasets = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["facet", "value"], name="facetvalue_once")]
        indexes = [models.Index(fields=["facet", "-n_datasets"], name="facetvalue_most")]

    def __str__(self) -> str:
        return f"{self.facet}: {self.value}"
