import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbrella_daemon.layers import accepted, keys, nested
from umbrella_daemon.settings import Settings, SettingsError, load_settings

DEFAULT_TOML = Path(__file__).parents[2] / "configs" / "default.toml"


@pytest.fixture(autouse=True)
def _no_user_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def load(environ: dict[str, str] | None = None) -> Settings:
    return load_settings(environ=environ or {})


def test_default_toml_lists_every_key_with_its_default() -> None:
    listed = tomllib.loads(DEFAULT_TOML.read_text())
    assert listed == msgspec.to_builtins(Settings()) | {
        "completion": msgspec.to_builtins(Settings().completion)
        | {"disabled_languages": [], "disabled_globs": [], "context_off": []}
    }


def test_default_toml_loads_as_the_defaults() -> None:
    assert load_settings(path=DEFAULT_TOML, environ={}) == Settings()


def test_every_key_of_default_toml_has_a_comment() -> None:
    lines = DEFAULT_TOML.read_text().splitlines()
    uncommented = [line for line in lines if "=" in line.split("#")[0] and "#" not in line]
    assert uncommented == ['pair = "auto"', "enabled = true"]  # explained by the lines above them


def test_without_any_source_the_defaults_hold() -> None:
    assert load() == Settings()


def test_later_sources_win(tmp_path: Path) -> None:
    path = tmp_path / "umbrella.toml"
    path.write_text("[completion]\nmax_tokens = 10\nmax_lines = 2\nenabled = false\n")
    settings = load_settings(
        {"completion": {"max_tokens": 30}},
        path=path,
        environ={
            "UMBRELLA_COMPLETION__MAX_TOKENS": "20",
            "UMBRELLA_COMPLETION__MAX_LINES": "3",
            "UMBRELLA_PAIR": "smollm2",
        },
    )
    assert settings.completion.max_tokens == 30
    assert settings.completion.max_lines == 3
    assert settings.completion.enabled is False
    assert settings.pair == "smollm2"


def test_text_is_converted_to_the_type_of_the_key() -> None:
    settings = load(
        {
            "UMBRELLA_COMPLETION__ENABLED": "false",
            "UMBRELLA_COMPLETION__MAX_TOKENS": "12",
            "UMBRELLA_COMPLETION__DISABLED_LANGUAGES": "markdown, plaintext,",
            "UMBRELLA_DAEMON__IDLE_MINUTES": "1.5",
            "UMBRELLA_ENGINE__DEVICE": "cuda:1",
        }
    )
    assert settings.completion.enabled is False
    assert settings.completion.max_tokens == 12
    assert settings.completion.disabled_languages == ("markdown", "plaintext")
    assert settings.daemon.idle_minutes == 1.5
    assert settings.engine.device == "cuda:1"


def test_null_from_an_editor_leaves_the_value() -> None:
    overrides = {"pair": None, "completion": {"max_tokens": None, "max_lines": 1}}
    settings = load_settings(overrides, environ={})
    assert settings.pair == "auto"
    assert settings.completion.max_tokens == 64
    assert settings.completion.max_lines == 1


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("[engine]\ndtype = 'fp16'\n", ["engine.dtype", '"fp16"', '"bfloat16"']),
        ("[engine]\ndevice = 'gpu'\n", ["engine.device", '"gpu"', '"cuda:1"']),
        ("[completion]\nmax_tokens = 0\n", ["completion.max_tokens = 0", "from 1 to 2048"]),
        ("[completion]\nenabled = 'maybe'\n", ["completion.enabled", "true or false"]),
        ("[completion]\ndisabled_languages = 3\n", ["disabled_languages = 3", "a list of texts"]),
        ("[daemon]\nidle_minutes = -1\n", ["daemon.idle_minutes = -1", "a number from 0"]),
        ("[daemon]\nidle_minutes = nan\n", ["daemon.idle_minutes", "a number from 0"]),
        ("pair = 3\n", ["pair = 3", "umbrella models"]),
        ("completion = 3\n", ["completion = 3", "a table with the keys", "max_tokens"]),
        ("[completion]\nmax_token = 3\n", ["completion.max_token", "mean completion.max_tokens?"]),
        ("[completion]\nzzz = 3\n", ["completion.zzz", "[completion]", "max_tokens"]),
        ("[draft\n", ["not valid TOML", "line 1"]),
    ],
)
def test_errors_in_the_file_name_file_key_value_and_what_is_accepted(
    toml: str, parts: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "umbrella.toml"
    path.write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load_settings(path=path, environ={})
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_error_in_the_environment_names_the_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"UMBRELLA_DRAFT__MODEL_DEPTH": "deep"})
    assert "environment variable UMBRELLA_DRAFT__MODEL_DEPTH" in str(caught.value)
    assert '"deep"' in str(caught.value)
    assert "a whole number from 0 to 32" in str(caught.value)


@pytest.mark.parametrize("name", ["UMBRELLA_ENGINE_DEVICE", "UMBRELLA_ENGINE__DEVISE"])
def test_mistyped_variable_is_refused_with_a_suggestion(name: str) -> None:
    with pytest.raises(SettingsError, match=r"did you mean UMBRELLA_ENGINE__DEVICE\?"):
        load({name: "cpu"})


def test_unknown_variable_with_a_section_is_refused() -> None:
    with pytest.raises(SettingsError, match="UMBRELLA_NOWHERE__AT_ALL"):
        load({"UMBRELLA_NOWHERE__AT_ALL": "1"})


def test_variables_that_are_no_settings_are_left_alone() -> None:
    others = {"UMBRELLA_SCRIPT": "x", "UMBRELLA_PAIR_DIR": "y", "UMBRELLA_CORP_API_KEY": "z"}
    assert load(others) == Settings()


def test_error_in_overrides_names_their_place() -> None:
    overrides = {"completion": {"max_lines": "many"}}
    with pytest.raises(SettingsError, match=r"^editor settings: completion\.max_lines"):
        load_settings(overrides, environ={})
    with pytest.raises(SettingsError, match=r"^command line: completion\.max_lines"):
        load_settings(overrides, environ={}, place="command line")


def test_a_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml: cannot be read"):
        load_settings(path=tmp_path / "missing.toml", environ={})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"binary\.toml: cannot be read"):
        load_settings(path=path, environ={})


@given(
    st.sampled_from(sorted(keys(Settings()))), st.text(max_size=20) | st.integers() | st.floats()
)
def test_any_value_of_any_key_is_taken_or_refused_with_words(key: str, value: object) -> None:
    try:
        load_settings(nested(key, value), path=DEFAULT_TOML, environ={})
    except SettingsError as error:
        refusal = str(error)
    else:
        return
    assert key in refusal


def test_every_type_in_use_is_described() -> None:
    structs = [Settings(), *(getattr(Settings(), name) for name in Settings.__struct_fields__)]
    for struct in structs:
        if not isinstance(struct, msgspec.Struct):
            continue
        for field in msgspec.structs.fields(struct):
            if not isinstance(getattr(struct, field.name), msgspec.Struct | str):
                assert accepted(field.type) != "text", field.name
