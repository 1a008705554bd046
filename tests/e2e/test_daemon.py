import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.daemons import Home, ask, until
from umbrella_daemon import __version__, rendezvous, wire
from umbrella_daemon.client import DaemonClient, DaemonError, stop_daemon
from umbrella_daemon.settings import load_settings
from umbrella_daemon.wire import Reason

pytestmark = pytest.mark.e2e

ANSWERS = [{"ends_with": "def ad", "text": "d(a, b):"}]


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    home = Home(tmp_path, monkeypatch)
    home.script(answers=ANSWERS, default="y" * 60, step_ms=50, tokens_per_step=4)
    yield home
    await home.clear_up()
    await stop_daemon(home.settings)


async def connect(home: Home, *, start: bool = True) -> DaemonClient:
    client = await DaemonClient.connect(home.settings, start=start)
    assert (await client.ready()).phase == "ready"
    return client


async def pid(client: DaemonClient) -> int:
    return (await client.status(0)).pid


async def begun(client: DaemonClient, home: Home) -> "asyncio.Task[wire.Completed]":
    """Ask for something long and wait until the daemon has it."""
    task = asyncio.create_task(ask(client, "long = ", document=f"{id(client)}.py"))
    await asyncio.sleep(0)
    await client.status(0)  # answered after the request was taken in
    return task


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def start_another(home: Home, change: str) -> "subprocess.Popen[bytes]":
    """Start a daemon as another release would be: `change` is Python run before it."""
    process = _start_another(change)
    await until(home.socket.exists, "the other daemon's socket")
    return process


def _start_another(change: str) -> "subprocess.Popen[bytes]":
    program = (
        "import umbrella_daemon\n"
        f"{change}\n"
        "from umbrella_daemon.resident.service import run\n"
        "from umbrella_daemon.settings import load_settings\n"
        "raise SystemExit(run(load_settings()))"
    )
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)


OTHER_VERSION = "umbrella_daemon.__version__ = '0.0.1'"
OTHER_PROTOCOL = "import umbrella_daemon.wire as wire; wire.PROTOCOL = 7"


async def test_it_is_started_on_demand_apart_from_the_editor_and_shared(home: Home) -> None:
    first = await connect(home)
    assert (await ask(first)).text == "d(a, b):"
    second = await connect(home)
    assert await pid(first) == await pid(second)
    process = psutil.Process(await pid(first))
    assert os.getsid(process.pid) != os.getsid(0)
    assert process.cwd() == "/"
    assert len((await second.status()).clients) == 2
    await first.close()
    assert (await ask(second)).text == "d(a, b):"
    await second.close()


