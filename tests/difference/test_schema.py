"""The shipped schema of ``binsafe.difference/1`` says what ``binsafe diff --format json`` writes, nothing looser."""

import json
from pathlib import Path

import jsonschema
import pytest
from two_reports import finding, network, part, report

from binsafe.difference import compare
from binsafe.model import Severity
from binsafe.reports import changes, schemas

PLAIN = report(part())
CASES = {
    "gained": (PLAIN, report(part(network=network("connect")), findings=(finding("x", Severity.HIGH, slice=0),))),
    "lost": (report(part(network=network("connect"))), PLAIN),
    "the same": (PLAIN, PLAIN),
    "not analysed": (PLAIN, report(analysed=False, format="unknown")),
}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = schemas.shipped(changes.SCHEMA_FILE)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_shipped_schema_is_the_one_that_the_structs_make():
    shipped = Path(changes.__file__).with_name(changes.SCHEMA_FILE).read_text(encoding="utf-8")
    assert shipped == changes.schema_text(), f"write changes.schema_text() to binsafe/reports/{changes.SCHEMA_FILE}"


@pytest.mark.parametrize("case", CASES)
def test_differences_are_valid_by_it(case: str, validator: jsonschema.Draft202012Validator):
    old, new = CASES[case]
    validator.validate(json.loads(changes.as_json(compare(old, new))))


@pytest.mark.parametrize("missing", ["schema", "old", "new", "same_bytes", "analysed", "changes", "not_compared"])
def test_it_misses_every_missing_field(missing: str, validator: jsonschema.Draft202012Validator):
    old, new = CASES["gained"]
    document = json.loads(changes.as_json(compare(old, new)))
    validator.validate(document)
    del document[missing]
    assert not validator.is_valid(document)


def test_it_knows_the_words(validator: jsonschema.Draft202012Validator):
    old, new = CASES["gained"]
    document = json.loads(changes.as_json(compare(old, new)))
    assert not validator.is_valid({**document, "schema": "binsafe.difference/2"})
    document["changes"][0]["kind"] = "perhaps"
    assert not validator.is_valid(document)
