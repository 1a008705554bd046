import msgspec
import pytest

from tests.daemons import Home
from umbrella_daemon.launch import environment
from umbrella_daemon.settings import Settings, SettingsError, load_settings


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"pair": "smollm2"},
        {"engine": {"device": "cuda:1", "threads": 3}, "draft": {"enabled": False}},
        {"models": {"offline": True, "directory": "/weights"}, "daemon": {"idle_minutes": 2.5}},
        {"prompt": {"prefix_tokens": 77}},
    ],
)
@pytest.mark.usefixtures("home")
def test_a_daemon_started_with_it_has_the_same_settings(overrides: dict[str, object]) -> None:
    settings = load_settings(overrides)
    assert load_settings(environ=environment(settings)) == settings


@pytest.mark.usefixtures("home")
def test_each_window_keeps_its_own_completion_settings() -> None:
    settings = load_settings({"completion": {"max_tokens": 7, "enabled": False}})
    inherited = load_settings(environ=environment(settings))
    assert inherited.completion == Settings().completion


def test_relative_paths_are_made_absolute(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.path)
    settings = load_settings(
        {"pair": "mine.toml", "daemon": {"socket": "d.sock"}, "models": {"directory": "~/w"}}
    )
    found = load_settings(environ=environment(settings))
    assert found.pair == str(home.path / "mine.toml")
    assert found.daemon.socket == str(home.path / "d.sock")
    assert found.models.directory == str(home.path / "w")


def test_settings_of_the_environment_are_left_as_they_are(home: Home) -> None:
    home.set("ENGINE__THREADS", 2)
    assert environment(load_settings())["UMBRELLA_ENGINE__THREADS"] == "2"
    settings = msgspec.structs.replace(load_settings(), engine=Settings().engine)
    assert environment(settings)["UMBRELLA_ENGINE__THREADS"] == "0"


def test_a_broken_settings_file_is_told_before_anything_is_started(home: Home) -> None:
    settings = home.settings
    config = home.path / "config" / "umbrella" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("pair = ")
    with pytest.raises(SettingsError, match=r"config\.toml: not valid TOML"):
        environment(settings)
