import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tests.daemons import Home
from tests.upstream import UpstreamServer
from umbrella_daemon import doctor
from umbrella_daemon.doctor import backend, examine, installation, machine, model, service
from umbrella_daemon.doctor.finding import Finding, fail, ok
from umbrella_daemon.settings import Settings, SettingsError, load_settings


class Usage(NamedTuple):
    free: int


class Memory(NamedTuple):
    available: int
    total: int


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path, monkeypatch)


def settings(**values: Any) -> Settings:
    return load_settings(values)


async def check_in_vain(_: Settings) -> Finding:
    raise RuntimeError("the cable is loose")


async def check_settings(found: Settings) -> Finding:
    return ok(found.pair)


async def run(load: Callable[[], Settings]) -> dict[str, Finding]:
    return {name: finding async for name, finding in examine(load)}


async def test_a_check_that_breaks_is_a_finding_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (("one", check_in_vain), ("two", check_settings)))
    found = await run(load_settings)
    assert list(found) == ["settings", "one", "two"]
    assert found["one"].level == "fail"
    assert "RuntimeError: the cable is loose" in found["one"].found
    assert found["two"] == ok("scripted")


async def test_bad_settings_are_a_finding_and_the_defaults_are_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (("one", check_settings),))

    def load() -> Settings:
        raise SettingsError("config.toml: pair = 3 is not accepted")

    found = await run(load)
    assert found["settings"].level == "fail"
    assert "pair = 3" in found["settings"].found
    assert found["one"] == ok("auto")


async def test_python_and_umbrella_are_named() -> None:
    assert sys.executable in (await installation.python(Settings())).found
    found = await installation.umbrella(Settings())
    assert found.level == "ok"
    assert "umbrella-lsp" in found.found


async def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    assert (await installation.python(Settings())).level == "fail"


async def test_a_missing_language_server_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for check in (installation.umbrella, installation.language_server):
        found = await check(settings())
        assert (found.level, bool(found.advice)) == ("fail", True)


async def test_torch_that_cannot_be_imported_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = await installation.torch(Settings())
    assert found.level == "fail"
    assert "cannot be imported" in found.found


async def test_a_gpu_that_is_not_there_is_a_failure() -> None:
    wanted = settings(engine={"device": "cuda:77"})
    found = await machine.device(wanted)
    assert found.level == "fail"
    assert "engine.device" in found.found + found.advice


async def test_the_processor_is_described() -> None:
    found = await machine.device(settings(engine={"device": "cpu"}))
    assert found.level in ("ok", "warn")
    assert "bfloat16" in found.found


async def test_attention_on_a_processor_is_said_to_be_torchs_own() -> None:
    found = await machine.attention(settings(engine={"device": "cpu"}))
    assert found == ok("in plain torch, as on every CPU")
    found = await machine.attention(settings(engine={"device": "cpu", "attention": "flash-attn"}))
    assert found.level == "ok"
    assert found.found.endswith('engine.attention = "flash-attn" is for GPUs')


async def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await machine.memory(Settings())).level == "ok"
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(2**28, 2**32))
    found = await machine.memory(Settings())
    assert found.level == "warn"
    assert "0.2 of 4.0 GiB" in found.found


async def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (await machine.disk(settings())).level == "ok"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**20))
    found = await machine.disk(settings())
    assert (found.level, "1 MiB free" in found.found) == ("warn", True)
    (tmp_path / "file").touch()
    found = await machine.disk(settings(models={"directory": str(tmp_path / "file" / "models")}))
    assert found.level == "fail"
    assert "models.directory" in found.advice


async def test_an_unknown_pair_is_a_failure_with_the_known_ones() -> None:
    found = await model.pair(settings(pair="smollm3"))
    assert found.level == "fail"
    assert "smollm2" in found.found
    assert "umbrella models" in found.advice


async def test_weights_that_are_not_here_are_announced_with_their_size() -> None:
    found = await model.weights(settings(pair="smollm2"))
    assert found.level == "warn"
    assert "93 MB" in found.found
    assert "umbrella models get smollm2" in found.advice
    offline = await model.weights(settings(pair="smollm2", models={"offline": True}))
    assert offline.level == "fail"
    assert "models.offline" in offline.found
    assert (await service.completion(settings(pair="smollm2"))).level == "warn"


async def test_weights_that_are_here_are_enough(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    found = await model.weights(settings(pair=str(folder)))
    assert found.level == "ok"


async def test_a_socket_that_others_can_use_is_a_failure(home: Home) -> None:
    assert (await service.socket(home.settings)).level == "ok"
    home.socket.touch()
    home.socket.chmod(0o666)
    assert (await service.socket(home.settings)).level == "fail"


async def test_a_directory_that_others_can_write_to_is_a_warning(home: Home) -> None:
    home.path.chmod(0o777)
    found = await service.socket(home.settings)
    assert found.level == "warn"
    assert f"chmod go-w {home.path}" in found.advice


async def test_no_place_for_a_socket_is_a_failure() -> None:
    found = await service.socket(settings(daemon={"socket": "/tmp/" + "x" * 200}))
    assert found == fail(found.found, "Name another place with the setting daemon.socket.")
    assert "too long" in found.found


async def test_no_daemon_is_no_trouble(home: Home) -> None:
    found = await service.daemon(home.settings)
    assert found.level == "ok"
    assert "not running" in found.found


def elsewhere(server: UpstreamServer, **more: object) -> Settings:
    return settings(backend={"kind": "llama-server", "url": server.url, "retries": 0} | more)


async def test_an_engine_elsewhere_is_asked_and_nothing_of_a_pair_is_looked_at() -> None:
    with UpstreamServer(texts=[service.PREFIX + service.TYPED + "rn side * side\n"]) as server:
        found = await run(lambda: elsewhere(server))
        assert "known.gguf on llama-server" in found["backend"].found
        assert "4096 tokens of context, fills holes" in found["backend"].found
        assert not doctor.RESIDENT & found.keys()
        server.tell(fim=False)
        only_before = await backend.server(elsewhere(server))
        assert only_before.level == "warn"
        assert "backend.fim" in only_before.advice


async def test_an_engine_elsewhere_that_is_down_or_not_allowed_is_told() -> None:
    with UpstreamServer() as server:
        down = elsewhere(server)
    found = await backend.server(down)
    assert found.level == "fail"
    assert "nothing answers there" in found.found
    away = await backend.server(settings(backend={"kind": "openai", "url": "http://192.0.2.1"}))
    assert away.level == "fail"
    assert "backend.allow_remote = true; nothing was sent" in away.found
