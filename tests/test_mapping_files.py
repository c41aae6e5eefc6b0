"""Files of Usagi, OMOP and SSSOM, in and out: what a person decided stays, and nothing is said that is not so."""

import csv
import io
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aatm_onnx.cli.evaluate import command as evaluate
from aatm_onnx.cli.map import command
from aatm_onnx.mapping.abbreviations import read_abbreviations
from aatm_onnx.mapping.gold import read_gold
from aatm_onnx.mapping.terms import TermColumns, read_terms
from aatm_onnx.vocabulary import Concept, Damage, Vocabulary, build_vocabulary, read_sources

USAGI = (
    "sourceCode,sourceName,sourceFrequency,sourceAutoAssignedConceptIds,ADD_INFO:note,matchScore,mappingStatus,equivalence,"
    "statusSetBy,statusSetOn,conceptId,conceptName,domainId,mappingType,comment,createdBy,createdOn,assignedReviewer\n"
)
DECIDED = USAGI + (
    "1,htn,7,,,0.33,Approved,WIDER,me,5,4,Renal cyst,Condition,MAPS_TO,,me,5,\n"
    "2,two things,7,,,0.33,APPROVED,EQUAL,me,5,4,Renal cyst,Condition,MAPS_TO,,me,5,\n"
    "2,two things,7,,,0.33,APPROVED,EQUAL,me,5,77,Elsewhere,Condition,MAPS_TO,,me,5,\n"
    "3,abdominal pain,7,,,0.33,IGNORED,UNREVIEWED,me,5,3,Abdominal pain,Condition,MAPS_TO,,me,5,\n"
    "4,kidney cyst,7,,,0.33,FLAGGED,UNREVIEWED,me,5,3,Abdominal pain,Condition,MAPS_TO,,me,5,\n"
)
STCM = (
    "source_code,source_concept_id,source_vocabulary_id,source_code_description,target_concept_id,"
    "target_vocabulary_id,valid_start_date,valid_end_date,invalid_reason\n"
)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    concepts = [
        Concept("1", "Nephrolithiasis", "HPO", "Condition", "Phenotype", "S", "HP:1"),
        Concept("2", "Hypertension", "HPO", "Condition", "Phenotype", "S", "HP:2"),
        Concept("3", "Abdominal pain", "HPO", "Condition", "Phenotype", "S", "HP:3"),
        Concept("4", "Renal cyst", "HPO", "Condition", "Phenotype", "S", "HP:4"),
    ]
    return build_vocabulary(concepts, tmp_path_factory.mktemp("index") / "vocabulary")


