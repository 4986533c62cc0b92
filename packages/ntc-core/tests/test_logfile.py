"""Several processes write one rotating file and lose nothing."""

from __future__ import annotations

import logging
import subprocess
import sys

from ntc_core.logging import SharedRotatingFileHandler

WRITER = """
import logging, sys
from ntc_core.logging import SharedRotatingFileHandler
handler = SharedRotatingFileHandler(sys.argv[1], maxBytes=60, backupCount=500, delay=True)
log = logging.getLogger("writer")
log.addHandler(handler)
for number in range(400):
    log.warning("%s-%03d", sys.argv[2], number)
"""


def test_processes_that_rotate_at_the_same_time_lose_no_line(tmp_path):
    path = tmp_path / "shop.log"

    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stderr=subprocess.PIPE)
        for name in ("a", "b", "c")
    ]
    for writer in writers:
        _, problems = writer.communicate(timeout=60)
        assert (writer.returncode, problems) == (0, b"")

    files = [file for file in tmp_path.iterdir() if not file.name.endswith(".lock")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(files) > 2
    assert sorted(lines) == sorted(
        f"{name}-{number:03d}" for name in ("a", "b", "c") for number in range(400)
    )


def test_one_process_rotates_and_keeps_so_many_files(tmp_path):
    handler = SharedRotatingFileHandler(
        str(tmp_path / "shop.log"), maxBytes=50, backupCount=2, delay=True
    )

    for number in range(20):
        handler.emit(logging.makeLogRecord({"msg": f"line number {number:02d}"}))
    handler.close()

    names = sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".lock")
    assert names == ["shop.log", "shop.log.1", "shop.log.2"]
    assert "line number 19" in (tmp_path / "shop.log").read_text()


def test_a_rotation_another_process_just_did_is_not_done_again(tmp_path):
    path = tmp_path / "shop.log"
    handler = SharedRotatingFileHandler(str(path), maxBytes=50, backupCount=5)
    handler.emit(logging.makeLogRecord({"msg": "first"}))
    path.rename(tmp_path / "shop.log.1")
    path.write_text("of the other process\n")

    handler.doRollover()
    handler.emit(logging.makeLogRecord({"msg": "second"}))
    handler.close()

    assert path.read_text() == "of the other process\nsecond\n"
    assert (tmp_path / "shop.log.1").read_text() == "first\n"
    assert not (tmp_path / "shop.log.2").exists()


def test_a_file_that_was_moved_away_is_opened_again(tmp_path):
    path = tmp_path / "shop.log"
    handler = SharedRotatingFileHandler(str(path), maxBytes=10_000, backupCount=2)

    def write(text):
        handler.emit(logging.makeLogRecord({"msg": text}))

    write("before")
    path.rename(tmp_path / "moved.log")
    write("after")
    handler.close()

    assert path.read_text() == "after\n"
    assert (tmp_path / "moved.log").read_text() == "before\n"
