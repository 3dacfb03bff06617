"""`script/bench transfer`: how fast nodes copy and serve, beside cp, rsync, nginx and GridFTP on the same disk; what the programs cost.

A file's digest is unknown to the source before each run (its time is set anew), so that verifying is part of what is measured.
"""

import os
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from services.embedded.bench import network, rivals
from services.embedded.bench.rows import Row, alone, compared, figure, noted, skipped
from services.embedded.bench.site import BenchError, Site, site_at

MIB = 1 << 20
N_FOLDERS = 10
SMALL_BYTES = 1024


class TransferBench:
    """The rows, in the order in which they are printed."""

    def __init__(self, folder: Path, *, size_bytes: int, n_files: int, runs: int, n_many: int = 0) -> None:
        self._folder = folder
        self._size_bytes = size_bytes
        self._n_files = n_files
        self._runs = runs
        self._n_many = n_many
        self._size_words = f"{size_bytes // MIB} MiB" if size_bytes < 1 << 30 else f"{size_bytes >> 30} GiB"

    def rows(self, *, only: str = "") -> Iterator[Row]:
        with site_at(self._folder / "site") as site:
            bench = site.archive_root / "data/bench"
            write_file(bench / "large", self._size_bytes)
            write_tree(bench / "small", self._n_files)
            for each in (self.large, self.large_and_gridftp, self.small, self.small_and_gridftp, self.many, self.https):
                if only in each.__name__:
                    yield from each(site)
        for other in (self.at_rest, self.through_control, self.network):
            if only in other.__name__:
                yield from other()

    def large(self, site: Site) -> Iterator[Row]:
        source = site.archive_root / "data/bench/large"
        yield compared(
            f"{self._size_words} DTN to DTN, SHA-256 verified, against cp", ours=lambda: self._copy_large(site),
            against=lambda: rivals.copy_file(source, site.folder / "copied"), amount=self._size_bytes / MIB, unit="MiB/s", goal=">=0.35",
            runs=self._runs,
        )  # fmt: skip

    def large_and_gridftp(self, site: Site) -> Iterator[Row]:
        for options, goal, words in (([], ">=0.5", "unverified"), (["-verify-checksum", "-checksum-alg", "SHA256"], ">=1.6", "SHA-256")):
            name = f"{self._size_words} DTN to DTN, SHA-256 verified, against globus-url-copy -fast -p 4, {words}"
            if not has_gridftp():
                yield skipped(name, NO_GRIDFTP, goal=goal, unit="MiB/s")
                continue
            with rivals.gridftp_pair(self._folder / f"gridftp-{words}", folder=self._folder) as pair:
                yield compared(
                    name, ours=lambda: self._copy_large(site), against=self._by_gridftp(site, pair, "large", ["-p", "4", *options]),
                    amount=self._size_bytes / MIB, unit="MiB/s", goal=goal, runs=self._runs,
                )  # fmt: skip

    def small(self, site: Site) -> Iterator[Row]:
        name = f"{self._n_files} files of 1 KiB in {N_FOLDERS} folders, verified, against an rsync daemon"
        if not rivals.is_there("rsync"):
            yield skipped(name, "rsync is not installed", goal=">=0.5", unit="files/s")
            return
        with rivals.rsync_daemon(site.archive_root / "data/bench/small", work=self._folder / "rsync") as address:
            yield compared(
                name, ours=lambda: self._copy_small(site), against=lambda: rivals.pull_by_rsync(address, site.folder / "pulled"),
                amount=self._n_files, unit="files/s", goal=">=0.5", runs=self._runs,
            )  # fmt: skip

    def many(self, site: Site) -> Iterator[Row]:
        """A long task against a short one: files a second must not sink, nor memory grow."""
        name = f"{self._n_many} files of 1 KiB in one task"
        if not self._n_many:
            yield skipped("1000000 files of 1 KiB in one task", "asked for by --million", goal=">=0.8", unit="files/s")
            return
        seconds = [self._copy_small(site) for _ in range(self._runs)]
        short = self._n_files / statistics.median(seconds)
        write_tree(site.archive_root / "data/bench/many", self._n_many)
        long = self._n_many / site.copy("many/", is_folder=True, timeout_s=3600)
        note = f"against {self._n_files} files in one task"
        yield Row(name, figure(long), figure(short), figure(long / short), ">=0.8", "files/s", 1, noted(note))
        for program, who in ((site.globus, "localglobus"), (site.archive, "the source"), (site.campus, "the destination")):
            yield alone(f"{name}: most memory of {who}", [program.memory_mib("VmHWM")], unit="MiB", goal="<300")
        for folder in (site.archive_root / "data/bench/many", site.campus_root / "home/ada/many"):
            shutil.rmtree(folder)

    def small_and_gridftp(self, site: Site) -> Iterator[Row]:
        name = f"{self._n_files} files of 1 KiB in {N_FOLDERS} folders, verified, against globus-url-copy -pp -cc 4"
        if not has_gridftp():
            yield skipped(name, NO_GRIDFTP, goal=">=3", unit="files/s")
            return
        with rivals.gridftp_pair(self._folder / "gridftp-small", folder=self._folder) as pair:
            yield compared(
                name, ours=lambda: self._copy_small(site), against=self._by_gridftp(site, pair, "small/", ["-r", "-cd", "-pp", "-cc", "4"]),
                amount=self._n_files, unit="files/s", goal=">=3", runs=self._runs,
            )  # fmt: skip

    def https(self, site: Site) -> Iterator[Row]:
        name = f"HTTPS GET of {self._size_words} from a DTN, against nginx over TLS"
        missing = [program for program in ("nginx", "curl") if not rivals.is_there(program)]
        if missing:
            yield skipped(name, f"{missing[0]} is not installed", goal=">=0.7", unit="MiB/s")
            return
        state, folder, token = site.folder / "archive.state", site.archive_root / "data/bench", site.https_token()
        with rivals.nginx(
            folder, certificate=state / "node.pem", key=state / "node.key", host="127.0.0.3", work=self._folder / "nginx"
        ) as address:  # fmt: skip
            yield compared(
                name, ours=lambda: rivals.download(site.file_url("large"), ca_file=site.ca_file, token=token),
                against=lambda: rivals.download(f"{address}/large", ca_file=site.ca_file), amount=self._size_bytes / MIB, unit="MiB/s",
                goal=">=0.7", runs=self._runs, note="client: curl, one connection",
            )  # fmt: skip

    def at_rest(self) -> Iterator[Row]:
        memory: dict[str, list[float]] = {"localglobus": [], "DTN": []}
        seconds: dict[str, list[float]] = {"localglobus": [], "DTN": []}
        for number in range(self._runs):
            with site_at(self._folder / f"rest-{number}") as site:
                for name, program in (("localglobus", site.globus), ("DTN", site.archive)):
                    seconds[name].append(program.ready_s)
                    memory[name].append(program.memory_mib())
        for name, resident in memory.items():
            yield alone(f"{name} at rest, resident memory", resident, unit="MiB", goal="<80")
            yield alone(
                f"{name}, start to ready", seconds[name], unit="s", goal="<1", note="the first start, which makes its store and keys"
            )

    def through_control(self) -> Iterator[Row]:
        with site_at(self._folder / "counted", is_counted=True) as site:
            if site.relay is None:
                raise TypeError("a counted site has a relay")
            write_file(site.archive_root / "data/bench/large", self._size_bytes)
            before = site.relay.n_bytes
            site.copy("large", is_folder=False)
            passed = site.relay.n_bytes - before
            note = f"{passed} bytes between localglobus and both nodes, both directions"
            yield alone("bytes through localglobus, of bytes delivered", [100 * passed / self._size_bytes], unit="%", goal="<1", note=note)
            write_tree(site.archive_root / "data/bench/small", self._n_files)
            before = site.relay.n_bytes
            site.copy("small/", is_folder=True)
            each = (site.relay.n_bytes - before) / self._n_files
            note = f"{self._n_files} files of 1 KiB; control keeps name, size and SHA-256 of each: 1 % of files of {each / 10.24:.0f} KiB"
            yield alone("bytes through localglobus a small file", [each], unit="bytes", goal="", note=note)

    def network(self) -> Iterator[Row]:
        clean_mib = self._size_bytes // MIB
        yield from network.rows(self._folder, clean_mib=clean_mib, lossy_mib=64 if clean_mib >= 1024 else 16, runs=self._runs)

    def _copy_large(self, site: Site) -> float:
        os.utime(site.archive_root / "data/bench/large")
        seconds = site.copy("large", is_folder=False)
        (site.campus_root / "home/ada/large").unlink()
        return seconds

    def _copy_small(self, site: Site) -> float:
        for folder in (site.archive_root / "data/bench/small").iterdir():
            for file in folder.iterdir():
                os.utime(file)
        seconds = site.copy("small/", is_folder=True)
        target = site.campus_root / "home/ada/small"
        n_arrived = sum(1 for _ in target.glob("*/*"))
        if n_arrived != self._n_files:
            raise BenchError(f"{n_arrived} of {self._n_files} files arrived")
        shutil.rmtree(target)
        return seconds

    def _by_gridftp(self, site: Site, pair: tuple[str, str], name: str, options: list[str]) -> Callable[[], float]:
        source, target = site.archive_root / "data/bench" / name, self._folder / "by-gridftp"
        end = "/" if name.endswith("/") else ""

        def run() -> float:
            target.mkdir()
            command = ["globus-url-copy", "-q", "-fast", *options, f"{pair[0]}{source}{end}", f"{pair[1]}{target / name}{end}"]
            seconds = rivals.timed(command)
            shutil.rmtree(target)
            return seconds

        return run


NO_GRIDFTP = "globus-url-copy or globus-gridftp-server is not installed"


def has_gridftp() -> bool:
    return rivals.is_there("globus-url-copy") and rivals.is_there("globus-gridftp-server")


def write_file(path: Path, size_bytes: int) -> None:
    """Random bytes, a mebibyte at a time."""
    with path.open("wb") as file:
        for _ in range(0, size_bytes, MIB):
            file.write(os.urandom(MIB))


def write_tree(folder: Path, n_files: int) -> None:
    for number in range(N_FOLDERS):
        below = folder / f"{number}"
        below.mkdir(parents=True)
        for index in range(number, n_files, N_FOLDERS):
            (below / f"{index}.bin").write_bytes(os.urandom(SMALL_BYTES))
