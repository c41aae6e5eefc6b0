"""`aatm-onnx index`."""

from dataclasses import fields
from pathlib import Path

import click

from ..vocabulary import Columns, Damage, build_vocabulary, read_sources
from .terminal import printable


@click.command("index")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder to make.")
@click.option("--force", is_flag=True, help="Replace a vocabulary that exists, once the new one is whole.")
@click.option("--skip-bad-lines", is_flag=True, help="Leave damaged lines out, and name them.")
@click.option("--include-invalid", is_flag=True, help="Also concepts with an invalid_reason.")
@click.option("--id-column", default=Columns.id, show_default=True, help="CSV column of the concept's id.")
@click.option("--name-column", default=Columns.name, show_default=True, help="CSV column of its name.")
@click.option("--synonyms-column", default=Columns.synonyms, show_default=True, help="CSV column of names between |.")
@click.option(
    "--vocabulary-column", default=Columns.vocabulary, show_default=True, help="CSV column of its vocabulary."
)
@click.option("--domain-column", default=Columns.domain, show_default=True, help="CSV column of its domain.")
@click.option("--class-column", default=Columns.concept_class, show_default=True, help="CSV column of its class.")
@click.option(
    "--standard-column", default=Columns.standard, show_default=True, help="CSV column that says S, C or nothing."
)
@click.option("--code-column", default=Columns.code, show_default=True, help="CSV column of its code.")
def command(
    sources: tuple[Path, ...],
    output: Path,
    force: bool,
    skip_bad_lines: bool,
    include_invalid: bool,
    **columns: str,
) -> None:
    """Index the concepts of SOURCES, to find candidates in them.

    SOURCES are Athena's CONCEPT.csv and CONCEPT_SYNONYM.csv, OBO files, SSSOM mapping sets, or CSV files with ids and
    names.
    """
    damage = Damage(skip=skip_bad_lines)
    named = {name.removesuffix("_column"): column for name, column in columns.items()}
    chosen = Columns(
        **{each.name: named["class" if each.name == "concept_class" else each.name] for each in fields(Columns)}
    )
    items = read_sources(sources, damage, chosen, invalid=include_invalid)
    vocabulary = build_vocabulary(
        items, output, force=force, damage=damage, sources=[source.name for source in sources]
    )
    for message in damage.messages:
        click.echo(f"Left out: {printable(message)}", err=True)
    if damage.count > len(damage.messages):
        click.echo(f"Left out: {damage.count - len(damage.messages)} more lines.", err=True)
    click.echo(f"{output}: {len(vocabulary)} concepts, {vocabulary.names} names")
