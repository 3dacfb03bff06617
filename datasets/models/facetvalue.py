"""The values of all facets, by number: what a dataset's `facet_ids` name."""

from django.db import models


class FacetValue(models.Model):
    """A value of a facet."""

    id = models.AutoField(primary_key=True)
    facet = models.CharField(max_length=16)
    value = models.TextField(db_collation="C")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["facet", "value"], name="facetvalue_once")]

    def __str__(self) -> str:
        return f"{self.facet}: {self.value}"
