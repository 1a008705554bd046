"""Language ids that editors give to files, for files that no editor has opened.

The ids are those of the Language Server Protocol's `TextDocumentItem`. Most extensions are the id
itself (`go`, `lua`, `css` …); the tables hold the others.
"""

from pathlib import PurePath
from typing import Final

BY_NAME: Final = {
    "CMakeLists.txt": "cmake",
    "Dockerfile": "dockerfile",
    "GNUmakefile": "makefile",
    "Makefile": "makefile",
}

BY_EXTENSION: Final = {
    "bash": "shellscript",
    "cc": "cpp",
    "cjs": "javascript",
    "clj": "clojure",
    "cs": "csharp",
    "cts": "typescript",
    "cu": "cuda-cpp",
    "cxx": "cpp",
    "erl": "erlang",
    "ex": "elixir",
    "exs": "elixir",
    "fs": "fsharp",
    "h": "c",
    "hh": "cpp",
    "hpp": "cpp",
    "hs": "haskell",
    "htm": "html",
    "ipynb": "json",
    "jl": "julia",
    "js": "javascript",
    "jsx": "javascriptreact",
    "kt": "kotlin",
    "kts": "kotlin",
    "m": "objective-c",
    "md": "markdown",
    "mjs": "javascript",
    "mk": "makefile",
    "ml": "ocaml",
    "mm": "objective-cpp",
    "mts": "typescript",
    "pl": "perl",
    "pm": "perl",
    "ps1": "powershell",
    "py": "python",
    "pyi": "python",
    "pyw": "python",
    "rb": "ruby",
    "rs": "rust",
    "rst": "restructuredtext",
    "sh": "shellscript",
    "tex": "latex",
    "tf": "terraform",
    "ts": "typescript",
    "tsx": "typescriptreact",
    "txt": "plaintext",
    "yml": "yaml",
    "zsh": "shellscript",
}


def language_id(path: str | PurePath) -> str:
    """Give the id for a file of this name, "" where the name does not tell."""
    path = PurePath(path)
    extension = path.suffix[1:].lower()
    return BY_NAME.get(path.name) or BY_EXTENSION.get(extension, extension)
