"""Which modules the distribution `localglobus` holds; everything else about it is in `pyproject.toml` beside this file."""

from setuptools import find_namespace_packages, setup  # type: ignore[import-untyped]

WITHIN = ["localglobus*", "dtn*", "embedded*"]
WITHOUT = ["embedded.bench*", "*__pycache__*"]

setup(
    # no `services/__init__.py`: a namespace, so that it stands beside a package of that name in the project that uses it
    packages=[f"services.{name}" for name in find_namespace_packages(include=WITHIN, exclude=WITHOUT)],
    py_modules=["pytest_localglobus"],
    package_dir={"services": ".", "": "fixture"},
    package_data={"": ["*.html", "*.css", "*.js", "*.svg", "*.md"]},
)
