import pytest

from umbrella_daemon import __version__
from umbrella_daemon.lsp.server import main


@pytest.mark.parametrize("address", ["0.0.0.0:2087", "example.org:2087", "127.0.0.1:x", "2087"])
def test_only_this_machine_is_served(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--tcp", address])
    assert left.value.code == 2
    assert repr(address) in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--stdio", "--tcp=127.0.0.1:0"], ["--std"], ["--node-ipc"]])
def test_arguments_that_do_not_fit(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"umbrella-lsp {__version__}\n"


@pytest.mark.parametrize("way", ["--pipe=/no/such/socket", "--socket=1"])
def test_an_editor_that_is_not_there(way: str, caplog: pytest.LogCaptureFixture) -> None:
    assert main([way]) == 1
    assert "the editor cannot be reached" in caplog.text
