from __future__ import annotations

import errno
import os
import resource
import signal
import stat

import pytest
from tests.ranking.rankings import RANKING

from zoorank.errors import StoreError
from zoorank.partial import write_whole
from zoorank.ranking import Ranking
from zoorank.ranking.files import prepare


def test_both_files_are_written_and_nothing_else(tmp_path):
    paths = RANKING.write(tmp_path / "new" / "out")
    assert sorted(path.name for path in paths[0].parent.iterdir()) == [
        "ranking.csv",
        "ranking.json",
    ]
    assert Ranking.from_json(paths[0]) == RANKING
    assert paths[1].read_text() == RANKING.to_csv()


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "written", b"x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "written")]
    assert modes[0] == modes[1]


def test_a_full_disk_leaves_the_earlier_file_and_no_other(tmp_path, monkeypatch):
    write_whole(tmp_path / "ranking.json", b"earlier")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        StoreError, match=r"no space left in .*: 5 bytes are needed \(No space left on device\)"
    ):
        write_whole(tmp_path / "ranking.json", b"later")
    assert [path.name for path in tmp_path.iterdir()] == ["ranking.json"]
    assert (tmp_path / "ranking.json").read_text() == "earlier"


def test_a_file_size_limit_leaves_the_earlier_file_and_no_other(tmp_path):
    write_whole(tmp_path / "ranking.json", b"earlier")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StoreError, match="File too large"):
            write_whole(tmp_path / "ranking.json", b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["ranking.json"]
    assert (tmp_path / "ranking.json").read_text() == "earlier"


def test_what_a_killed_run_was_writing_is_removed(tmp_path):
    left = tmp_path / ".ranking.json.zoorank-0123456789abcdef.partial"
    for path in (left, tmp_path / "mine.partial"):
        path.write_text("{")
    prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.partial"]


def test_a_directory_that_cannot_be_is_an_error_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write results to .*file"):
        prepare(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot write results to "):
        prepare(tmp_path / "file" / "below")
