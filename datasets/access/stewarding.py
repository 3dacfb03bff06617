"""The stewards of a dataset: those that it names, and those of its series and of the series above. Where mail to them goes."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from datasets.models import Dataset, PrincipalType, SeriesSteward


def stewards_of(dataset: Dataset) -> QuerySet[Any]:
    """People who signed in here and curate this dataset: by name, through its series, or through a group of these."""
    wanted = Q(stewarded_datasets=dataset)
    if dataset.series is not None:
        held = SeriesSteward.objects.filter(series_id__in=dataset.series.lineage)
        people = held.filter(principal_type=PrincipalType.IDENTITY).values("principal")
        groups = held.filter(principal_type=PrincipalType.GROUP).values("principal")
        wanted |= Q(pk__in=people) | Q(linked_identities__identity_id__in=people) | Q(group_memberships__group_id__in=groups)
    found: QuerySet[Any] = QuerySet(get_user_model())
    return found.filter(wanted).distinct()


def addresses_of(dataset: Dataset) -> set[str]:
    """The mail addresses of its stewards, as far as they are known."""
    return set(stewards_of(dataset).values_list("email", flat=True)) - {""}
