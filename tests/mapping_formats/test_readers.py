"""Mapping files opened by the libraries of those who read them: sssom-pydantic and pyarrow."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import sssom_pydantic

DATA = Path(__file__).parent.parent / "data" / "vocabulary"
TERMS = 'code,name,count\nA 1,kidney stones,7\nA2,"high ""blood"" pressure, mild",3\nA3,zzzz qqqq,1\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mapping")
    (folder / "terms.csv").write_text(TERMS, "utf-8")
    aatm_onnx("index", DATA / "CONCEPT.csv", DATA / "CONCEPT_SYNONYM.csv", "--output", folder / "vocabulary")
    return folder


def aatm_onnx(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "aatm_onnx.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def mapped(folder: Path, kind: str, vocabulary: str = "vocabulary", source: str = "MINE") -> Path:
    output = folder / f"mapped.{kind}"
    aatm_onnx(
        *("map", folder / "terms.csv", "--vocabulary", folder / vocabulary, "--format", kind, "--output", output),
        *("--provider", "cpu", "--source-vocabulary", source),
    )
    return output


def test_sssom_is_read_whole(folder: Path) -> None:
    """Every row is a mapping of the model, with its score as a similarity and none as a confidence."""
    mappings, converter, metadata = sssom_pydantic.read(mapped(folder, "sssom"))
    assert len(mappings) == 3
    first, second, nothing = mappings
    assert (first.subject.curie, first.object.curie) == ("MINE:A%201", "OMOP:2000000787")
    assert first.predicate.curie == "skos:exactMatch"
    assert first.justification.curie == "semapv:SemanticSimilarityThresholdMatching"
    assert 0.5 < first.similarity_score <= 1
    assert first.confidence is None
    assert first.subject.name == "kidney stones"
    assert second.subject.name == 'high "blood" pressure, mild'
    assert nothing.object.curie == "sssom:NoTermFound"
    assert converter.expand("OMOP:2000000787") == "https://athena.ohdsi.org/search-terms/terms/2000000787"
    assert str(metadata.license).endswith("unspecified")


def test_sssom_of_an_ontology_is_read_whole(folder: Path) -> None:
    """Its ids have a prefix of their own, and a source that is called as OMOP's concept ids are has another."""
    ontology = folder / "hp.obo"
    ontology.write_text('[Term]\nid: HP:0000787\nname: Nephrolithiasis\nsynonym: "Kidney stones" EXACT []\n', "utf-8")
    aatm_onnx("index", ontology, "--output", folder / "ontology")
    mappings, converter, _ = sssom_pydantic.read(mapped(folder, "sssom", "ontology", "OMOP"))
    assert (mappings[0].subject.curie, mappings[0].object.curie) == ("source_OMOP:A%201", "HP:0000787")
    assert converter.expand("HP:0000787") == "http://purl.obolibrary.org/obo/HP_0000787"
    assert converter.expand("source_OMOP:A%201") == "urn:local:OMOP:A%201"


def test_parquet_holds_what_jsonl_holds(folder: Path) -> None:
    table = pyarrow.parquet.read_table(mapped(folder, "parquet"))
    lines = [json.loads(line) for line in mapped(folder, "jsonl").read_text("utf-8").splitlines()]
    assert table.to_pylist() == lines
    assert table.schema.field("score").type == "double"
    assert table.schema.field("source_frequency").type == "int64"
