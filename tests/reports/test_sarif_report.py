"""SARIF as code-scanning services read it; the schema itself comes from a package that ships it."""

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from any_reports import REPORTS
from hypothesis import given, settings
from sample_reports import ARCHIVE, NOT_ANALYSED, PUZZLE, UNIVERSAL

from binsafe.model import Report
from binsafe.reports import rules, sarif
from binsafe.reports.words import CAPABILITIES

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = (UNIVERSAL, NOT_ANALYSED, PUZZLE, ARCHIVE)


def run_of(report: Report, **options: Any) -> dict[str, Any]:
    (run,) = json.loads(sarif.render(report, **options))["runs"]
    return run


def test_the_log_is_the_reviewed_one():
    assert sarif.render(UNIVERSAL, verbose=1, base="/downloads") == (GOLDEN / "report-universal.sarif").read_text()


@pytest.mark.corpus
def test_the_log_is_valid_by_the_schema_of_the_standard(tmp_path: Path):
    package = "@microsoft/jest-sarif@1.0.0-beta.0"  # ships the schema of the committee's last working draft, rtm.5
    subprocess.run(["npm", "pack", "--silent", package], cwd=tmp_path, check=True, timeout=120, capture_output=True)
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as archive:
        stream = archive.extractfile("package/lib/schemas/sarif-2.1.0-rtm.5.json")
        assert stream is not None
        schema = json.load(stream)
    validator = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    logs = [sarif.render(report, verbose=verbose) for report in SAMPLES for verbose in (0, 1)]
    for log in (*logs, sarif.document(SAMPLES), sarif.document([])):
        assert [error.message for error in validator.iter_errors(json.loads(log))] == []
    assert not validator.is_valid({**json.loads(logs[0]), "version": "2.2.0"})


def check_structure(run: dict[str, Any]) -> None:
    """What the standard asks for and the schema cannot say, and what services ask for beyond it."""
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["help"]["text"]
        assert rule["fullDescription"]["text"].endswith(".")
        assert 0 <= float(rule["properties"]["security-severity"]) <= 10
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"] == {"startLine": 1}
        place = location["physicalLocation"]["artifactLocation"]
        assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
        assert not place["uri"].startswith("/")
        assert ":" not in place["uri"].split("/")[0]
        assert place["uri"].isascii()
        assert " " not in place["uri"]
        assert len({each["id"] for each in result.get("relatedLocations", ())}) == len(
            result.get("relatedLocations", ())
        )
    for artifact in run["artifacts"]:
        assert artifact.get("parentIndex", -1) < run["artifacts"].index(artifact)


@settings(max_examples=60, deadline=None)
@given(report=REPORTS)
def test_any_report_gives_a_log_of_that_structure(report: Report):
    check_structure(run_of(report, verbose=1))


def test_information_is_no_alert_and_what_was_not_analysed_is_one():
    levels = {result["ruleId"]: result["level"] for result in run_of(UNIVERSAL)["results"]}
    assert levels == {"page-hash": "error"}
    failed = run_of(NOT_ANALYSED)
    assert [result["ruleId"] for result in failed["results"]] == ["truncated"]
    assert failed["invocations"][0]["executionSuccessful"] is False


def test_a_member_is_named_inside_of_its_archive():
    run = run_of(ARCHIVE)
    check_structure(run)
    inside = [result for result in run["results"] if "logicalLocations" in result["locations"][0]]
    assert {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in inside} == {
        "downloads/pack.zip"
    }
    assert [artifact.get("parentIndex") for artifact in run["artifacts"]] == [None, 0, 0]


@pytest.mark.parametrize(
    ("path", "base", "expected"),
    [
        ("/src/bin/tool", "/src", {"uri": "bin/tool"}),
        ("/src/a b/ü%:[1].exe", "/src", {"uri": "a%20b/%C3%BC%25%3A%5B1%5D.exe"}),
        ("/srcs/tool", "/src", {"uri": "srcs/tool", "uriBaseId": "ROOT"}),
        ("/usr/bin/ls", "", {"uri": "usr/bin/ls", "uriBaseId": "ROOT"}),
        ("//a/../b", "", {"uri": "a/b", "uriBaseId": "ROOT"}),
        ("/src", "/src", {"uri": "src", "uriBaseId": "ROOT"}),
    ],
)
def test_paths_become_relative_references(path: str, base: str, expected: dict[str, str]):
    assert sarif.relative_uri(path, base) == expected


def test_the_next_build_has_the_same_fingerprint():
    """Services close an alert and open another one when it changes."""
    artifact = msgspec.structs.replace(UNIVERSAL.artifact, size=1, sha256="00" * 32)
    finding = msgspec.structs.replace(UNIVERSAL.findings[0], detail="Page 99 does not have the hash.")
    later = msgspec.structs.replace(UNIVERSAL, artifact=artifact, findings=(finding,))
    prints = [run_of(report)["results"][0]["partialFingerprints"] for report in (UNIVERSAL, later)]
    assert prints[0] == prints[1]


def test_messages_hold_no_links_and_no_placeholders():
    finding = msgspec.structs.replace(UNIVERSAL.findings[0], detail="see [this](http://x) {0}")
    text = run_of(msgspec.structs.replace(UNIVERSAL, findings=(finding,)))["results"][0]["message"]["text"]
    assert "](" not in text
    assert "{{0}}" in text


@pytest.mark.parametrize("name", [*(f"capability-{name}" for name in CAPABILITIES), "library-missing", "empty"])
def test_what_inspection_finds_has_help_of_its_own(name: str):
    assert rules.rule(name) != rules.rule("a-finding-of-another-version")
