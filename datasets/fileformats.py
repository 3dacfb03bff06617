"""File formats by the end of the name. What a header says (an inspection) fills in where the name says nothing."""

BY_EXTENSION = {
    "nc": "NetCDF",
    "nc4": "NetCDF",
    "cdf": "NetCDF",
    "h5": "HDF5",
    "hdf5": "HDF5",
    "zarr": "Zarr",
    "csv": "CSV",
    "grib": "GRIB",
    "grb": "GRIB",
    "grib2": "GRIB2",
    "grb2": "GRIB2",
    "pp": "Met Office PP",
    "ff": "Met Office fields file",
    "tif": "GeoTIFF",
    "tiff": "GeoTIFF",
    "json": "JSON",
    "txt": "Text",
    "md": "Text",
    "pdf": "PDF",
    "parquet": "Parquet",
}


def format_of(name: str) -> str:
    """The format that the name suggests; blank when it suggests none."""
    _, dot, extension = name.rpartition(".")
    return (BY_EXTENSION.get(extension) or BY_EXTENSION.get(extension.lower(), "")) if dot else ""
