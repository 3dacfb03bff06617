import pytest

from services.embedded.archive import DATASETS, archive_files, lay_out_archive, lay_out_campus, year_of


def test_every_dataset_has_its_files_in_a_folder_of_its_own(tmp_path):
    copied = lay_out_archive(tmp_path)
    there = sorted(str(path.relative_to(tmp_path / "data")) for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert copied == len(there) == len({path for _, path in archive_files()})
    assert {path.split("/")[0] for path in there} == set(DATASETS)
    assert "um-sea-ice-velocity/1890/northward_sea_ice_velocity.1890.01.01.00.00.pp" in there
    assert "a1b-north-america/A1B_north_america.nc" in there


def test_second_time_copies_only_what_is_missing_or_cut_short(tmp_path):
    lay_out_archive(tmp_path)
    cut = tmp_path / "data" / "darwin-soi" / "SOI_Darwin.nc"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:100])
    assert lay_out_archive(tmp_path) == 1
    assert cut.read_bytes() == whole


def test_archive_is_a_copy_that_shares_nothing_with_the_packages(tmp_path):
    lay_out_archive(tmp_path)
    source, path = next(archive_files())
    assert (tmp_path / "data" / path).stat().st_ino != source.stat().st_ino


def test_nodes_have_the_folders_that_their_collections_begin_at(tmp_path):
    lay_out_archive(tmp_path / "archive")
    lay_out_campus(tmp_path / "campus")
    assert all((tmp_path / path).is_dir() for path in ("archive/data", "archive/shares", "archive/results", "campus/home/ada"))


@pytest.mark.parametrize(
    ("name", "year"),
    [("x.1890.01.01.00.00.pp", "1890"), ("nemo_1m_20150101-20150201_grid-T.nc", "2015"), ("time_varying_hybrid_height_2160-11.pp", "2160")],
)
def test_year_is_read_from_the_file_name(name, year):
    assert year_of(name) == year
