from pathlib import Path

import pytest

from umbrella_daemon.lsp.options import Options, section
from umbrella_daemon.settings import CompletionSettings, Settings


@pytest.fixture(autouse=True)
def _no_user_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def options(complaints: list[str]) -> Options:
    return Options(complaints.append)


@pytest.mark.parametrize("raw", [None, {}, [], "text", {"umbrella": None}])
def test_without_options_the_defaults_hold(
    options: Options, complaints: list[str], raw: object
) -> None:
    options.initialize(raw)
    assert options.settings == Settings()
    assert not complaints


@pytest.mark.parametrize("wrap", [lambda raw: raw, lambda raw: {"umbrella": raw}])
def test_options_bare_or_in_their_section(options: Options, wrap: object) -> None:
    assert callable(wrap)
    options.initialize(wrap({"completion": {"max_lines": 2, "disabled_languages": ["sql"]}}))
    assert options.settings.completion.max_lines == 2
    assert options.settings.completion.disabled_languages == ("sql",)


def test_configuration_lies_above_the_options(options: Options) -> None:
    options.initialize({"completion": {"max_lines": 2, "max_tokens": 9}})
    assert options.configure({"completion": {"max_lines": 3, "max_tokens": None}}) == ()
    assert options.settings.completion == CompletionSettings(max_lines=3, max_tokens=9)
    assert options.configure({}) == ()
    assert options.settings.completion == CompletionSettings(max_lines=2, max_tokens=9)


def test_what_a_running_daemon_does_not_take_over_is_named(options: Options) -> None:
    options.initialize({})
    changed = options.configure({"pair": "smollm2", "engine": {"threads": 3}})
    assert changed == ("pair", "engine")
    assert options.configure({"pair": "smollm2", "engine": {"threads": 3}}) == ()


def test_the_extensions_own_keys_are_left_to_it(options: Options, complaints: list[str]) -> None:
    options.configure({"server": {"path": "/x"}, "trace": {"server": "off"}, "editor": 1})
    assert not complaints


def test_a_bad_value_is_told_once_and_changes_nothing(
    options: Options, complaints: list[str]
) -> None:
    options.initialize({"completion": {"max_lines": 2}})
    for _ in range(2):
        options.configure({"completion": {"max_lines": -1}})
    (complaint,) = complaints
    assert "completion.max_lines" in complaint
    assert "-1" in complaint
    assert options.settings.completion.max_lines == 2
    options.configure({})
    options.configure({"completion": {"max_lines": -1}})
    assert len(complaints) == 2


def test_bad_options_leave_what_the_file_and_the_environment_say(
    options: Options, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBRELLA_DAEMON__SOCKET", "/run/d.sock")
    options.initialize({"completion": {"max_lines": -1}})
    assert len(complaints) == 1
    assert options.settings.daemon.socket == "/run/d.sock"


def test_an_unknown_key_is_told(options: Options, complaints: list[str]) -> None:
    options.initialize({"completion": {"max_linse": 1}})
    assert "did you mean completion.max_lines" in complaints[0]
    assert options.settings == Settings()


def test_section() -> None:
    assert section({"umbrella": {"pair": "x"}, "other": 1}) == {"pair": "x"}
    assert section({"pair": "x"}) == {}
    assert section(None) == {}
