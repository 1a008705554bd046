"""The page at /docs: the server's own OpenAPI description as plain HTML, without a network."""

from collections.abc import Iterator
from html import escape
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem }
code { font-size: .9em } h2 { margin-top: 2.5rem } h3 code { font-size: 1em }
td { vertical-align: top; padding: .1rem 1rem .1rem 0 }
small { opacity: .75 }
"""


def add_documentation(app: FastAPI) -> None:
    """Serve the page."""

    @app.get("/docs", include_in_schema=False)
    async def documentation(request: Request) -> HTMLResponse:
        return HTMLResponse(page(app.openapi(), str(request.base_url)))


def page(description: dict[str, Any], address: str) -> str:
    """Write the page for an OpenAPI description."""
    title = escape(description["info"]["title"])
    body = "".join(_groups(description))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title} API</title>"
        "<meta name=viewport content='width=device-width'>"
        f"<style>{STYLE}</style><h1>{title}</h1><p>{escape(description['info']['summary'])}</p>"
        f"<p>At <code>{escape(address)}</code>, with <code>Authorization: Bearer TOKEN</code>; "
        "<code>umbrella api --show-token</code> prints the token. "
        "For programs: <a href=/openapi.json>openapi.json</a>.</p>"
        f"{body}</html>"
    )


def _groups(description: dict[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            text = "".join(_operation(path, method, operation, description))
            groups.setdefault(operation["tags"][0], []).append(text)
    for name, operations in groups.items():
        yield f"<h2>{escape(name)}</h2>" + "".join(operations)


def _operation(
    path: str, method: str, operation: dict[str, Any], description: dict[str, Any]
) -> Iterator[str]:
    yield f"<h3><code>{method.upper()} {escape(path)}</code> {escape(operation['summary'])}</h3>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        schema = content["application/json"]["schema"]
        fields = _resolved(schema, description).get("properties", {})
        rows = "".join(_field(name, field) for name, field in fields.items())
        yield f"<details><summary>Fields</summary><table>{rows}</table></details>"


def _field(name: str, schema: dict[str, Any]) -> str:
    default = schema.get("default")
    shown = "" if default is None else f" <small>{escape(repr(default))}</small>"
    return f"<tr><td><code>{escape(name)}</code><td>{escape(_kind(schema))}{shown}"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        kinds = dict.fromkeys(_kind(one) for one in schema["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "null")
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [
        f"{word} {schema[key]:g}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    return " ".join([str(schema.get("type", "anything")), *bounds])


def _resolved(schema: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    found: dict[str, Any] = description["components"]["schemas"].get(name, schema)
    return found
