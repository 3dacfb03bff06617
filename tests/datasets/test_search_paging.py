from django.contrib.auth.models import AnonymousUser
from django.http import QueryDict

from datasets import search
from datasets.search.query import SearchQuery


def find(asked: str):
    return search.search(SearchQuery.from_parameters(QueryDict(asked)), user=AnonymousUser())


def test_pages_by_key_show_each_dataset_once_in_order(published):
    for number in range(8):
        published(f"wind-{number}", {"/a": "x" * (number % 3 + 1)}, title=f"Wind {number % 4}", abstract="wind " * (number % 5 + 1))
    for sort in ("relevance", "newest", "title", "size"):
        whole = [hit.dataset for hit in find(f"q=wind&sort={sort}").hits]
        seen, cursor = [], ""
        while True:
            results = find(f"q=wind&sort={sort}&limit=3&cursor={cursor}")
            assert results.total == 8
            seen += [hit.dataset for hit in results.hits]
            cursor = results.next_cursor
            if not cursor:
                break
        assert seen == whole
        assert len(set(seen)) == 8
        keys = {"newest": [row.listed_at for row in seen], "size": [row.size_bytes for row in seen], "title": [row.title for row in seen]}
        if sort in keys:
            assert keys[sort] == sorted(keys[sort], reverse=sort != "title")
