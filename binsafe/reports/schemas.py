"""JSON Schemas of our documents, made from the structs themselves and shipped beside this module as files."""

import json
from typing import Any

import msgspec


def describe(struct: type[msgspec.Struct], name: str, title: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of documents that are ``struct`` and say ``name``; every field is always there."""
    from inspect import cleandoc  # a report is printed without

    _, defined = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    for each in defined.values():
        if "description" in each:
            each["description"] = cleandoc(each["description"])  # msgspec before 0.23 left indents
        if "properties" in each:
            each["required"] = list(each["properties"])
    defined[struct.__name__]["properties"]["schema"] = {"const": name}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": name,
        "title": title,
        "$ref": f"#/$defs/{struct.__name__}",
        "$defs": defined,
    }


def shipped(file: str) -> dict[str, Any]:
    """The schema that is shipped as that file."""
    from importlib.resources import files  # it loads compressors, and JSON needs no file

    found: dict[str, Any] = json.loads(files("binsafe.reports").joinpath(file).read_text(encoding="utf-8"))
    return found


def pretty(value: object) -> str:
    """JSON with an indent of two, ASCII only: nothing in it can steer a terminal that shows it."""
    return json.dumps(value, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"
