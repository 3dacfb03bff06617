"""ISO 19115-3 XML (mdb 2.0), what geographic catalogues exchange; elements in the order of the schema.

Source: https://schemas.isotc211.org/19115/-3/mdb/2.0/.
"""

import datetime as dt
from xml.etree.ElementTree import Element, register_namespace

from datasets.formats.markup import add, add_path, xml_text
from datasets.formats.record import Device, Record, Related
from datasets.formats.schema_org import conditions

ISO = "http://standards.iso.org/iso/19115/-3/"
NAMESPACES = {
    "mdb": f"{ISO}mdb/2.0",
    "cit": f"{ISO}cit/2.0",
    "gex": f"{ISO}gex/1.0",
    "lan": f"{ISO}lan/1.0",
    "mac": f"{ISO}mac/2.0",
    "mcc": f"{ISO}mcc/1.0",
    "mco": f"{ISO}mco/1.0",
    "mrc": f"{ISO}mrc/2.0",
    "mrd": f"{ISO}mrd/1.0",
    "mri": f"{ISO}mri/1.0",
    "mrl": f"{ISO}mrl/2.0",
    "gco": f"{ISO}gco/1.0",
    "gml": "http://www.opengis.net/gml/3.2",
}
# DataCite's relations in the words of DS_AssociationTypeCode; what it lacks is a cross reference.
ASSOCIATIONS = {
    "IsPartOf": "largerWorkCitation",
    "HasPart": "isComposedOf",
    "IsDerivedFrom": "dependency",
    "Requires": "dependency",
    "IsNewVersionOf": "revisionOf",
    "IsVersionOf": "revisionOf",
    "Continues": "series",
    "IsContinuedBy": "series",
}
CODES = "https://standards.iso.org/iso/19115/resources/Codelists/cat/codelists.xml"

for _prefix, _address in NAMESPACES.items():
    register_namespace(_prefix, _address)


def as_xml(record: Record) -> str:
    return xml_text(as_element(record))


def as_element(record: Record) -> Element:
    root = Element(_name("mdb:MD_Metadata"))
    _text(_path(root, "mdb:metadataIdentifier", "mcc:MD_Identifier"), "mcc:code", record.id)
    locale = _path(root, "mdb:defaultLocale", "lan:PT_Locale")
    _code(_path(locale, "lan:language"), "lan:LanguageCode", "eng")
    _code(_path(locale, "lan:characterEncoding"), "lan:MD_CharacterSetCode", "utf8")
    _code(_path(root, "mdb:metadataScope", "mdb:MD_MetadataScope", "mdb:resourceScope"), "mcc:MD_ScopeCode", "dataset")
    _add_archive(_path(root, "mdb:contact"), record, role="distributor")
    _add_date(_path(root, "mdb:dateInfo"), record.updated_at, "revision")
    standard = _path(root, "mdb:metadataStandard", "cit:CI_Citation")
    _text(standard, "cit:title", "ISO 19115-3")
    _add_online(_path(root, "mdb:metadataLinkage"), record.format_url("iso19115"), "This record", "completeMetadata")
    _add_identification(_path(root, "mdb:identificationInfo", "mri:MD_DataIdentification"), record)
    if record.quantities:
        _add_variables(_path(root, "mdb:contentInfo", "mrc:MD_CoverageDescription"), record)
    _add_distribution(_path(root, "mdb:distributionInfo", "mrd:MD_Distribution"), record)
    if record.provenance or record.source_url or record.source_name:
        _add_lineage(_path(root, "mdb:resourceLineage", "mrl:LI_Lineage"), record)
    if record.instruments or record.platforms:
        _add_acquisition(_path(root, "mdb:acquisitionInformation", "mac:MI_AcquisitionInformation"), record)
    return root


def _add_identification(one: Element, record: Record) -> None:
    citation = _path(one, "mri:citation", "cit:CI_Citation")
    _text(citation, "cit:title", record.title)
    _add_date(_path(citation, "cit:date"), record.published_at, "publication")
    _text(citation, "cit:edition", record.version)
    identifier = _path(citation, "cit:identifier", "mcc:MD_Identifier")
    _text(identifier, "mcc:code", record.doi or record.url)
    if record.doi:
        _text(identifier, "mcc:codeSpace", "doi.org")
    _add_makers(citation, record)
    _text(one, "mri:abstract", record.abstract)
    _add_archive(_path(one, "mri:pointOfContact"), record, role="pointOfContact")
    if record.resolution:
        _tag(_path(one, "mri:temporalResolution"), "gco:TM_PeriodDuration", record.resolution)
    if record.box or record.period or record.places:
        _add_extents(one, record)
    for name in record.formats:
        citation = _path(one, "mri:resourceFormat", "mrd:MD_Format", "mrd:formatSpecificationCitation", "cit:CI_Citation")
        _text(citation, "cit:title", name)
    _add_keywords(one, record)
    _add_constraints(_path(one, "mri:resourceConstraints", "mco:MD_LegalConstraints"), record)
    for related in record.related:
        _add_related(_path(one, "mri:associatedResource", "mri:MD_AssociatedResource"), related)
    locale = _path(one, "mri:defaultLocale", "lan:PT_Locale")
    _code(_path(locale, "lan:language"), "lan:LanguageCode", "eng")
    _code(_path(locale, "lan:characterEncoding"), "lan:MD_CharacterSetCode", "utf8")


