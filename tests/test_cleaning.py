"""Terms are read as a mapper would read them, and what was done to them is said."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aatm_onnx.mapping.abbreviations import read_abbreviations
from aatm_onnx.mapping.cleaning import TermReader
from aatm_onnx.vocabulary import Concept, Filters, build_vocabulary


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ABD PAIN / R/O APPENDICITIS;", "abdominal pain"),
        ("hx of CVA in 2019 L sided", "history of cerebrovascular accident left sided"),
        ("CVA 3/4/19, rt. sided", "cerebrovascular accident , right sided"),
        ("h/o DVT (R) leg", "history of deep vein thrombosis right leg"),
        ("MI 2019; CABG", "MI"),
        ("MI (since 2019) stable", "MI stable"),
        ("Cholecalciferol 2000 UNT Oral Tablet", "Cholecalciferol 2000 UNT Oral Tablet"),
        ("Saline in 2000 ML bag", "Saline in 2000 ML bag"),
        ("Olmesartan 5/10/20 mg", "Olmesartan 5/10/20 mg"),
        ("water 7732-18-5", "water 7732-18-5"),
        ("trypsin 3.4.21.4", "trypsin 3.4.21.4"),
        ("area 11 of Brodmann-1909", "area 11 of Brodmann-1909"),
        ("RNA by RT-PCR", "RNA by RT-PCR"),
        ("CA-125", "CA-125"),
        ("Ca ionized", "Ca ionized"),
        ("PT evaluation", "PT evaluation"),
        ("pt c/o headache", "headache"),
        ("Glucose (L)", "Glucose (L)"),
        ("ABECMA(R)", "ABECMA(R)"),
        ("B/L knee pain", "B/L knee pain"),
        ("Paracetamol 325 MG / Codeine 5 MG", "Paracetamol 325 MG / Codeine 5 MG"),
        ("Diabetes mellitus - type 2", "Diabetes mellitus - type 2"),
        ("fever / r/o flu / cough", "fever / cough"),
        ("c/o headache", "headache"),
        ("webbed toes 2/3", "webbed toes 2/3"),
        ("Fever w/o cough", "Fever without cough"),
        ("fracture - possible", "fracture"),
        ("r/o sepsis", "r/o sepsis"),
        ("L-carnitine", "L-carnitine"),
        ("ALL", "ALL"),
        ("2019", "2019"),
        ("???", "???"),
    ],
)
def test_terms_are_read_as_a_mapper_would(term: str, text: str) -> None:
    assert TermReader()(term).text == text


def test_accents_are_read_alike_however_they_are_stored() -> None:
    reading = TermReader()("Ca\u0301lculo fx")
    assert reading.text == "C\u00e1lculo fracture"


def test_a_name_of_the_vocabulary_is_not_read(tmp_path: Path) -> None:
    names = ("HTN; old", "Vitamin D 2000", "C/O pain - possible", "Old \u00e9tat")
    concepts = [Concept(str(number), name, standard="S" * (number == 0)) for number, name in enumerate(names)]
    vocabulary = build_vocabulary(concepts, tmp_path / "vocabulary")
    read = TermReader(is_name=vocabulary.has_name)
    assert [read(name).text for name in names] == list(names)
    assert read("vitamin d  2000").text == "vitamin d 2000"
    assert read("Vitamin E 2000").text == "Vitamin E"
    standard = TermReader(is_name=lambda text: vocabulary.has_name(text, Filters(standard=True)))
    assert (standard("HTN; old").text, standard("Vitamin D 2000").text) == ("HTN; old", "Vitamin D")
    assert not vocabulary.has_name("???")


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("PT prolonged", "prothrombin time prolonged"),
        ("prior C-SEC", "prior caesarean section"),
        ("aspirin b.i.d.", "aspirin twice daily"),
        ("Hep  B vaccine", "hepatitis b vaccine"),
        ("HIV+ve", "HIV positive"),
        ("N / V; r/o flu", "nausea and vomiting"),
        ("Glucose (L)", "Glucose low"),
        ("SOB", "SOB"),
        ("c/o pain c fever", "pain with fever"),
        ("junk cough", "cough"),
    ],
)
def test_own_abbreviations_win_whatever_they_are_written_like(term: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text(
        "pt,prothrombin time\nc-sec,caesarean section\nb.i.d.,twice daily\nhep b,hepatitis b\n+ve,positive\n"
        "n / v,nausea and vomiting\n(L),low\nsob,SOB\nc,with\njunk,\n\n",
        "utf-8",
    )
    assert TermReader(read_abbreviations(path))(term).text == text


def test_abbreviations_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_bytes(b"caf\xe9,coffee\n")
    with pytest.raises(ValueError, match=r"short\.csv is not UTF-8"):
        read_abbreviations(path)
    for damaged in ("dm,diabetes\nx\n", "dm,diabetes\n,what\n"):
        path.write_text(damaged, "utf-8")
        with pytest.raises(ValueError, match=r"short\.csv, line 2: expected two fields"):
            read_abbreviations(path)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_reading_never_loses_a_whole_term_and_says_what_it_did(term: str) -> None:
    reading = TermReader()(term)
    assert any(map(str.isalnum, reading.text)) or reading.text == term
    if not reading.changes:
        composed = unicodedata.normalize("NFC", term)
        assert "".join(filter(str.isalnum, reading.text)) in map(
            "".join, (filter(str.isalnum, composed), filter(str.isalnum, term))
        )
