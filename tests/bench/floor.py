"""The floor of an embedded engine: Tantivy over the same titles and abstracts, in its own process, without a server and without facets.

Run by a Python that has the wheel `tantivy`: `python -m tests.bench.floor FOLDER N_DATASETS` makes the index where it is missing, then
answers each line of words with one line: how many are found, how many titles of the best 20 were read, and the seconds until then.
"""

import sys
import time
from pathlib import Path

import tantivy  # type: ignore[import-not-found,unused-ignore]  # installed beside the rivals, not here

from tests.bench.synthesis import describe

TOP = 20
FIELDS = ["title", "abstract"]


def main() -> None:
    index = opened(Path(sys.argv[1]), int(sys.argv[2]))
    searcher = index.searcher()
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        query = index.parse_query(" AND ".join(line.split()), FIELDS)
        found = searcher.search(query, limit=TOP, count=True)
        titles = [searcher.doc(address)["title"] for _, address in found.hits]
        seconds = time.perf_counter() - began
        print(found.count, len(titles), seconds, flush=True)  # type: ignore[attr-defined,unused-ignore]  # not in its stubs


def opened(folder: Path, n_datasets: int) -> "tantivy.Index":
    """The index in a folder, made under another name first, so that what was interrupted is not taken for whole."""
    if folder.exists():
        return tantivy.Index.open(str(folder))
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("title", stored=True, tokenizer_name="en_stem")
    schema.add_text_field("abstract", tokenizer_name="en_stem")
    part = folder.with_suffix(".part")
    part.mkdir()
    writer = tantivy.Index(schema.build(), path=str(part)).writer(heap_size=256_000_000)
    for one in describe(n_datasets):
        writer.add_document(tantivy.Document(title=one.title, abstract=one.abstract))
    writer.commit()
    writer.wait_merging_threads()
    part.rename(folder)
    return tantivy.Index.open(str(folder))


if __name__ == "__main__":
    main()
