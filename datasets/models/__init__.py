"""The nouns of the catalogue. `dataset` describes, `version` freezes, `inventory` lists the files, `grant` gives access.

How versions and scans move is written in `moving`.
"""

from datasets.models.damage import Alarm, Damage, DamageKind, LiftedAs
from datasets.models.dataset import AccessPolicy, Classification, Creator, Dataset, ShareVariant, Subject, Variable
from datasets.models.deletion import DeletedRecord
from datasets.models.doi import Doi
from datasets.models.editing import Editing
from datasets.models.event import DatasetEvent
from datasets.models.facetvalue import FacetValue
from datasets.models.globuscollection import GlobusCollection
from datasets.models.grant import Grant
from datasets.models.harvest import Harvest, HarvestedPart, HarvestedRecord, HarvestEvent
from datasets.models.inventory import File, Folder, FolderState
from datasets.models.items import ColumnKind, Item, ItemColumn, ItemFile
from datasets.models.link import Link
from datasets.models.origin import Origin
from datasets.models.principal import PrincipalType
from datasets.models.pushed import PushedRecord
from datasets.models.savedsearch import SavedSearch
from datasets.models.scan import ChangeKind, ListedPart, ScanChange, ScanPurpose, ScanRun
from datasets.models.searchentry import GonePlace, KeptPlaces, SearchEntry
from datasets.models.searchterm import SearchTerm
from datasets.models.series import Series, SeriesEvent, SeriesSteward
from datasets.models.terms import Terms, TermsAcceptance
from datasets.models.version import Location, LocationKind, Version
from datasets.models.vocabulary import Term, Vocabulary, VocabularyUse
from datasets.models.watch import Acceptance, Cadence, FixityCadence, Watch

__all__ = [
    "Acceptance",
    "AccessPolicy",
    "Alarm",
    "Cadence",
    "ChangeKind",
    "Classification",
    "ColumnKind",
    "Creator",
    "Damage",
    "DamageKind",
    "Dataset",
    "DatasetEvent",
    "DeletedRecord",
    "Doi",
    "Editing",
    "FacetValue",
    "File",
    "FixityCadence",
    "Folder",
    "FolderState",
    "GlobusCollection",
    "GonePlace",
    "Grant",
    "Harvest",
    "HarvestEvent",
    "HarvestedPart",
    "HarvestedRecord",
    "Item",
    "ItemColumn",
    "ItemFile",
    "KeptPlaces",
    "LiftedAs",
    "Link",
    "ListedPart",
    "Location",
    "LocationKind",
    "Origin",
    "PrincipalType",
    "PushedRecord",
    "SavedSearch",
    "ScanChange",
    "ScanPurpose",
    "ScanRun",
    "SearchEntry",
    "SearchTerm",
    "Series",
    "SeriesEvent",
    "SeriesSteward",
    "ShareVariant",
    "Subject",
    "Term",
    "Terms",
    "TermsAcceptance",
    "Variable",
    "Version",
    "Vocabulary",
    "VocabularyUse",
    "Watch",
]
