"""Import of descriptions over REST."""

from dataclasses import asdict

from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets import importing
from datasets.curation import registering
from datasets.errors import InvalidError
from datasets.finding import is_on
from datasets.readers import text_of
from datasets.readers.parsing import LONGEST


class ImportsView(APIView):
    permission_classes = [IsAuthenticated]
    parser_classes = [MultiPartParser, JSONParser]

    def post(self, request: Request) -> Response:
        """Import descriptions as drafts: `record` (a file, or text in JSON), `format` (empty: guessed); `dry_run` only looks.

        Formats: datacite-json, datacite-xml, schema.org, dcat, iso19115, dublin-core. 200 says what became of each record and what of it
        has no place here; 400 lists all that is wrong, and nothing is changed. A record that was imported before changes its draft.
        """
        registering.check_may_register(request.user)
        given = request.data if isinstance(request.data, dict) else {}
        file, record, format_name = request.FILES.get("record"), given.get("record"), given.get("format", "")
        if file is not None:
            record = text_of(file.read(4 * LONGEST + 1))
        if not isinstance(record, str) or not isinstance(format_name, str):
            raise InvalidError(fields={"record": ["Send the record as text, or as a file in this field."]})
        run = importing.preview if is_on(given.get("dry_run")) else importing.import_records
        imported = run(record, user=request.user, format_name=format_name)
        return Response(asdict(imported), status=400 if imported.n_wrong else 200)
