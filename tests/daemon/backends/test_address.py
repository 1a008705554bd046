import pytest

from umbrella_daemon.backends.address import address_of, is_loopback
from umbrella_daemon.layers import SettingsError
from umbrella_daemon.settings import BackendSettings


def settings(**values: object) -> BackendSettings:
    return BackendSettings(**({"kind": "openai"} | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "localhost:8000", "[::1]:80"]
)
def test_this_machine_needs_no_consent(host: str) -> None:
    assert address_of(settings(url=f"http://{host}/v1")).local


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "10.0.0.2",
        "0.0.0.0",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "127.1",  # what a resolver makes of it is not ours to guess
        "[::ffff:10.0.0.1]",
    ],
)
def test_another_host_needs_consent(host: str) -> None:
    for url in (f"http://{host}", f"https://{host}:8000/v1"):
        with pytest.raises(SettingsError, match=r"backend.allow_remote = true; nothing was sent"):
            address_of(settings(url=url))
        assert not address_of(settings(url=url, allow_remote=True)).local


def test_a_host_before_the_sign_is_no_host() -> None:
    with pytest.raises(SettingsError, match="a user name or a password") as caught:
        address_of(settings(url="http://127.0.0.1:secret@example.com"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8000", "http://", "http://[::1"])
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(SettingsError, match="it takes http://host:port"):
        address_of(settings(url=url))


def test_a_query_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        address_of(settings(url="http://127.0.0.1/v1?key=sesame"))
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "url", "expected"),
    [
        ("openai", "", "http://127.0.0.1:8000/v1"),
        ("openai", "http://localhost:1/", "http://localhost:1/v1"),
        ("openai", "http://localhost:1/v1/", "http://localhost:1/v1"),
        ("openai", "http://localhost:1/api", "http://localhost:1/api"),
        ("llama-server", "", "http://127.0.0.1:8080"),
        ("llama-server", "http://localhost:1/", "http://localhost:1"),
    ],
)
def test_addresses_are_completed(kind: str, url: str, expected: str) -> None:
    assert address_of(settings(kind=kind, url=url)).url == expected


def test_the_server_itself_is_above_its_version() -> None:
    assert address_of(settings()).root == "http://127.0.0.1:8000"


def test_a_key_is_read_from_its_variable_and_shown_nowhere() -> None:
    address = address_of(settings(api_key_env="KEY"), {"KEY": " sesame\n"})
    assert address.headers == {"Authorization": "Bearer sesame"}
    assert "sesame" not in repr(address)
    for environ in ({}, {"KEY": " "}):
        with pytest.raises(SettingsError, match="variable KEY, which is not set"):
            address_of(settings(api_key_env="KEY"), environ)
    with pytest.raises(SettingsError, match="no key that HTTP can carry") as caught:
        address_of(settings(api_key_env="KEY"), {"KEY": "sés\name"})
    assert "sés" not in str(caught.value)


def test_loopback_is_decided_without_asking_anybody() -> None:
    assert is_loopback("::1")
    assert not is_loopback("")
