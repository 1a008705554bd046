"""`python -m umbrella_daemon`: the command `umbrella` where its script is not installed."""

from umbrella_daemon.cli import main

if __name__ == "__main__":
    main(prog_name="umbrella")
