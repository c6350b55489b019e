"""Writes the reviewed texts of the outputs anew; look at the difference before it is committed."""

from pathlib import Path

from sample_reports import ARCHIVE, PUZZLE, UNIVERSAL

from binsafe.reports import REPORTERS, sarif

GOLDEN = Path(__file__).parents[1] / "golden"


def main() -> None:
    for name, report in (("universal", UNIVERSAL), ("puzzle", PUZZLE), ("archive", ARCHIVE)):
        (GOLDEN / f"report-{name}.md").write_text(REPORTERS["markdown"](report, verbose=1), encoding="utf-8")
        page = REPORTERS["html"](report, verbose=2)
        (GOLDEN / f"report-{name}.html").write_text(page[page.index("<body>") :], encoding="utf-8")
    for name, report in (("puzzle", PUZZLE), ("archive", ARCHIVE)):
        shown = REPORTERS["text"](report) + "#" * 20 + "\n" + REPORTERS["text"](report, verbose=2)
        (GOLDEN / f"report-{name}.txt").write_text(shown, encoding="utf-8")
    for verbose in (0, 1, 2):
        shown = REPORTERS["text"](UNIVERSAL, verbose=verbose)
        (GOLDEN / f"report-universal-v{verbose}.txt").write_text(shown, encoding="utf-8")
    (GOLDEN / "report-universal.sarif").write_text(sarif.render(UNIVERSAL, verbose=1, base="/downloads"))


if __name__ == "__main__":
    main()