def _add_constraints(legal: Element, record: Record) -> None:
    if record.licence:
        reference = _path(legal, "mco:reference", "cit:CI_Citation")
        _text(reference, "cit:title", record.licence)
        if record.licence_url:
            _add_online(_path(reference, "cit:onlineResource"), record.licence_url, record.licence, "information")
    _code(_path(legal, "mco:accessConstraints"), "mco:MD_RestrictionCode", "unrestricted" if record.is_open else "otherRestrictions")
    if record.licence:
        _code(_path(legal, "mco:useConstraints"), "mco:MD_RestrictionCode", "licence")
    _text(legal, "mco:otherConstraints", conditions(record))


def _add_makers(citation: Element, record: Record) -> None:
    for maker in record.makers:
        responsible = _path(citation, "cit:citedResponsibleParty", "cit:CI_Responsibility")
        _code(_path(responsible, "cit:role"), "cit:CI_RoleCode", "author")
        if maker.is_person and maker.other_affiliations:  # a person stands within her organisation
            for at, body in enumerate(maker.other_affiliations):
                organisation = _path(responsible, "cit:party", "cit:CI_Organisation")
                _add_party(organisation, body.name, body.url)
                if at == 0:
                    _add_party(_path(organisation, "cit:individual", "cit:CI_Individual"), maker.name, maker.url)
        else:
            kind = "cit:CI_Individual" if maker.is_person else "cit:CI_Organisation"
            _add_party(_path(responsible, "cit:party", kind), maker.name, maker.url)
    for funding in record.funding:
        responsible = _path(citation, "cit:citedResponsibleParty", "cit:CI_Responsibility")
        _code(_path(responsible, "cit:role"), "cit:CI_RoleCode", "funder")
        _add_party(_path(responsible, "cit:party", "cit:CI_Organisation"), funding.name, funding.url)


def _add_party(party: Element, name: str, url: str) -> None:
    _text(party, "cit:name", name)
    if url:
        _text(_path(party, "cit:partyIdentifier", "mcc:MD_Identifier"), "mcc:code", url)


def _add_keywords(one: Element, record: Record) -> None:
    """The archive's own subjects, then the keywords of each vocabulary with its name."""
    groups: dict[tuple[str, str], list[str]] = {("", ""): list(record.subjects)}
    for keyword in record.keywords:
        groups.setdefault((keyword.scheme_name, keyword.scheme_url), []).append(keyword.value)
    for (scheme, address), words in groups.items():
        if not words:
            continue
        keywords = _path(one, "mri:descriptiveKeywords", "mri:MD_Keywords")
        for word in words:
            _text(keywords, "mri:keyword", word)
        _code(_path(keywords, "mri:type"), "mri:MD_KeywordTypeCode", "theme")
        if scheme:
            thesaurus = _path(keywords, "mri:thesaurusName", "cit:CI_Citation")
            _text(thesaurus, "cit:title", scheme)
            if address:
                _add_online(_path(thesaurus, "cit:onlineResource"), address, scheme, "information")


def _add_related(resource: Element, related: Related) -> None:
    citation = _path(resource, "mri:name", "cit:CI_Citation")
    _text(citation, "cit:title", related.title or related.identifier)
    identifier = _path(citation, "cit:identifier", "mcc:MD_Identifier")
    _text(identifier, "mcc:code", related.identifier)
    _text(identifier, "mcc:codeSpace", related.type)
    if related.url:
        _add_online(_path(citation, "cit:onlineResource"), related.url, related.title or related.identifier, "information")
    _code(_path(resource, "mri:associationType"), "mri:DS_AssociationTypeCode", ASSOCIATIONS.get(related.relation, "crossReference"))


def _add_acquisition(information: Element, record: Record) -> None:
    """Instruments beside platforms: which is on which is not known, so no platform names its own."""
    _code(_path(information, "mac:scope", "mcc:MD_Scope", "mcc:level"), "mcc:MD_ScopeCode", "dataset")
    for device in record.instruments:
        _add_device(_path(information, "mac:instrument", "mac:MI_Instrument"), device, "mac:type")
    for device in record.platforms:
        platform = _path(information, "mac:platform", "mac:MI_Platform")
        _add_device(platform, device, "mac:description")
        _path(platform, "mac:instrument").set(f"{{{NAMESPACES['gco']}}}nilReason", "unknown")


def _add_device(described: Element, device: Device, words: str) -> None:
    _text(_path(described, "mac:identifier", "mcc:MD_Identifier"), "mcc:code", device.url or device.identifier or device.name)
    _text(described, words, device.name)


