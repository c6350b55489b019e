import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from sample_reports import NOT_ANALYSED, UNIVERSAL

from binsafe.model import Report
from binsafe.reports import REPORTERS, as_json, schemas


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = schemas.shipped(as_json.SCHEMA_FILE)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_shipped_schema_is_the_one_that_the_structs_make():
    shipped = Path(as_json.__file__).with_name(as_json.SCHEMA_FILE).read_text(encoding="utf-8")
    assert shipped == as_json.schema_text(), "write as_json.schema_text() to binsafe/reports/report.schema.json"


@pytest.mark.parametrize("report", [UNIVERSAL, NOT_ANALYSED])
def test_reports_are_valid_by_the_schema_and_come_back_whole(
    report: Report, validator: jsonschema.Draft202012Validator
):
    shown = REPORTERS["json"](report)
    validator.validate(json.loads(shown))
    assert msgspec.json.decode(shown, type=Report) == report


@pytest.mark.parametrize("missing", ["schema", "artifact", "format", "analysed", "slices", "findings", "verdict"])
def test_the_schema_misses_every_missing_field(missing: str, validator: jsonschema.Draft202012Validator):
    document = json.loads(REPORTERS["json"](UNIVERSAL))
    del document[missing]
    assert not validator.is_valid(document)


def test_the_schema_knows_the_words(validator: jsonschema.Draft202012Validator):
    document = json.loads(REPORTERS["json"](UNIVERSAL))
    document["slices"][0]["network"]["verdict"] = "perhaps"
    assert not validator.is_valid(document)
    assert not validator.is_valid({**document, "schema": "binsafe.report/2"})


def test_json_is_the_same_whatever_else_is_asked_for():
    assert REPORTERS["json"](UNIVERSAL, verbose=2, width=40) == REPORTERS["json"](UNIVERSAL)


def test_json_is_indented_by_two_and_ends_with_a_newline():
    shown = REPORTERS["json"](NOT_ANALYSED)
    assert shown.startswith('{\n  "schema": "binsafe.report/1",\n  "artifact": {\n    "name"')
    assert shown.endswith("}\n")


def test_json_cannot_steer_a_terminal_either():
    name = "\x1b[2J\x9b31m\u202e\x7f\u2028é"
    artifact = msgspec.structs.replace(UNIVERSAL.artifact, name=name)
    shown = REPORTERS["json"](msgspec.structs.replace(UNIVERSAL, artifact=artifact))
    assert all(" " <= character <= "~" or character == "\n" for character in shown)
    assert json.loads(shown)["artifact"]["name"] == name


def test_numbers_that_json_has_no_words_for_are_null():
    odd = msgspec.structs.replace(UNIVERSAL.slices[1], entitlements={"weight": float("nan"), "end": float("inf")})
    shown = REPORTERS["json"](msgspec.structs.replace(UNIVERSAL, slices=(odd,)))
    assert json.loads(shown, parse_constant=pytest.fail)["slices"][0]["entitlements"] == {"weight": None, "end": None}
