"""ISO 19115-3 XML (mdb 2.0), what geographic catalogues exchange; elements in the order of the schema.

Source: https://schemas.isotc211.org/19115/-3/mdb/2.0/.
"""

import datetime as dt
from xml.etree.ElementTree import Element, register_namespace

from datasets.formats.markup import add, add_path, xml_text
from datasets.formats.record import Record
from datasets.formats.schema_org import conditions

ISO = "http://standards.iso.org/iso/19115/-3/"
NAMESPACES = {
    "mdb": f"{ISO}mdb/2.0",
    "cit": f"{ISO}cit/2.0",
    "gex": f"{ISO}gex/1.0",
    "lan": f"{ISO}lan/1.0",
    "mcc": f"{ISO}mcc/1.0",
    "mco": f"{ISO}mco/1.0",
    "mrc": f"{ISO}mrc/2.0",
    "mrd": f"{ISO}mrd/1.0",
    "mri": f"{ISO}mri/1.0",
    "mrl": f"{ISO}mrl/2.0",
    "gco": f"{ISO}gco/1.0",
    "gml": "http://www.opengis.net/gml/3.2",
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
    for maker in record.makers:
        responsible = _path(citation, "cit:citedResponsibleParty", "cit:CI_Responsibility")
        _code(_path(responsible, "cit:role"), "cit:CI_RoleCode", "author")
        party = _path(responsible, "cit:party", "cit:CI_Individual" if maker.is_person else "cit:CI_Organisation")
        _text(party, "cit:name", maker.name)
        if maker.orcid:
            _text(_path(party, "cit:partyIdentifier", "mcc:MD_Identifier"), "mcc:code", maker.orcid_url)
    _text(one, "mri:abstract", record.abstract)
    _add_archive(_path(one, "mri:pointOfContact"), record, role="pointOfContact")
    if record.box or record.period:
        _add_extent(_path(one, "mri:extent", "gex:EX_Extent"), record)
    for name in record.formats:
        citation = _path(one, "mri:resourceFormat", "mrd:MD_Format", "mrd:formatSpecificationCitation", "cit:CI_Citation")
        _text(citation, "cit:title", name)
    if record.subjects:
        keywords = _path(one, "mri:descriptiveKeywords", "mri:MD_Keywords")
        for subject in record.subjects:
            _text(keywords, "mri:keyword", subject)
        _code(_path(keywords, "mri:type"), "mri:MD_KeywordTypeCode", "theme")
    legal = _path(one, "mri:resourceConstraints", "mco:MD_LegalConstraints")
    if record.licence:
        reference = _path(legal, "mco:reference", "cit:CI_Citation")
        _text(reference, "cit:title", record.licence)
        if record.licence_url:
            _add_online(_path(reference, "cit:onlineResource"), record.licence_url, record.licence, "information")
    _code(_path(legal, "mco:accessConstraints"), "mco:MD_RestrictionCode", "unrestricted" if record.is_open else "otherRestrictions")
    if record.licence:
        _code(_path(legal, "mco:useConstraints"), "mco:MD_RestrictionCode", "licence")
    _text(legal, "mco:otherConstraints", conditions(record))
    locale = _path(one, "mri:defaultLocale", "lan:PT_Locale")
    _code(_path(locale, "lan:language"), "lan:LanguageCode", "eng")
    _code(_path(locale, "lan:characterEncoding"), "lan:MD_CharacterSetCode", "utf8")


def _add_extent(extent: Element, record: Record) -> None:
    if record.box:
        box = _path(extent, "gex:geographicElement", "gex:EX_GeographicBoundingBox")
        west, south, east, north = record.box
        sides = {"westBoundLongitude": west, "eastBoundLongitude": east, "southBoundLatitude": south, "northBoundLatitude": north}
        for name, value in sides.items():
            _tag(_path(box, f"gex:{name}"), "gco:Decimal", f"{value:.10g}")
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