async def test_nothing_is_imported_from_the_directory_of_the_editor(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported from a project')")
    monkeypatch.chdir(tmp_path)
    client = await connect(home)
    assert (await ask(client)).text == "d(a, b):"
    await client.close()


async def test_many_clients_at_once_get_one_daemon(home: Home) -> None:
    clients = await asyncio.gather(*(connect(home) for _ in range(8)))
    answers = await asyncio.gather(*(ask(client) for client in clients))
    assert [answer.text for answer in answers] == ["d(a, b):"] * 8
    assert len({await pid(client) for client in clients}) == 1
    for client in clients:
        await client.close()
    assert home.log.count("serves at") == 1
    assert home.log.count("another daemon serves") >= 1  # there was a race


async def test_kill_9_in_mid_request_costs_one_answer_each(home: Home) -> None:
    first, second = await connect(home), await connect(home)
    process = psutil.Process(await pid(first))
    tasks = [await begun(first, home), await begun(second, home)]
    process.kill()
    for task in tasks:
        answer = await task
        assert (answer.text, answer.reason) == ("", Reason.DAEMON_LOST)
        assert "the next request restarts it" in answer.detail
    assert home.socket.exists()  # stale, as is its lock
    answers = await asyncio.gather(ask(first), ask(second))
    for client, answer in zip((first, second), answers, strict=True):
        if answer.reason == Reason.LOADING:
            assert (await client.ready()).phase == "ready"
            answer = await ask(client)
        assert answer.text == "d(a, b):"
    assert await pid(first) == await pid(second) != process.pid
    for client in (first, second):
        await client.close()


async def test_sigterm_answers_what_is_open_and_clears_up(home: Home) -> None:
    client = await connect(home)
    process = psutil.Process(await pid(client))
    task = await begun(client, home)
    process.terminate()
    assert (await task).reason == Reason.CANCELLED
    await until(lambda: gone(process), "the daemon's end")
    assert not home.socket.exists()
    assert "stopping: SIGTERM" in home.log
    await client.close()


async def test_a_daemon_stuck_in_loading_still_ends_at_once(home: Home) -> None:
    home.script(load_ms=600_000)
    client = await DaemonClient.connect(home.settings)
    process = psutil.Process(await pid(client))
    assert (await ask(client)).reason == Reason.LOADING
    await client.stop()
    await until(lambda: gone(process), "the daemon's end")


async def test_without_clients_it_ends_by_itself(home: Home) -> None:
    home.set("DAEMON__IDLE_MINUTES", 0.2 / 60)
    client = await connect(home)
    process = psutil.Process(await pid(client))
    await client.close()
    await until(lambda: gone(process), "the daemon's end")
    assert not home.socket.exists()
    assert "no client for" in home.log


async def test_settings_given_here_reach_the_daemon(home: Home) -> None:
    settings = load_settings({"daemon": {"traces": 1}})
    client = await DaemonClient.connect(settings)
    await client.ready()
    for _ in range(3):
        await ask(client)
    status = await client.status()
    assert (status.requests, len(status.traces)) == (3, 1)
    await client.close()


async def test_what_keeps_it_from_starting_is_told(home: Home) -> None:
    home.socket.mkdir()
    with pytest.raises(DaemonError, match=r"(?s)status 2\):\n.*no socket is there; it was kept"):
        await DaemonClient.connect(home.settings)
    home.socket.rmdir()
    config = home.path / "config" / "umbrella" / "config.toml"
    settings = home.settings
    config.parent.mkdir(parents=True)
    config.write_text("[daemon]\nspeed = 1\n")
    with pytest.raises(DaemonError, match=r"config\.toml: there is no setting daemon\.speed"):
        await DaemonClient.connect(settings)
    config.unlink()


@pytest.mark.parametrize("change", [OTHER_VERSION, OTHER_PROTOCOL])
async def test_a_daemon_of_another_release_is_replaced(home: Home, change: str) -> None:
    old = await start_another(home, change)
    client = await connect(home)
    assert (await ask(client)).text == "d(a, b):"
    status = await client.status()
    assert status.version == __version__
    assert status.pid != old.pid
    assert await asyncio.to_thread(old.wait, 20) == 0
    await client.close()


async def test_who_only_looks_replaces_nothing(home: Home) -> None:
    old = await start_another(home, OTHER_VERSION)
    client = await DaemonClient.connect(home.settings, start=False)
    assert (await client.status()).version == "0.0.1"
    await client.close()
    assert await stop_daemon(home.settings)
    assert await asyncio.to_thread(old.wait, 20) == 0


async def test_stopping_works_across_protocols_and_without_a_daemon(home: Home) -> None:
    old = await start_another(home, OTHER_PROTOCOL)
    with pytest.raises(DaemonError, match=r"speaks protocol 7 .*`umbrella stop`"):
        await DaemonClient.connect(home.settings, start=False)
    assert await stop_daemon(home.settings)
    assert await asyncio.to_thread(old.wait, 20) == 0
    assert not await stop_daemon(home.settings)


async def test_two_releases_do_not_replace_each_other_for_ever(home: Home) -> None:
    client = await connect(home)
    await end(await pid(client), home)
    first = await start_another(home, OTHER_VERSION)
    await client.ready()  # replaced it, once
    assert await asyncio.to_thread(first.wait, 20) == 0
    await end(await pid(client), home)
    second = await start_another(home, OTHER_VERSION)
    with pytest.raises(DaemonError, match=r"Umbrella 0\.0\.1 .*restart the older editor"):
        await client.ready()
    assert second.poll() is None
    await client.close()
    assert await stop_daemon(home.settings)
    assert await asyncio.to_thread(second.wait, 20) == 0


async def end(number: int, home: Home) -> None:
    """Send SIGTERM to a daemon and wait until it is gone."""
    process = psutil.Process(number)
    process.terminate()
    await until(lambda: gone(process) and not home.socket.exists(), "the daemon's end")


async def test_an_editor_from_before_an_upgrade_leaves_the_new_daemon_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await start_another(home, "umbrella_daemon.__version__ = '99.0'")
    monkeypatch.setattr(rendezvous, "_installed_version", lambda: "99.0")
    with pytest.raises(DaemonError, match=r"from .* to 99\.0 .*restart the editor"):
        await DaemonClient.connect(home.settings)
    assert new.poll() is None
    assert await stop_daemon(home.settings)
    assert await asyncio.to_thread(new.wait, 20) == 0
