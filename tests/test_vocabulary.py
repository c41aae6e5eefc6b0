"""A vocabulary: read from files as they are, indexed whole or not at all, searched by names and synonyms."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aatm_onnx import BM25Reranker
from aatm_onnx.vocabulary import (
    Columns,
    Concept,
    Damage,
    Filters,
    Synonym,
    Vocabulary,
    VocabularyRetriever,
    build_vocabulary,
    read_sources,
)
from aatm_onnx.vocabulary.grams import SIZES, fold, gram_sets

from .test_cli import run

DATA = Path(__file__).parent / "data" / "vocabulary"
ATHENA = [DATA / "CONCEPT.csv", DATA / "CONCEPT_SYNONYM.csv"]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return build_vocabulary(read_sources(ATHENA, Damage()), tmp_path_factory.mktemp("index") / "vocabulary")


def read(path: Path, text: str | bytes, *, skip: bool = False, columns: Columns | None = None) -> list[object]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_sources([path], Damage(skip=skip), columns))


def test_a_concept_is_found_by_its_name_and_by_its_synonyms_once(vocabulary: Vocabulary) -> None:
    by_synonym, by_name = vocabulary.search("KIDNEY-stones"), vocabulary.search("nephrolithiasis")
    assert by_synonym[0].concept == by_name[0].concept == vocabulary.concept("2000000787")
    assert (by_synonym[0].text, by_synonym[0].similarity) == ("Kidney stones", 1.0)
    ids = [match.concept.id for match in by_synonym]
    assert len(ids) == len(set(ids)) == 50
    assert by_synonym == sorted(by_synonym, key=lambda match: -match.similarity)


def test_athenas_files_are_read_as_they_are(vocabulary: Vocabulary) -> None:
    """A quote in a name is a character, and concepts with an invalid_reason stay out."""
    assert vocabulary.concept("2002000000") == Concept(
        *("2002000000", 'Observation of 5" incision, "clean"', "HPO", "Observation", "Made up", "C", "X1")
    )
    assert len(vocabulary) == sum(1 for _ in ATHENA[0].open(encoding="utf-8")) - 2
    assert vocabulary.concept("2002000001") is None
    assert "2002000001" in {item.id for item in read_sources(ATHENA[:1], Damage(), invalid=True)}  # type: ignore[union-attr]


def test_filters_leave_only_what_they_allow(vocabulary: Vocabulary) -> None:
    icd = vocabulary.search("calculus of kidney", filters=Filters(vocabularies=("ICD10CM",)))
    assert {match.concept.vocabulary for match in icd} == {"ICD10CM"}
    assert icd[0].concept.code == "N20.0"
    standard = vocabulary.search("hypertension", filters=Filters(standard=True, domains=("Condition",)))
    assert {match.concept.standard for match in standard} == {"S"}
    made_up = vocabulary.search("observation", filters=Filters(classes=("Made up",)))
    assert [match.concept.id for match in made_up] == ["2002000000"]
    with pytest.raises(ValueError, match="no vocabulary 'SNOMED'; it has HPO, ICD10CM"):
        vocabulary.search("hypertension", filters=Filters(vocabularies=("SNOMED",)))


def test_of_equal_names_the_standard_concept_comes_first(tmp_path: Path) -> None:
    items = [Concept(str(i), "Fibrosis of lung", standard=kind) for i, kind in enumerate(["", "C", "S", ""])]
    vocabulary = build_vocabulary(items, tmp_path / "v")
    assert [match.concept.standard for match in vocabulary.search("fibrosis of lung")] == ["S", "C", "", ""]
    assert [match.concept.standard for match in vocabulary.search("fibrosis of lung", 1)] == ["S"]


def test_a_standard_concept_is_found_among_many_of_its_name(tmp_path: Path) -> None:
    items = [Concept(str(number), "Pain", standard="S" if number == 900 else "") for number in range(1000)]
    (found,) = build_vocabulary(items, tmp_path / "v").search("pain", 1)
    assert found.concept.id == "900"


def test_whatever_changes_what_is_found_changes_the_checksum(tmp_path: Path) -> None:
    """A run that was ended must not go on with another index."""
    first = Concept("1", "Pain", vocabulary="A", standard="S")
    others = [
        [first, Synonym("1", "Ache"), Concept("2", "Pain")],
        [first, Concept("2", "Pain"), Synonym("2", "Ache")],
        [Concept("1", "Pain", vocabulary="A"), Synonym("1", "Ache"), Concept("2", "Pain", standard="S")],
        [Concept("1", "Pain", vocabulary="B", standard="S"), Synonym("1", "Ache"), Concept("2", "Pain")],
    ]
    built = [build_vocabulary(items, tmp_path / str(number)) for number, items in enumerate([*others, others[0]])]
    assert len({vocabulary.checksum for vocabulary in built}) == len(others)
    assert built[-1].checksum == built[0].checksum


def test_it_is_a_step_of_a_pipeline(vocabulary: Vocabulary) -> None:
    results = VocabularyRetriever(vocabulary, top_k=5)(["high blood pressure", "?"]) | BM25Reranker()
    assert results.results[0][0].std_concept_name == "Hypertension"
    assert results.results[1] == []
    with pytest.raises(ValueError, match="Document 0 must be a string"):
        VocabularyRetriever(vocabulary)([3])  # type: ignore[list-item]


def test_threads_and_pickles_share_it(vocabulary: Vocabulary) -> None:
    queries = ["renal cyst", "fits", "heart attack", "fever"] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(vocabulary.search, queries)) == list(map(vocabulary.search, queries))
    assert pickle.loads(pickle.dumps(vocabulary)).search("fits") == vocabulary.search("fits")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_grams_are_those_of_each_text_alone(texts: list[str]) -> None:
    """Hashed together or alone, a text has the same grams, and as many as it has distinct substrings."""
    folded = [fold(text) for text in texts]
    owner, grams = gram_sets(folded, 32)
    for index, text in enumerate(folded):
        own = grams[owner == index]
        assert np.array_equal(own, gram_sets([text], 32)[1])
        padded = f" {text} "
        assert len(own) == len({padded[i : i + n] for n in SIZES for i in range(len(padded) - n + 1)})


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text("abcde ", min_size=1, max_size=20), min_size=1, max_size=40), st.text("abcde ", max_size=20))
def test_the_search_agrees_with_comparing_every_name(texts: list[str], query: str) -> None:
    """The best name found is as similar as the best there is."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        vocabulary = build_vocabulary((Concept(str(i), text) for i, text in enumerate(texts)), Path(folder) / "v")
        every = vocabulary.search(query, len(texts))
        first = vocabulary.search(query, 1)
    assert [match.similarity for match in first] == [match.similarity for match in every][:1]
    if fold(query) in map(fold, texts) and len(fold(query)) > 0:
        assert first[0].similarity == 1


