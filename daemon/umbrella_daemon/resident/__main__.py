"""`python -m umbrella_daemon.resident`: the process, told by settings and environment."""

import faulthandler
import logging
import os
import sys

from umbrella_daemon.resident.service import run
from umbrella_daemon.settings import SettingsError, load_settings


def main() -> int:
    """Run the daemon; gives its exit status."""
    faulthandler.enable()
    # Spinning OpenMP threads steal the cores they wait for as soon as anything else runs: steps of
    # 50 ms then take seconds now and then (NOTES.md). Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return run(load_settings())
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    # A download that is under way has threads that the interpreter would wait for at its end.
    os._exit(status)
