import base64
import random
import sysconfig
from pathlib import Path

import pytest

from umbrella_daemon.entropy import holds_secret

# put together here, so that no scanner takes this file for one with secrets
SECRETS = [
    "key = " + "AKIA" + "IOSFODNN7EXAMPLE",
    "token: " + "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE",
    "url = 'postgres://admin:" + "hunter22@db.local/x'",
    'PASSWORD = "' + 'correct-horse"',
    '"api_key": "' + '0123-4567-89"',
    "db_password='" + "s3cr3ts'",
    "h = '" + "d41d8cd98f00b204e9800998ecf8427e'",
    "jwt = '" + "eyJhbGciOiJI." + "eyJzdWIiOiIx.abc'",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_found(text: str) -> None:
    assert holds_secret(f"import os\n{text}\n")


@pytest.mark.parametrize("length", [24, 32, 64])
def test_random_keys_are_found(length: int) -> None:
    rng = random.Random(length)
    keys = [base64.b64encode(rng.randbytes(length)).decode() for _ in range(200)]
    assert sum(holds_secret(f"k = {key}") for key in keys) >= 0.97 * len(keys)


@pytest.mark.parametrize(
    "text",
    [
        "def a_function_with_a_rather_long_name(argument): ...",
        "from umbrella_daemon.resident.suggestions import SuggestionStore",
        "password = getpass()",
        'password = "<your password>"',
        'secret_name = "${VAULT_SECRET}"',
        "# ---------------------------------------------------------------",
        "path = '/usr/lib/python3/dist-packages/something/else'",
        "class AbstractSingletonProxyFactoryBean2Implementation: pass",
        "x = 0xdeadbeef; y = '00000000000000000000000000000000'",
    ],
)
def test_code_is_not_taken_for_secrets(text: str) -> None:
    assert not holds_secret(text)


def test_few_pieces_of_real_code_are_left_out() -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    pieces = []
    for name in ("argparse", "ast", "csv", "difflib", "inspect", "pathlib", "shlex", "zipfile"):
        lines = (library / f"{name}.py").read_text().splitlines()
        pieces += ["\n".join(lines[at : at + 20]) for at in range(0, len(lines), 20)]
    assert sum(map(holds_secret, pieces)) < 0.02 * len(pieces)