def _add_extents(one: Element, record: Record) -> None:
    """Named places each in an extent of its own; then the box or point, and the period."""
    for name in record.places:
        _text(_path(one, "mri:extent", "gex:EX_Extent"), "gex:description", name)
    if not record.box and not record.period:
        return
    extent = _path(one, "mri:extent", "gex:EX_Extent")
    if record.box:
        box = _path(extent, "gex:geographicElement", "gex:EX_GeographicBoundingBox")
        west, south, east, north = record.box
        sides = {"westBoundLongitude": west, "eastBoundLongitude": east, "southBoundLatitude": south, "northBoundLatitude": north}
        for name, value in sides.items():
            _tag(_path(box, f"gex:{name}"), "gco:Decimal", f"{value:.10f}".rstrip("0").rstrip("."))
    if record.period:
        period = _path(extent, "gex:temporalElement", "gex:EX_TemporalExtent", "gex:extent", "gml:TimePeriod")
        period.set(_name("gml:id"), "period")
        for name, day in (("gml:beginPosition", record.start), ("gml:endPosition", record.end)):
            side = _tag(period, name, day or "")
            if day is None:
                side.set("indeterminatePosition", "unknown")


def _add_variables(description: Element, record: Record) -> None:
    _tag(_path(description, "mrc:attributeDescription"), "gco:RecordType", "Variables of the files")
    group = _path(description, "mrc:attributeGroup", "mrc:MD_AttributeGroup")
    _code(_path(group, "mrc:contentType"), "mrc:MD_CoverageContentTypeCode", "physicalMeasurement")
    for one in record.quantities:
        sample = _path(group, "mrc:attribute", "mrc:MD_SampleDimension")
        _text(sample, "mrc:description", one.words)
        _text(_path(sample, "mrc:name", "mcc:MD_Identifier"), "mcc:code", one.standard_name or one.name)
        if one.units:
            unit = _path(sample, "mrc:units", "gml:UnitDefinition")
            unit.set(_name("gml:id"), f"unit-{len(group)}")
            _tag(unit, "gml:identifier", one.units, codeSpace="https://www.unidata.ucar.edu/software/udunits/")


def _add_distribution(distribution: Element, record: Record) -> None:
    options = _path(distribution, "mrd:transferOptions", "mrd:MD_DigitalTransferOptions")
    _tag(_path(options, "mrd:transferSize"), "gco:Real", f"{record.size_bytes / 1_000_000:.6f}")  # megabytes, says the standard
    _add_online(_path(options, "mrd:onLine"), record.url, "Landing page", "information")
    for file in record.files or ():
        _add_online(_path(options, "mrd:onLine"), file.url, file.path, "download")


def _add_lineage(lineage: Element, record: Record) -> None:
    if record.provenance:
        _text(lineage, "mrl:statement", record.provenance)
    _code(_path(lineage, "mrl:scope", "mcc:MD_Scope", "mcc:level"), "mcc:MD_ScopeCode", "dataset")
    if record.source_url or record.source_name:
        source = _path(lineage, "mrl:source", "mrl:LI_Source", "mrl:sourceCitation", "cit:CI_Citation")
        _text(source, "cit:title", record.source_name or record.source_url)
        if record.source_url:
            _add_online(_path(source, "cit:onlineResource"), record.source_url, "Source", "information")


def _add_archive(parent: Element, record: Record, *, role: str) -> None:
    responsible = _path(parent, "cit:CI_Responsibility")
    _code(_path(responsible, "cit:role"), "cit:CI_RoleCode", role)
    body = _path(responsible, "cit:party", "cit:CI_Organisation")
    _text(body, "cit:name", record.publisher)
    contact = _path(body, "cit:contactInfo", "cit:CI_Contact", "cit:onlineResource")
    _add_online(contact, f"{record.page_url}ask/", "Ask the steward", "information")


def _add_online(parent: Element, address: str, name: str, function: str) -> None:
    resource = _path(parent, "cit:CI_OnlineResource")
    _text(resource, "cit:linkage", address)
    _text(resource, "cit:protocol", "WWW:LINK-1.0-http--link")
    _text(resource, "cit:name", name)
    _code(_path(resource, "cit:function"), "cit:CI_OnLineFunctionCode", function)


def _add_date(parent: Element, moment: dt.datetime, kind: str) -> None:
    one = _path(parent, "cit:CI_Date")
    _tag(_path(one, "cit:date"), "gco:DateTime", moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    _code(_path(one, "cit:dateType"), "cit:CI_DateTypeCode", kind)


def _name(prefixed: str) -> str:
    prefix, _, name = prefixed.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{name}"


def _path(parent: Element, *names: str) -> Element:
    return add_path(parent, *map(_name, names))


def _tag(parent: Element, name: str, text: object = "", **attributes: str) -> Element:
    return add(parent, _name(name), text, **attributes)


def _text(parent: Element, name: str, text: object) -> None:
    _tag(_path(parent, name), "gco:CharacterString", text)


def _code(parent: Element, name: str, value: str) -> None:
    _tag(parent, name, value, codeList=f"{CODES}#{name.partition(':')[2]}", codeListValue=value)
