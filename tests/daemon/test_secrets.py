import pytest

from umbrella_daemon.secrets import may_hold_secrets


@pytest.mark.parametrize(
    "path",
    [
        "/project/.env",
        "/project/.env.production",
        "/project/prod.env",
        "/project/.ENV",
        "/home/me/server.pem",
        "/home/me/server.key",
        "/home/me/id_rsa",
        "/home/me/id_ed25519.bak",
        "/home/me/.ssh/config",
        "/home/me/.aws/credentials",
        "/project/credentials.json",
        "/project/secrets.yml",
        "/project/terraform.tfvars",
        "/home/me/.netrc",
        "untitled:.env",
        "/home/me/id_work",
        "/project/terraform.tfstate",
        "/project/terraform.tfstate.backup",
        "/project/prod.auto.tfvars.json",
        "/project/tls/site.crt",
        "/home/me/.docker/config.json",
        "/home/me/.bash_history",
        "/project/my-service-account-1.json",
    ],
)
def test_excluded(path: str) -> None:
    assert may_hold_secrets(path)


@pytest.mark.parametrize(
    "path",
    [
        "/project/main.py",
        "/project/secrets.py",
        "/project/credentials.ts",
        "/project/environment.ts",
        "/project/keyboard.c",
        "/project/.env.example",
        "/home/me/id_rsa.pub",
        "/project/monkey",
        "/project/id_generator.py",
        "/project/docker/config.json",
        "",
    ],
)
def test_read(path: str) -> None:
    assert not may_hold_secrets(path)
