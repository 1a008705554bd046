"""The language server: LSP on one side, the resident daemon on the other, nothing in between."""
