"""Access requests: a researcher asks for the files of a dataset, its stewards decide, and what was given ends by itself."""
