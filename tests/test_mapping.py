"""From a source list to a mapping file: what is read, what is proposed, what is never touched, and what survives."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aatm_onnx.mapping.decide import Rules
from aatm_onnx.mapping.propose import Candidate
from aatm_onnx.mapping.terms import TermColumns, read_terms
from aatm_onnx.vocabulary import Concept, Damage, Match, build_vocabulary, read_sources
from aatm_onnx.vocabulary.both_names import combined, documents_of

from .test_cli import run
from .test_vocabulary import ATHENA

# Usagi's own columns: WriteCodeMappingsToFile.java and SourceCode.java.
USAGI = [
    *("sourceCode", "sourceName", "sourceFrequency", "sourceAutoAssignedConceptIds", "matchScore", "mappingStatus"),
    *("equivalence", "statusSetBy", "statusSetOn", "conceptId", "conceptName", "domainId", "mappingType", "comment"),
    *("createdBy", "createdOn", "assignedReviewer"),
]
TERMS = """code,term,count
A1,"ABD PAIN / R/O APPENDICITIS;",120
A2,high blood pressure,30
A3,Kidney stones,50
A4,kidney  stones,5
A5,zzzz qqqq,1
"""


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_vocabulary(read_sources(ATHENA, Damage()), tmp_path_factory.mktemp("index") / "vocabulary").path


@pytest.fixture
def terms(tmp_path: Path) -> Path:
    path = tmp_path / "terms.csv"
    path.write_text(TERMS, "utf-8")
    return path


def mapped(terms: Path, vocabulary: Path, kind: str, *more: str) -> tuple[Path, str]:
    output = terms.with_name(f"mapped.{kind}")
    command = ("map", terms, "--vocabulary", vocabulary, "--format", kind, "--output", output, "--provider", "cpu")
    done = run(*command, *more)
    assert done.returncode == 0, done.stderr
    return output, done.stdout


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def as_usagi_reads(line: str) -> list[str]:
    """ReadCSVFile.java and StringUtilities.safeSplit: line by line, quotes only around a whole field."""
    (fields,) = csv.reader([line])
    return [field.replace("\\\\", "\\") for field in fields]


COLUMNS = ("--name-column", "term", "--code-column", "code", "--frequency-column", "count")


def test_usagi_opens_what_is_written(terms: Path, vocabulary: Path) -> None:
    output, summary = mapped(terms, vocabulary, "usagi", *COLUMNS, "--accept-above", "0.8")
    lines = output.read_text("utf-8").splitlines()
    header = as_usagi_reads(lines[0])
    assert [column for column in header if not column.startswith("ADD_INFO:")] == USAGI
    found = [dict(zip(header, as_usagi_reads(line), strict=True)) for line in lines[1:]]
    assert [row["sourceCode"] for row in found] == ["A1", "A2", "A3", "A4", "A5"]  # one row of each: a row is a target
    for row in found:
        int(row["sourceFrequency"])
        int(row["statusSetOn"])
        int(row["createdOn"])
        [int(each) for each in row["sourceAutoAssignedConceptIds"].split(";") if each]
        assert 0 <= float(row["matchScore"]) <= 1
        assert row["mappingStatus"] in {"APPROVED", "UNCHECKED"}
        assert row["equivalence"] == "UNREVIEWED"
        assert row["mappingType"] == "MAPS_TO"
    stones = found[2]
    assert (stones["conceptId"], stones["conceptName"], stones["domainId"], stones["mappingStatus"]) == (
        *("2000000787", "Nephrolithiasis", "Condition", "APPROVED"),
    )
    assert found[0]["conceptName"] == "Abdominal pain"
    assert found[0]["ADD_INFO:matchedAs"] == (
        "abdominal pain (left out: R/O APPENDICITIS; ABD read as abdominal; in lower case)"
    )
    nothing = found[4]
    assert (nothing["conceptId"], nothing["conceptName"], nothing["comment"]) == ("0", "Unmapped", "no match")
    assert "no match               1    20.0%         0.5%" in summary
    assert not list(output.parent.glob(".*"))


def test_decisions_in_a_usagi_file_are_never_touched(tmp_path: Path, vocabulary: Path) -> None:
    """Approved, ignored, flagged rows and mappings of several targets keep every field; the others are proposed."""
    lines = (
        r'1|a "b", c|7||0.33|APPROVED|EQUAL|me|5|2000000107|My\\Name|X|MAPS_TO||me|5|',
        r"2|fever|7||0.10|IGNORED|UNMATCHED|me|5|0|Unmapped||MAPS_TO|n\no||0|B",
        "3|cough|7|9|1.00|FLAGGED|INEXACT|me|5|4|N|X|MAPS_TO_VALUE||me|5|",
        "4|two things|7||1.00|UNCHECKED|UNREVIEWED||0|4|N|X|MAPS_TO||me|5|",
        "4|two things|7||1.00|UNCHECKED|UNREVIEWED||0|5|M|X|MAPS_TO||me|5|",
        "5|Kidney stones|7||0.0|UNCHECKED|UNREVIEWED||0|0|||MAPS_TO|see x||0|Ann",
    )
    *kept, fresh = (line.split("|") for line in lines)
    path = tmp_path / "terms.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([USAGI, *kept, fresh])
    output, summary = mapped(path, vocabulary, "usagi", "--accept-above", "0.9999")  # more than any score
    *before, last = rows(output)
    assert [[row[column] for column in USAGI] for row in before] == kept
    assert (last["conceptId"], last["mappingStatus"], last["comment"], last["assignedReviewer"]) == (
        *("2000000787", "UNCHECKED", "see x", "Ann"),
    )
    assert "decided before         4" in summary
    again, _ = mapped(output.rename(tmp_path / "again.csv"), vocabulary, "usagi")
    assert [[row[column] for column in USAGI] for row in rows(again)[:-1]] == kept
    stcm, _ = mapped(path, vocabulary, "stcm", "--source-vocabulary", "MINE")
    assert [row["target_concept_id"] for row in rows(stcm)] == ["2000000107"]


def test_source_to_concept_map_holds_only_what_was_accepted(terms: Path, vocabulary: Path) -> None:
    output, _ = mapped(terms, vocabulary, "stcm", *COLUMNS, "--accept-above", "0.8", "--source-vocabulary", "MINE")
    found = rows(output)
    assert {row["source_code"] for row in found} <= {"A1", "A2", "A3", "A4"}
    assert found[-1] == {
        "source_code": "A4",
        "source_concept_id": "0",
        "source_vocabulary_id": "MINE",
        "source_code_description": "kidney  stones",
        "target_concept_id": "2000000787",
        "target_vocabulary_id": "HPO",
        "valid_start_date": "1970-01-01",
        "valid_end_date": "2099-12-31",
        "invalid_reason": "",
    }
    assert [term.name for term in read_terms(output)] == [row["source_code_description"] for row in found]
    done = run("map", terms, "--vocabulary", vocabulary, "--format", "stcm", "--output", output, *COLUMNS,
               "--accept-above", "0.8", "--model", "retriever")  # fmt: skip
    assert "give --source-vocabulary" in done.stderr


def test_a_term_that_the_source_has_twice_is_one_mapping(tmp_path: Path, vocabulary: Path) -> None:
    """Usagi takes a second row of one code for a second target, and joins with SOURCE_TO_CONCEPT_MAP count it twice."""
    terms = tmp_path / "terms.csv"
    terms.write_text("code,name,count\nA,kidney stones,5\nA,kidney stones,7\nB,renal cyst,\nB,renal cyst,\n", "utf-8")
    usagi, _ = mapped(terms, vocabulary, "usagi", "--accept-above", "0.5")
    assert [(row["sourceCode"], row["sourceFrequency"]) for row in rows(usagi)] == [("A", "12"), ("B", "-1")]
    stcm, _ = mapped(terms, vocabulary, "stcm", "--accept-above", "0.5", "--source-vocabulary", "MINE")
    assert [row["source_code"] for row in rows(stcm)] == ["A", "B"]
    again, _ = mapped(usagi, vocabulary, "stcm", "--source-vocabulary", "MINE")
    assert [(row["source_code"], row["target_vocabulary_id"]) for row in rows(again)] == [("A", "HPO"), ("B", "HPO")]


def test_csv_jsonl_aatm_and_sssom_say_the_same(terms: Path, vocabulary: Path) -> None:
    tables = {kind: mapped(terms, vocabulary, kind, *COLUMNS)[0] for kind in ("csv", "jsonl", "aatm", "sssom")}
    table = rows(tables["csv"])
    lines = [json.loads(line) for line in tables["jsonl"].read_text("utf-8").splitlines()]
    assert [row["concept_id"] for row in table] == [line["concept_id"] or "" for line in lines]
    assert [line["decision"] for line in lines] == ["review"] * 4 + ["no match"]
    for line in lines:
        scores = [candidate["score"] for candidate in line["candidates"]]
        assert scores == sorted(scores, reverse=True)
    aatm = rows(tables["aatm"])
    assert [row["target_concept_id"] for row in aatm] == [row["concept_id"] for row in table]
    assert [row["source_code_description_original"] for row in aatm] == [row["source_name"] for row in table]
    body = [line for line in tables["sssom"].read_text("utf-8").splitlines() if not line.startswith("#")]
    sssom = list(csv.DictReader(body, delimiter="\t"))
    assert [row["object_id"] for row in sssom] == [
        f"OMOP:{row['concept_id']}" if row["concept_id"] else "sssom:NoTermFound" for row in table
    ]
    assert "confidence" not in sssom[0]  # the score is a similarity


def test_a_run_that_was_interrupted_goes_on(tmp_path: Path, vocabulary: Path) -> None:
    terms = tmp_path / "terms.csv"
    words = [row.split("\t")[1] for row in ATHENA[1].read_text("utf-8").splitlines()[1::6]]
    grades = ("severe", "mild", "old", "new", "left", "right")
    rows = [f'"{grade} {word.replace(chr(34), "")}"\n' for grade in grades for word in words]
    terms.write_text("name\n" + "".join(rows), "utf-8")
    output, journal = tmp_path / "mapped.csv", tmp_path / ".mapped.csv.journal"
    command = [
        *("map", terms, "--vocabulary", vocabulary, "--format", "csv", "--output", output, "--model", "retriever")
    ]

    def interrupted(*more: str) -> str:
        before = journal.stat().st_size if journal.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-m", "aatm_onnx.cli", *map(str, command), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size > before + 1000):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert not output.exists()
        return said

    assert "the same command without --restart goes on from there" in interrupted("--restart")
    assert "the same command goes on from there" in interrupted()
    kept = journal.read_bytes()
    journal.write_bytes(kept + b'{"text": "half a li')
    assert "of a run with other options" in run(*command, "--top-k", "3").stderr
    assert run(*command).returncode == 0
    assert not journal.exists()
    resumed = output.read_bytes()
    assert run(*command).returncode == 0
    assert output.read_bytes() == resumed


def test_no_clean_and_own_abbreviations(terms: Path, vocabulary: Path, tmp_path: Path) -> None:
    output, _ = mapped(terms, vocabulary, "csv", *COLUMNS, "--no-clean", "--model", "retriever")
    first = rows(output)[0]
    assert (first["matched_as"], first["changes"]) == ("ABD PAIN / R/O APPENDICITIS;", "")
    (tmp_path / "short.csv").write_text("zzzz,renal\nqqqq,cyst\n", "utf-8")
    output, _ = mapped(terms, vocabulary, "csv", *COLUMNS, "--abbreviations", str(tmp_path / "short.csv"))
    assert rows(output)[-1]["concept_name"] == "Renal cyst"
    both = run("map", terms, "--vocabulary", vocabulary, "--format", "csv", "--output", tmp_path / "both.csv", *COLUMNS,
               "--no-clean", "--abbreviations", tmp_path / "short.csv")  # fmt: skip
    assert both.returncode == 2 and "leave one out" in both.stderr


def test_map_reads_no_term_that_is_a_name(tmp_path: Path, vocabulary: Path) -> None:
    terms = tmp_path / "terms.csv"
    terms.write_text("name\nCHF\nold CHF\n", "utf-8")
    output, _ = mapped(terms, vocabulary, "csv", "--model", "retriever")
    first, second = rows(output)
    assert (first["matched_as"], first["matched_name"], first["score"]) == ("CHF", "CHF", "1.0")
    assert second["matched_as"] == "old congestive heart failure"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
@pytest.mark.parametrize("command", ["map", "evaluate"])
def test_a_pipe_is_written_and_stays(terms: Path, vocabulary: Path, command: str) -> None:
    pipe, got = terms.with_name("pipe"), []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    if command == "map":
        done = run("map", terms, "--vocabulary", vocabulary, "--format", "csv", "--output", pipe, *COLUMNS,
                   "--model", "retriever")  # fmt: skip
    else:
        gold = terms.with_name("gold.csv")
        gold.write_text("name,concept_id\nkidney stone,2000000787\n", "utf-8")
        done = run("evaluate", "--gold", gold, "--vocabulary", vocabulary, "--plot", pipe, "--model", "retriever")
    assert done.returncode == 0, done.stderr
    reader.join(10)
    assert pipe.is_fifo()
    assert got[0].startswith(b"source_code," if command == "map" else b"<svg")
    assert not list(terms.parent.glob(".*"))


def test_results_on_standard_output_are_alone_there(terms: Path, vocabulary: Path) -> None:
    done = run("map", terms, "--vocabulary", vocabulary, "--format", "csv", "--output", "/dev/stdout", *COLUMNS,
               "--model", "retriever")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list(csv.reader(done.stdout.splitlines()))) == 6
    assert "to review" in done.stderr


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="standard output has no name there")
def test_so_they_are_where_standard_output_is_a_file(terms: Path, vocabulary: Path) -> None:
    log = terms.with_name("log")
    log.write_text("before\n", "utf-8")
    command = [sys.executable, "-m", "aatm_onnx.cli", "map", terms, "--vocabulary", vocabulary, "--format", "csv",
               "--output", "/dev/stdout", *COLUMNS, "--model", "retriever"]  # fmt: skip
    with log.open("ab") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, *table = log.read_text("utf-8").splitlines()
    assert (first, len(table), "to review" in done.stderr) == ("before", 6, True)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_what_is_accepted_is_above_the_threshold_and_the_margin(
    scores: list[float], above: float, margin: float
) -> None:
    ordered = sorted(scores, reverse=True)
    decision = Rules(above, margin, 0.01).decide([Candidate("1", "a", score, 0) for score in ordered])
    second = ordered[1] if len(ordered) > 1 else 0
    if decision == "accepted":
        assert ordered[0] >= above
        assert ordered[0] - second >= margin
    assert (decision == "no match") == (not ordered or ordered[0] < 0.01)
    assert Rules().decide([Candidate("1", "a", 1.0, 1.0)]) == "review"


def test_the_margin_is_to_the_second_candidate_even_where_one_is_kept(terms: Path, vocabulary: Path) -> None:
    options = ("--model", "retriever", "--accept-above", "0.3", "--margin", "0.3")
    two, one = (rows(mapped(terms, vocabulary, "csv", *COLUMNS, *options, "--top-k", each)[0]) for each in "21")
    assert [row["decision"] for row in two] == ["review", "review", "accepted", "accepted", "no match"]
    for row, more in zip(one, two, strict=True):
        assert row == {**more, "others": ""}
    done = run("map", terms, "--vocabulary", vocabulary, "--output", terms.with_name("o.csv"), *COLUMNS, *options,
               "--candidates", "1")  # fmt: skip
    assert "give --candidates 2 or more" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--accept-above", "nan"), "'--accept-above': nan is not a number"),
        (("--match-above", "inf"), "'--match-above': inf is not a number"),
        (("--margin", "-3"), "'--margin': -3.0 is not in the range"),
        (("--output", "-"), "map writes a file"),
    ],
)
def test_what_no_score_can_be_compared_with_is_refused(
    terms: Path, vocabulary: Path, given: tuple[str, str], said: str
) -> None:
    done = run("map", terms, "--vocabulary", vocabulary, "--output", terms.with_name("o.csv"), *COLUMNS, *given)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(terms.parent.iterdir()) == [terms]


def test_a_found_synonym_and_the_preferred_name_both_count_unless_one_is_the_very_term() -> None:
    concept = Concept("1", "Nephrolithiasis")
    found = [
        Match(concept, "Kidney stones", 1.0),
        Match(concept, "Kidney stone disease", 0.5),
        Match(concept, "Nephrolithiasis", 0.5),
    ]
    assert documents_of(found) == ["Kidney stones", "Kidney stone disease", "Nephrolithiasis", "Nephrolithiasis"]
    assert combined(found, [0.9, 0.5, 0.2, 0.1]) == [0.9, 0.3, 0.2]
    assert combined([], []) == []


def test_columns_are_found_or_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x;y\n1;fever\n", "utf-8")
    with pytest.raises(ValueError, match="give --name-column, one of x, y"):
        list(read_terms(path))
    (term,) = read_terms(path, TermColumns(name="y", code="x"))
    assert (term.code, term.name, term.frequency) == ("1", "fever", None)
    path.write_text(f"\n,,\nname,note,count\nfever,{'x' * 140_000},3\n", "utf-8")
    assert [(term.name, term.frequency) for term in read_terms(path)] == [("fever", 3)]
    path.write_text("name,count\nfever,many\n", "utf-8")
    with pytest.raises(ValueError, match="line 2: the frequency 'many' is not a whole number"):
        list(read_terms(path))


@pytest.mark.parametrize("columns", [["x" * 50_000, "y"], [f"text {number}" for number in range(5_000)]])
def test_an_error_stays_short_where_a_file_has_texts_for_a_header(
    tmp_path: Path, vocabulary: Path, columns: list[str]
) -> None:
    path, output = tmp_path / "a.csv", tmp_path / "o"
    path.write_text(f"{','.join(columns)}\n{','.join(columns)}\n", "utf-8")
    for done in (
        run("map", path, "--vocabulary", vocabulary, "--output", output, "--model", "retriever"),
        run("map", path, "--vocabulary", vocabulary, "--output", output, "--code-column", "z"),
        run("evaluate", "--gold", path, "--vocabulary", vocabulary, "--name-column", columns[-1]),
        run("index", path, "--output", output),
        run("rerank", "--input", path),
    ):
        assert done.returncode == 1
        assert columns[0][:50] in done.stderr
        assert len(done.stderr) < 1_000


def test_filters_that_no_concept_meets_together_are_said_before_anything_is_scored(
    terms: Path, vocabulary: Path
) -> None:
    command = ("map", terms, "--vocabulary", vocabulary, "--output", terms.with_name("o.csv"), "--model", "retriever")
    done = run(*command, *COLUMNS, "--target-vocabulary", "ICD10CM")
    assert (done.returncode, done.stderr) == (
        1,
        "Error: No concept of the vocabulary meets all filters together;"
        " 40 do that are not standard: give --any-standard.\n",
    )
    done = run(*command, *COLUMNS, "--target-vocabulary", "ICD10CM", "--class", "Made up")
    assert "all filters together; leave one out.\n" in done.stderr
    assert [path.name for path in terms.parent.iterdir()] == ["terms.csv"]
    assert run(*command, *COLUMNS, "--target-vocabulary", "ICD10CM", "--any-standard").returncode == 0


def test_scores_without_a_bound_are_refused_where_they_must_have_one(terms: Path, vocabulary: Path) -> None:
    done = run(
        "map", terms, "--vocabulary", vocabulary, "--output", terms.with_name("o.csv"), *COLUMNS, "--model", "bm25"
    )
    assert done.returncode == 2
    assert "BM25's scores have no upper bound" in done.stderr
    output, _ = mapped(terms, vocabulary, "csv", *COLUMNS, "--model", "bm25")
    assert rows(output)[2]["concept_name"] == "Nephrolithiasis"
