"""Who is at the other end of a Unix socket, as the kernel says.

Both ends ask: a daemon serves its own user only, and a client talks to its own user's daemon only;
the permissions of the socket's directory are not all there is.
"""

import socket
import struct
import sys
from typing import Final, NamedTuple

_UCRED: Final = struct.Struct("3i")  # Linux: pid, uid, gid
# macOS and FreeBSD, <sys/ucred.h>: version, uid, group count, 16 groups
_XUCRED: Final = struct.Struct("=IIh2x16I")
_SOL_LOCAL: Final = 0
_LOCAL_PEERCRED: Final = 1
_LOCAL_PEERPID: Final = 2


class Peer(NamedTuple):
    """The process that connected, or that listens."""

    uid: int
    pid: int


def peer(connection: socket.socket) -> Peer:
    """Ask the kernel who is at the other end; raises OSError where it does not say."""
    if sys.platform == "linux":
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(found)
        return Peer(uid, pid)
    found = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
    uid = _XUCRED.unpack(found)[1]
    return Peer(uid, connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID))
