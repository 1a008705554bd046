"""Which files may hold secrets, told from their names alone: nothing of them is ever read."""

import re
from fnmatch import translate
from pathlib import PurePath
from typing import Final

# patterns of lower-case file names
NAMES: Final = (
    # settings with passwords
    *(".env", ".env.*", "*.env", ".envrc", "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*"),
    *("credentials", "secrets", "*.secret", "*.secrets", "kubeconfig", "*.kubeconfig"),
    *(f"{name}.{kind}" for name in ("credentials", "secrets") for kind in ("json", "toml", "ini")),
    *(f"{name}.y*ml" for name in ("credentials", "secrets")),
    *("*service-account*.json", "*service_account*.json", "application_default_credentials.json"),
    *("client_secret*.json", "wp-config.php", "local.settings.json"),
    # keys and certificates
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.ppk", "*.crt", "*.cer", "*.der", "*.csr"),
    *("*.jks", "*.keystore", "*.keytab", "*.kdb", "*.kdbx", "*.gpg", "*.pgp", "*.asc", "*.ovpn"),
    *("*.mobileprovision", "*.agekey", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    # what programs log in with
    *(".netrc", "_netrc", ".pgpass", ".my.cnf", ".mylogin.cnf", ".npmrc", ".pypirc", ".htpasswd"),
    *(".git-credentials", ".dockercfg", ".dockerconfigjson", ".vault-token", ".s3cfg", ".boto"),
    *(".terraformrc", "terraform.rc", ".rhosts", ".kaggle.json", "htpasswd", "shadow"),
    # what was typed into them
    *(".bash_history", ".zsh_history", ".psql_history", ".mysql_history", ".python_history"),
)
FOLDERS: Final = frozenset({".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker"})
_KEY: Final = re.compile(r"id_\w+\Z")  # of whatever kind, as `ssh-keygen` names them
# a public half or an example holds none
HARMLESS: Final = ("*.pub", ".env.example", ".env.sample", ".env.template", ".env.dist")


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


_names, _harmless = _any_of(NAMES), _any_of(HARMLESS)


def may_hold_secrets(path: str) -> bool:
    """Say whether the file at `path` looks like one with keys, tokens or passwords."""
    pure = PurePath(path.lower())
    if _harmless.match(pure.name):
        return False
    if _names.match(pure.name) or _KEY.match(pure.name):
        return True
    return not FOLDERS.isdisjoint(pure.parts)
