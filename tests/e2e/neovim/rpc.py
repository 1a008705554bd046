"""MessagePack-RPC with a child process over its pipes: Neovim's API, as its manual describes it.

One thread; each call has a deadline, and notifications wait until they are asked for.
"""

import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgpack

DEADLINE_SECONDS: Final = 20.0
REQUEST, RESPONSE, NOTIFICATION = range(3)

Notification = tuple[str, list[Any]]


class Rpc:
    """Calls functions of a child and takes its notifications."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._unpacker = msgpack.Unpacker(strict_map_key=False)
        self._notifications: deque[Notification] = deque()
        self._number = 0

    def call(self, method: str, *arguments: object) -> Any:
        """Give what a function returns; raises RuntimeError with its message."""
        self._number += 1
        number = self._number
        self._send([REQUEST, number, method, arguments])
        while True:
            kind, *message = self._receive()
            if kind == NOTIFICATION:
                self._notifications.append((message[0], message[1]))
            elif kind == RESPONSE and message[0] == number:
                if message[1]:
                    raise RuntimeError(message[1][1])
                return message[2]

    def notify(self, method: str, *arguments: object) -> None:
        """Call a function without waiting for it."""
        self._send([NOTIFICATION, method, arguments])

    def notification(self) -> Notification:
        """Give the next notification: its name and its arguments."""
        while not self._notifications:
            kind, *message = self._receive()
            if kind == NOTIFICATION:
                self._notifications.append((message[0], message[1]))
        return self._notifications.popleft()

    def close(self) -> None:
        """Wait for the child to leave, which it was told before."""
        try:
            self._process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def _send(self, message: list[object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgpack.packb(message))
        self._process.stdin.flush()

    def _receive(self) -> list[Any]:
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            for message in self._unpacker:
                return list(message)
            remaining = max(0.0, deadline - time.monotonic())
            if not select.select([source], [], [], remaining)[0]:
                raise TimeoutError(f"Neovim says nothing within {DEADLINE_SECONDS} s")
            data = os.read(source, 2**16)
            if not data:
                raise ConnectionError("Neovim has ended")
            self._unpacker.feed(data)