@pytest.mark.parametrize("block", [7, 100])
def test_blocks_of_rows_change_nothing(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """A long index is summed block by block, and blocks that can't have a result are left out."""
    queries = ["fits", "kidney", "high blood pressure", "pain in the left knee", "a", "?", ""]
    filters = [None, Filters(vocabularies=("ICD10CM",)), Filters(standard=True)]
    whole = [vocabulary.search(query, 5, each) for query in queries for each in filters]
    monkeypatch.setattr("aatm_onnx.vocabulary.postings._BLOCK", block)
    monkeypatch.setattr("aatm_onnx.vocabulary.postings._FEWEST_RESCORED", 40)
    cut = [vocabulary.search(query, 5, each) for query in queries for each in filters]
    assert [[match.similarity for match in matches] for matches in cut] == [
        [match.similarity for match in matches] for matches in whole
    ]


def test_csv_with_any_columns_and_synonyms(tmp_path: Path) -> None:
    text = 'Code;Term;Also\n1;"a; b";x|y \n2;c;\n'
    columns = Columns(id="Code", name="Term", synonyms="Also")
    items = read(tmp_path / "a.csv", text, columns=columns)
    assert items == [Concept("1", "a; b"), Synonym("1", "x"), Synonym("1", "y"), Concept("2", "c")]
    with pytest.raises(
        ValueError, match=r"a.csv has no column 'id'; its columns are Code, Term, Also. See --id-column"
    ):
        read(tmp_path / "a.csv", text)


@pytest.mark.parametrize(
    "content", ["id,name,größe\n".encode("latin-1"), "id,name\n".encode("utf-16"), b"PK\x03\x04\xa0"]
)
def test_another_encoding_is_named_and_not_shown_as_columns(tmp_path: Path, content: bytes) -> None:
    """Excel's "Unicode text", a workbook, or the archive that Athena sends."""
    for skip in (False, True):
        with pytest.raises(ValueError, match=r"a\.csv is not UTF-8 \("):
            read(tmp_path / "a.csv", content, skip=skip)


def test_a_column_that_is_asked_for_is_there_once(tmp_path: Path) -> None:
    text = "id,name,std\n1,Pain,S\n"
    with pytest.raises(ValueError, match=r"no column 'sdt'; its columns are id, name, std. See --standard-column"):
        read(tmp_path / "a.csv", text, columns=Columns(standard="sdt"))
    assert read(tmp_path / "a.csv", text, columns=Columns(standard="std")) == [Concept("1", "Pain", standard="S")]
    with pytest.raises(ValueError, match="more than one column 'name'"):
        read(tmp_path / "a.csv", "id,name,name,,\n1,Pain,Ache,,\n")
    with pytest.raises(ValueError, match="more than one column 'concept_name'"):
        read(tmp_path / "CONCEPT.csv", "concept_id\tconcept_name\tconcept_name\n1\tPain\tAche\n")


def test_invalid_concepts_of_a_csv_stay_out_too(tmp_path: Path) -> None:
    text = "id,name,INVALID_REASON\n1,Pain,\n2,Old pain,D\n"
    assert read(tmp_path / "a.csv", text) == [Concept("1", "Pain")]
    both = list(read_sources([tmp_path / "a.csv"], Damage(), invalid=True))
    assert both == [Concept("1", "Pain"), Concept("2", "Old pain")]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "\n;;\nid;name;\n1;Pain;\n"), ("CONCEPT.csv", "\nconcept_id\tconcept_name\n1\tPain\n")],
)
def test_blank_lines_before_the_header(tmp_path: Path, name: str, content: str) -> None:
    assert read(tmp_path / name, content) == [Concept("1", "Pain")]


