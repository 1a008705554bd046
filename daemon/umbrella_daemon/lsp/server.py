"""The command `umbrella-lsp`: the language server of one editor window.

A thin process beside each editor; the model lives in the daemon that all of them share. Nothing
here imports torch, so that a window costs tens of megabytes and half a second.
"""

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from umbrella_daemon import __version__
from umbrella_daemon.lsp import transport
from umbrella_daemon.lsp.channel import Channel
from umbrella_daemon.lsp.features import register
from umbrella_daemon.lsp.language_server import UmbrellaServer

logger = logging.getLogger(__name__)

Connect = Callable[[Channel], Awaitable[None]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one editor; give the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # below WARNING every message of the protocol would be formatted
    logging.getLogger("pygls").setLevel(logging.WARNING)
    try:
        return asyncio.run(_serve(_way(options), options.client_pid))
    except OSError as error:
        logger.error("the editor cannot be reached: %s", error)
        return 1
    except KeyboardInterrupt:
        return 130


async def _serve(connect: Connect, client_pid: int | None) -> int:
    server = UmbrellaServer()
    register(server)
    gc.freeze()  # the protocol's classes live for ever; collections need not walk them
    server.watch(client_pid)
    return await server.serve(connect)


def _way(options: argparse.Namespace) -> Connect:
    if options.tcp:
        return partial(transport.one_client, host=options.tcp[0], number=options.tcp[1])
    if options.pipe:
        return partial(transport.unix_socket, path=options.pipe)
    if options.socket:
        return partial(transport.port, number=options.socket)
    source, sink = transport.take_stdio()
    return partial(transport.stdio, source=source, sink=sink)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="umbrella-lsp",
        description="Code completion from a model on this machine, for editors that speak LSP.",
        epilog="Everything else is done by the command `umbrella`.",
        allow_abbrev=False,
    )
    channel = parser.add_mutually_exclusive_group()
    channel.add_argument("--stdio", action="store_true", help="standard input and output (default)")
    channel.add_argument("--pipe", metavar="PATH", help="connect to the editor's Unix socket")
    channel.add_argument(
        "--socket", metavar="PORT", type=int, help="connect to the editor's port on this machine"
    )
    channel.add_argument(
        "--tcp", metavar="HOST:PORT", type=_address, help="wait for one client, for debugging"
    )
    parser.add_argument(
        "--clientProcessId",
        metavar="PID",
        dest="client_pid",
        type=int,
        help="end when this process does",
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=["debug", "info", "warning", "error"],
        help="of the log on standard error; debug also tells the editor each reason (%(default)s)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not transport.is_loopback(host):
        raise argparse.ArgumentTypeError(
            f"{text!r}: it takes HOST:PORT with a host of this machine, as in 127.0.0.1:2087"
        )
    try:
        return host, int(port)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {port!r} is no port number") from None


if __name__ == "__main__":
    sys.exit(main())