@pytest.fixture(scope="module")
def ontology(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return build_vocabulary([Concept("HP:2", "Hypertension", "HP")], tmp_path_factory.mktemp("index") / "ontology")


def run(vocabulary: Vocabulary, terms: Path, kind: str, *more: str) -> Result:
    output = terms.with_name(f"mapped.{kind}")
    given = (terms, "--vocabulary", vocabulary.path, "--output", output, "--format", kind, "--model", "retriever")
    return CliRunner().invoke(command, [*map(str, given), *more])


def mapped(vocabulary: Vocabulary, tmp_path: Path, text: str, kind: str, *more: str) -> str:
    terms = tmp_path / "terms.csv"
    terms.write_text(text, "utf-8")
    done = run(vocabulary, terms, kind, *more)
    assert done.exit_code == 0, done.exception
    return (tmp_path / f"mapped.{kind}").read_bytes().decode()


def rows(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    lines = (line for line in io.StringIO(text, newline="") if not line.startswith("#"))
    return list(csv.DictReader(lines, delimiter=delimiter))


def picked(text: str, *columns: str, delimiter: str = ",") -> list[tuple[str, ...]]:
    return [tuple(row[column] for column in columns) for row in rows(text, delimiter)]


def test_a_usagi_file_is_known_by_its_header_whatever_columns_are_named(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text = mapped(vocabulary, tmp_path, DECIDED, "usagi", "--name-column", "sourceName")
    fields = USAGI.strip().split(",")
    assert [[row[name] for name in fields] for row in rows(text)] == list(csv.reader(DECIDED.splitlines()[1:]))
    with pytest.raises(ValueError, match="its name is in sourceName; leave --name-column out"):
        list(read_terms(tmp_path / "terms.csv", TermColumns(name="comment")))


def test_every_format_holds_what_a_person_decided(tmp_path: Path, vocabulary: Vocabulary) -> None:
    """One row of each approved target; ignored and flagged terms have none."""
    decisions = mapped(vocabulary, tmp_path, DECIDED, "csv")
    assert picked(decisions, "source_code", "decision", "concept_id", "concept_name", "code") == [
        ("1", "approved", "4", "Renal cyst", "HP:4"),
        ("2", "approved", "4", "Renal cyst", "HP:4"),
        ("2", "approved", "77", "Elsewhere", ""),
        ("3", "ignored", "", "", ""),
        ("4", "flagged", "", "", ""),
    ]
    assert mapped(vocabulary, tmp_path, DECIDED, "jsonl").count('"decision": "approved"') == 3
    aatm = mapped(vocabulary, tmp_path, DECIDED, "aatm")
    assert picked(aatm, "source_code", "target_concept_id", "target_vocabulary_code", "domain_id") == [
        *(("1", "4", "HP:4", "Condition"), ("2", "4", "HP:4", "Condition"), ("2", "77", "", "")),
        *(("3", "", "", ""), ("4", "", "", "")),
    ]
    with pytest.warns(UserWarning, match="1 of the approved concepts are left out, the first is 77 for 'two things'"):
        stcm = mapped(vocabulary, tmp_path, DECIDED, "stcm", "--source-vocabulary", "MINE")
    assert picked(stcm, "source_code", "target_concept_id", "target_vocabulary_id") == [
        *(("1", "4", "HPO"), ("2", "4", "HPO")),  # with an empty vocabulary the table would not be loaded
    ]
    sssom = mapped(vocabulary, tmp_path, DECIDED, "sssom")
    columns = ("subject_id", "predicate_id", "object_id", "mapping_justification", "comment")
    assert picked(sssom, *columns, delimiter="\t") == [
        ("LOCAL:1", "skos:broadMatch", "OMOP:4", "semapv:ManualMappingCuration", "approved"),
        ("LOCAL:2", "skos:exactMatch", "OMOP:4", "semapv:ManualMappingCuration", "approved"),
        ("LOCAL:2", "skos:exactMatch", "OMOP:77", "semapv:ManualMappingCuration", "approved"),
    ]


def test_codes_that_the_table_can_t_hold_are_named(tmp_path: Path, vocabulary: Vocabulary) -> None:
    long = "Renal cyst " + "x" * 40
    stcm = ("stcm", "--source-vocabulary", "MINE")
    with pytest.warns(
        UserWarning, match=f"1 of the source codes are longer than the 50 characters .* the first is '{long}'"
    ):
        mapped(vocabulary, tmp_path, f"name\n{long}\n{long}\n{long[:50]}\n", *stcm)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped(vocabulary, tmp_path, f"name,code\n{long},7\n", *stcm)


def test_what_this_tool_accepted_is_not_called_reviewed(tmp_path: Path, vocabulary: Vocabulary) -> None:
    accepted = mapped(
        vocabulary, tmp_path, "code,name\n1,Renal cyst\n2,Hypertension\n", "usagi", "--accept-above", "0.9"
    )
    looked_at = accepted.replace("APPROVED,UNREVIEWED,aatm-onnx", "APPROVED,EQUAL,Ann: aatm-onnx", 1)
    assert mapped(vocabulary, tmp_path, looked_at, "usagi") == looked_at
    sssom = mapped(vocabulary, tmp_path, looked_at, "sssom")
    columns = ("subject_id", "object_id", "mapping_justification", "comment")
    assert picked(sssom, *columns, delimiter="\t") == [
        ("LOCAL:1", "OMOP:4", "semapv:ManualMappingCuration", "approved"),
        ("LOCAL:2", "OMOP:2", "semapv:SemanticSimilarityThresholdMatching", "accepted"),
    ]
    decisions = mapped(vocabulary, tmp_path, looked_at, "csv")
    assert picked(decisions, "decision", "concept_id") == [("approved", "4"), ("accepted", "2")]
    gold = tmp_path / "terms.csv"
    gold.write_text(looked_at, "utf-8")
    assert [question.text for question in read_gold(gold, vocabulary, str)] == ["Renal cyst"]
    gold.write_text(accepted, "utf-8")
    with pytest.raises(ValueError, match="no reviewed term"):
        read_gold(gold, vocabulary, str)


@pytest.mark.parametrize("more", [(), ("--target-prefix", "CDM")])
def test_reviewed_terms_are_the_same_in_sssom_and_in_usagi(
    tmp_path: Path, vocabulary: Vocabulary, more: tuple[str, ...]
) -> None:
    """What this tool accepted, and what is still to review, no person stands for."""
    given = DECIDED.replace(",77,Elsewhere", ",1,Nephrolithiasis") + (
        "5,hypertension,7,,,0.33,APPROVED,UNREVIEWED,aatm-onnx 1,5,2,Hypertension,Condition,MAPS_TO,,aatm-onnx 1,5,\n"
        "6,renal cysts,7,,,0.33,UNCHECKED,UNREVIEWED,,0,4,Renal cyst,Condition,MAPS_TO,,,0,\n"
    )
    sssom = tmp_path / "gold.sssom.tsv"
    sssom.write_text(mapped(vocabulary, tmp_path, given, "sssom", *more), "utf-8")
    assert sssom.read_text("utf-8").count("SemanticSimilarityThresholdMatching") == 2
    expected = read_gold(tmp_path / "terms.csv", vocabulary, str)
    assert [(each.text, sorted(each.right)) for each in expected] == [("htn", ["4"]), ("two things", ["1", "4"])]
    assert read_gold(sssom, vocabulary, str) == expected


def test_rows_of_sssom_that_no_person_stands_for_are_not_reviewed(tmp_path: Path, ontology: Vocabulary) -> None:
    path = tmp_path / "gold.tsv"
    columns = (
        "subject_id\tsubject_label\tpredicate_modifier\tpredicate_id\tobject_id\tmapping_justification\treviewer_id\n"
    )
    rows = [
        ("htn", "", "HP:2", "semapv:ManualMappingCuration", ""),
        ("high bp", "", "HP:2", "semapv:LexicalMatching", "orcid:1"),
        ("low bp", "Not", "HP:2", "semapv:ManualMappingCuration", ""),
        ("pressure", "", "HP:2", "semapv:LexicalMatching", ""),
        ("zzzz", "", "sssom:NoTermFound", "semapv:ManualMappingCuration", ""),
        ("", "", "HP:2", "semapv:ManualMappingCuration", ""),
    ]
    path.write_text(
        "# license: x\n#curie_map:\n#  HP: http://x/\n"
        + columns
        + "".join(f"a:1\t{name}\t{no}\tskos:exactMatch\t{to}\t{why}\t{by}\n" for name, no, to, why, by in rows),
        "utf-8",
    )
    assert [question.text for question in read_gold(path, ontology, str)] == ["htn", "high bp"]
    path.write_text(path.read_text("utf-8").replace("ManualMappingCuration", "LexicalMatching").replace("orcid:1", ""))
    with pytest.raises(ValueError, match=r"no reviewed term.*in SSSOM: semapv:ManualMappingCuration"):
        read_gold(path, ontology, str)
    path.write_text(path.read_text("utf-8") + "a:1\n", "utf-8")
    with pytest.raises(ValueError, match="line 11: 1 fields, but the header has 7"):
        read_gold(path, ontology, str)


def test_terms_whose_concepts_may_not_be_found_are_counted(tmp_path: Path) -> None:
    concepts = [Concept("1", "Renal cyst", "SNOMED", standard="S"), Concept("2", "Cyst of kidney", "ICD10CM")]
    build_vocabulary(concepts, tmp_path / "vocabulary")
    gold = tmp_path / "gold.csv"
    gold.write_text("name,concept_id\nrenal cyst,1\ncysts,2\ncyst,1\ncyst,2\n", "utf-8")
    given = ["--gold", str(gold), "--vocabulary", str(tmp_path / "vocabulary"), "--model", "retriever"]
    with pytest.warns(UserWarning, match="1 of 3 reviewed terms count as wrong whatever a model says, as 'cysts'"):
        assert CliRunner().invoke(evaluate, given).exit_code == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CliRunner().invoke(evaluate, [*given, "--any-standard"]).exit_code == 0


def test_a_usagi_file_mapped_again_says_only_what_is_so_now(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text = USAGI + (
        "5,nephrolithiasis,7,99,,0.00,UNCHECKED,UNREVIEWED,,0,0,Unmapped,,MAPS_TO,no match,,0,\n"
        "6,renal cyst,7,99,,0.00,UNCHECKED,UNREVIEWED,,0,0,Unmapped,,MAPS_TO,my \\\\ words,,0,Ann\n"
    )
    again = mapped(vocabulary, tmp_path, text, "usagi", "--accept-above", "0.9", "--top-k", "1")
    columns = ("mappingStatus", "conceptId", "sourceAutoAssignedConceptIds", "comment", "assignedReviewer")
    assert picked(again, *columns) == [
        ("APPROVED", "1", "1", "", ""),
        ("APPROVED", "4", "4", "my \\\\ words", "Ann"),
    ]


def test_backslashes_and_new_lines_of_a_usagi_file_stay_as_they_are(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text = USAGI + (
        'A\\\\B,C:\\\\new\\nline \\t,7,,"a\nb",0.00,UNCHECKED,UNREVIEWED,,0,0,Unmapped,,MAPS_TO,,,0,\n'
        'C,x,7,,"a\nb",0.00,IGNORED,UNREVIEWED,,0,0,Unmapped,,MAPS_TO,,,0,\n'
    )
    once = mapped(vocabulary, tmp_path, text, "usagi")
    first, _ = read_terms(tmp_path / "terms.csv")
    assert (first.code, first.name) == ("A\\B", "C:\\new\nline \\t")
    assert once.count("\n") == 3  # Usagi reads line by line
    assert picked(once, "sourceCode", "sourceName", "ADD_INFO:note") == [
        ("A\\\\B", "C:\\\\new\\nline \\t", "a\\nb"),
        ("C", "x", "a\\nb"),
    ]
    assert picked(mapped(vocabulary, tmp_path, once, "usagi"), "sourceCode", "sourceName") == [
        *(("A\\\\B", "C:\\\\new\\nline \\t"), ("C", "x")),
    ]


def test_codes_of_two_source_vocabularies_are_two_sources(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text = STCM + "".join(
        f"401,0,{name},Hypertension,0,None,1970-01-01,2099-12-31,\n" for name in ("ICD9CM", "LOCAL", "OMOP", "9")
    )
    stcm = mapped(vocabulary, tmp_path, text, "stcm", "--accept-above", "0.9")
    assert picked(stcm, "source_vocabulary_id", "target_concept_id") == [
        *(("ICD9CM", "2"), ("LOCAL", "2"), ("OMOP", "2"), ("9", "2")),
    ]
    sssom = mapped(vocabulary, tmp_path, text, "sssom")
    assert picked(sssom, "subject_id", delimiter="\t") == [
        *(("ICD9CM:401",), ("LOCAL:401",), ("source_OMOP:401",), ("source_9:401",)),
    ]
    for line in ('ICD9CM: "urn:local:ICD9CM:"', 'source_OMOP: "urn:local:OMOP:"', 'OMOP: "https://athena.ohdsi.org/'):
        assert f"#  {line}" in sssom


def test_an_old_mapping_is_not_mixed_with_the_new_one(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text = STCM.upper() + (
        "401,9,LOCAL,hypertension,999,SNOMED,2001-01-01,2009-12-31,D\n"
        "77,0,LOCAL,zzzz qqqq,999,SNOMED,1970-01-01,2099-12-31,\n"
        "78,0,LOCAL,renal cysts,4,HPO,1970-01-01,2099-12-31,\n"
    )
    stcm = mapped(vocabulary, tmp_path, text, "stcm", "--accept-above", "0.99")
    assert stcm.splitlines()[1:] == ["401,9,LOCAL,hypertension,2,HPO,1970-01-01,2099-12-31,"]
    aatm = mapped(vocabulary, tmp_path, text, "aatm", "--match-above", "0.99")
    assert picked(aatm, "source_concept_id", "target_concept_id", "target_vocabulary_id") == [
        *(("9", "2", "HPO"), ("0", "", ""), ("0", "", "")),
    ]
    (tmp_path / "gold.csv").write_text(text.replace("77,0,LOCAL,zzzz qqqq,999", "77,0,LOCAL,zzzz qqqq,0"), "utf-8")
    (question,) = read_gold(tmp_path / "gold.csv", vocabulary, str)  # the deleted row was reviewed, but no longer holds
    assert (question.text, question.right) == ("renal cysts", frozenset({"4"}))


def test_sssom_declares_the_prefixes_of_an_ontology(tmp_path: Path, ontology: Vocabulary) -> None:
    sssom = mapped(ontology, tmp_path, "name\nhypertension\n", "sssom")
    assert picked(sssom, "object_id", delimiter="\t") == [("HP:2",)]
    assert '#  HP: "http://purl.obolibrary.org/obo/HP_"\n' in sssom


def test_without_a_match_the_best_candidate_is_among_the_others(tmp_path: Path, vocabulary: Vocabulary) -> None:
    text = mapped(vocabulary, tmp_path, "name\nrenal cysts\n", "csv", "--match-above", "0.99")
    ((decision, concept, others),) = picked(text, "decision", "concept_id", "others")
    assert (decision, concept) == ("no match", "")
    assert others.startswith("4 Renal cyst")


@pytest.mark.parametrize("header", ["Code,name,Count", "SOURCE_CODE,SOURCE_CODE_DESCRIPTION,COUNT", "id;Label;n"])
def test_usual_columns_are_found_in_capitals_or_not(tmp_path: Path, header: str) -> None:
    path = tmp_path / "terms.csv"
    path.write_text(f"{header}\nA,htn,4\n".replace(",", ";"), "utf-8")
    ((code, name, frequency),) = [(term.code, term.name, term.frequency) for term in read_terms(path)]
    assert (code, name, frequency) == ("A", "htn", 4)


def test_what_a_spreadsheet_saves_around_a_table_is_no_term(tmp_path: Path) -> None:
    """Empty rows and unnamed columns are left out; of two columns with one name it can't be known which is meant."""
    path = tmp_path / "terms.csv"
    path.write_bytes("\ufeff;;;;\r\ncode;name;;;\r\n007;Größe;;;\r\n;;;;\r\n; ;;;\r\n8;;;;\r\n".encode())
    assert [(term.code, term.name) for term in read_terms(path)] == [("007", "Größe"), ("8", "")]
    path.write_text("Export of 31 May;;\ncode;name;\n", "utf-8")
    with pytest.raises(ValueError, match=r"give --name-column, one of Export of 31 May\.$"):
        list(read_terms(path))
    path.write_text("name;code;code\nhtn;1;2\n", "utf-8")
    with pytest.raises(ValueError, match="more than one column 'code'; give each a name of its own"):
        list(read_terms(path))


@pytest.mark.parametrize("said", ["sep=;\r\n", '"sep=;"\n', "SEP=|\n", "sep=\t\n", "sep=,\n", "sep=;"])
def test_the_line_that_tells_excel_the_separator_is_understood_in_every_table(tmp_path: Path, said: str) -> None:
    path, mark = tmp_path / "table.csv", said.strip('"\r\n')[-1]

    def write(text: str) -> Path:
        path.write_bytes(f"\ufeff{said}{text.replace('@', mark)}".encode())
        return path

    if said == "sep=;":  # it is all that the file has
        with pytest.raises(ValueError, match="is empty"):
            list(read_terms(write("")))
        return
    assert [(term.code, term.name) for term in read_terms(write("code@name\n7@htn\n"))] == [("7", "htn")]
    with pytest.raises(ValueError, match="line 4: 3 fields, but the header has 2"):
        list(read_terms(write("code@name\n7@htn\n8@htn@\n")))
    assert list(read_sources([write("id@name\n7@Pain\n")], Damage())) == [Concept("7", "Pain")]
    assert read_abbreviations(write("pt@prothrombin time\n")) == {"pt": "prothrombin time"}


def test_frequencies_are_numbers_that_fit(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = tmp_path / "terms.csv"
    for text, frequency in (
        *(("1,234,567", 1234567), ("12", 12), ("3.0", 3), ("1,234.0", 1234), ("", None), ("-1", None)),
        (str(2**63 - 1), 2**63 - 1),
    ):
        path.write_text(f'name;count\nhtn;"{text}"\n', "utf-8")
        assert [term.frequency for term in read_terms(path)] == [frequency]
    for text in ("inf", "nan", "1e20", "1,5", "1.234", "1.000", "120.000", "1.234,5", "0.35", "12,34", str(2**63)):
        path.write_text(f'name;count\nhtn;"{text}"\n', "utf-8")
        with pytest.raises(ValueError, match=f"line 2: the frequency '{text}' is not a whole number, or too large"):
            list(read_terms(path))
    largest = f"name,count\nhypertension,{2**63 - 1}\nrenal cyst,{2**63 - 1}\n"
    path.write_text(largest, "utf-8")
    last = run(vocabulary, path, "csv").output.splitlines()[-1]
    assert last.split() == ["0.1", "100.0%", "100.0%"]  # their sum is no 64-bit integer


def test_what_a_format_cannot_hold_is_said_before_anything_is_scored(
    tmp_path: Path, vocabulary: Vocabulary, ontology: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = tmp_path / "terms.csv"
    terms.write_text("name\nhypertension\n", "utf-8")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    unnamed = build_vocabulary([Concept("1", "Hypertension")], tmp_path.with_name("unnamed"))
    for index, kind, words in (
        (unnamed, "stcm", "SOURCE_TO_CONCEPT_MAP needs the vocabulary of every concept"),
        (ontology, "usagi", "The concept id 'HP:2' is not a number"),
        (ontology, "stcm", "The concept id 'HP:2' is not a number"),
        (vocabulary, "stcm", "give --source-vocabulary"),
        (vocabulary, "parquet", "Parquet needs pyarrow"),
    ):
        done = run(index, terms, kind)
        assert words in str(done.exception)
        assert [path.name for path in tmp_path.iterdir()] == ["terms.csv"]  # not even a journal


@pytest.mark.parametrize(("header", "own"), [("code,name\n", []), (USAGI, ["ADD_INFO:note"])])
def test_a_list_without_terms_gives_a_file_with_a_header(
    tmp_path: Path, vocabulary: Vocabulary, header: str, own: list[str]
) -> None:
    text = mapped(vocabulary, tmp_path, header, "usagi")
    assert text.startswith("sourceCode,sourceName,")
    assert text.count("\n") == 1
    assert [column for column in text.split(",") if column.startswith("ADD_INFO:")] == [
        *(*own, "ADD_INFO:matchedAs", "ADD_INFO:otherCandidates"),
    ]