def test_a_table_of_another_kind_is_named_before_anything_is_read(tmp_path: Path) -> None:
    """Of Athena's download only two files hold names; the large ones are not read before that is said."""
    concepts, other = tmp_path / "CONCEPT.csv", tmp_path / "CONCEPT_RELATIONSHIP.csv"
    concepts.write_text("concept_id\tconcept_name\n1\tPain\n", "utf-8")
    other.write_text("concept_id_1\tconcept_id_2\trelationship_id\n1\t2\tMaps to\n", "utf-8")
    with pytest.raises(ValueError, match=r"CONCEPT_RELATIONSHIP\.csv has no column 'id'"):
        next(read_sources([concepts, other], Damage()))


def test_a_name_of_any_length(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", f"id,name\n1,{'x' * 140_000}\n") == [Concept("1", "x" * 140_000)]


def test_obo_and_sssom(tmp_path: Path) -> None:
    obo = (
        'format-version: 1.2\n\n[Term]\nid: X:1\nname: A "b"\nsynonym: "a \\"q\\"" EXACT []\n\n'
        "[Term]\nid: X:2\nname: gone\nis_obsolete: true\n\n[Term] \nid: X:3\nname: c\n\n[Typedef]\nid: part_of\n"
    )
    assert read(tmp_path / "a.obo", obo) == [
        Concept("X:1", 'A "b"', vocabulary="X", code="X:1"),
        Synonym("X:1", 'a "q"'),
        Concept("X:3", "c", vocabulary="X", code="X:3"),
    ]
    sssom = (
        "#curie_map:\n#  X: http://x\nsubject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\n"
        "L:1\tlocal\tskos:exactMatch\tX:1\tGlobal\nL:2\twide\tskos:broadMatch\tX:1\tGlobal\n"
    )
    assert read(tmp_path / "a.tsv", sssom) == [
        Concept("X:1", "Global", vocabulary="X", code="X:1"),
        Synonym("X:1", "local"),
    ]


def test_sssom_rows_that_say_not_or_nothing_found_name_no_concept(tmp_path: Path) -> None:
    sssom = (
        "subject_id\tsubject_label\tpredicate_id\tpredicate_modifier\tobject_id\tobject_label\n"
        "L:1\tAppendicitis\tskos:exactMatch\tNot\tX:1\tNephrolithiasis\n"
        "L:2\tparking permit\tskos:exactMatch\t\tsssom:NoTermFound\t\n"
        "L:3\tkidney stone\tskos:exactMatch\t\tX:1\tNephrolithiasis\n"
    )
    assert read(tmp_path / "a.tsv", sssom) == [
        Concept("X:1", "Nephrolithiasis", vocabulary="X", code="X:1"),
        Synonym("X:1", "kidney stone"),
    ]


ATHENA_HEADER = "concept_id\tconcept_name\tvocabulary_id\n"


@pytest.mark.parametrize(
    ("name", "content", "message", "left"),
    [
        ("CONCEPT.csv", f"{ATHENA_HEADER}1\ta\n2\tb\tV\n", "line 2: 2 fields, but the header has 3", 1),
        ("CONCEPT.csv", f"{ATHENA_HEADER}1\t\tV\n2\tb\tV\n", "line 2: no concept_name", 1),
        ("CONCEPT.csv", f"{ATHENA_HEADER}1\ta\xff\tV\n2\tb\tV\n".encode("latin-1"), "line 2: not UTF-8", 1),
        ("a.csv", "id,name\n1,a,b\n2,b\n", "line 2: 3 fields, but the header has 2", 1),
        ("a.csv", b"id,name\n1,\xe4\n2,b\n", "line 2: not UTF-8", 1),
        ("a.obo", "format-version: 1.2\n[Term]\nid: X:1\n[Term]\nid: X:2\nname: b\n", "line 3: a term without name", 1),
        ("a.tsv", "object_id\tobject_label\nX:1\t\nX:2\tb\n", "line 2: no object_label", 1),
    ],
)
def test_a_damaged_line_is_named_and_the_rest_goes_on_if_asked(
    tmp_path: Path, name: str, content: str | bytes, message: str, left: int
) -> None:
    with pytest.raises(ValueError, match=f"{name}, {message}.*--skip-bad-lines"):
        read(tmp_path / name, content)
    assert len(read(tmp_path / name, content, skip=True)) == left


def test_an_open_quote_is_refused_because_it_hides_lines(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"line 3: not CSV .*is a quote left open"):
        read(tmp_path / "a.csv", 'id,name\n1,"a\n2,b\n', skip=True)


def test_an_id_that_comes_twice_is_named(tmp_path: Path) -> None:
    items = [Concept("1", "a"), Concept("1", "b"), Concept("2", "c"), Synonym("3", "of nothing")]
    with pytest.raises(ValueError, match="'1' \\(b\\) comes twice"):
        build_vocabulary(items, tmp_path / "v")
    damage = Damage(skip=True)
    vocabulary = build_vocabulary(items, tmp_path / "v", damage=damage)
    assert (len(vocabulary), vocabulary.names, damage.count) == (2, 2, 1)
    assert [vocabulary.concept(i) and vocabulary.concept(i).name for i in "123"] == ["a", "c", None]  # type: ignore[union-attr]


def test_the_command_builds_whole_or_not_at_all(tmp_path: Path) -> None:
    output = tmp_path / "vocabulary"
    done = run("index", *ATHENA, "--output", output)
    assert (done.returncode, done.stdout) == (0, f"{output}: 453 concepts, 1205 names\n"), done.stderr
    before = Vocabulary(output).search("fever")
    (tmp_path / "bad.csv").write_text("id,name\n1\n", "utf-8")
    done = run("index", tmp_path / "bad.csv", "--output", output, "--force")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: {tmp_path / 'bad.csv'}, line 2: 1 fields, but the header has 2."
        " Mend it, or leave such lines out with --skip-bad-lines.\n"
    )
    assert Vocabulary(output).search("fever") == before
    assert "exists; give another output, or --force" in run("index", *ATHENA, "--output", output).stderr
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear", "utf-8")
    assert (
        "is not a vocabulary, so it is not replaced"
        in run("index", *ATHENA, "--output", tmp_path / "mine", "--force").stderr
    )
    assert "is the folder that you are in" in run("index", *ATHENA, "--output", ".", "--force", cwd=output).stderr
    piped = run("index", "/dev/stdin", "--output", tmp_path / "piped", input="id,name\n1,a\n")
    assert piped.stderr == (
        "Error: /dev/stdin is a pipe, and must be read more than once; save its content in a file first.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "mine", "vocabulary"]


def test_what_is_not_a_whole_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a vocabulary; make one"):
        Vocabulary(tmp_path)
    vocabulary = build_vocabulary([Concept("1", "a")], tmp_path / "v")
    manifest = vocabulary.path / "vocabulary.json"
    whole = manifest.read_text("utf-8")
    manifest.write_text(json.dumps({**json.loads(whole), "format": 99}), "utf-8")
    with pytest.raises(ValueError, match="format 99, and this version reads 1"):
        Vocabulary(vocabulary.path)
    manifest.unlink()
    manifest.mkdir()  # as what may not be read, and for root too
    with pytest.raises(OSError, match=r"vocabulary\.json"):
        Vocabulary(vocabulary.path)
    manifest.rmdir()
    manifest.write_text(whole, "utf-8")
    (vocabulary.path / "gram_rows.npy").write_bytes(b"cut")
    with pytest.raises(ValueError, match=r"damaged: gram_rows.npy"):
        Vocabulary(vocabulary.path)
