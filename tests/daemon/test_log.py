import stat
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, os, sys
from pathlib import Path
from umbrella_daemon.resident import log
log.MAX_BYTES = 2000
log.open_log(Path(sys.argv[1]), "info")
for number in range(40):
    logging.getLogger("umbrella_daemon.x").info("line %d %s", number, "." * 60)
logging.getLogger("umbrella_daemon.x").debug("too much detail")
logging.getLogger("transformers").info("too much of others")
logging.getLogger("transformers").warning("a library warns")
os.write(2, b"a crash speaks to standard error\\n")
"""


def run(path: Path, *, own_stderr: bool) -> str:
    with path.open("ab") as log:
        stderr = subprocess.PIPE if own_stderr else log
        arguments = [sys.executable, "-c", PROGRAM, str(path)]
        return subprocess.run(arguments, stderr=stderr, check=True, text=True).stderr or ""


def test_the_log_is_rotated_and_standard_error_moves_along(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    run(path, own_stderr=False)
    newest = path.read_text()
    assert "INFO umbrella_daemon.x: line 39" in newest
    assert "WARNING transformers: a library warns" in newest
    assert newest.endswith("a crash speaks to standard error\n")
    assert "too much" not in newest
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_size <= 2300


def test_run_by_hand_it_speaks_to_the_terminal_too(tmp_path: Path) -> None:
    spoken = run(tmp_path / "daemon.log", own_stderr=True)
    assert "line 39" in spoken
    assert "line 39" in (tmp_path / "daemon.log").read_text()
