"""Names of laboratory tests by the pattern of their terminologies: most of their words are shared by many.

The ingredients are facts, nobody's list: specimens, properties, methods. What is measured is passed in, so that
training and test never share it.
"""

import random
from dataclasses import dataclass

from recipe.sources import Concept, read_parts

OTHERWISE_CALLED = 0.6  # of what people ask for that has another name
TOLD = 0.9  # of the names say which property is measured
UNSAID = 0.7  # of what people ask for says no place, if it is the usual one
SCALES = ("Qn", "Ord", "Nom")


@dataclass(frozen=True)
class Analyte:
    """What is measured, what else people call it, and where they measure it when they don't say."""

    name: str
    said: tuple[str, ...] = ()
    home: str = "Serum or Plasma"


PROPERTIES = [  # as a long name says it, short, and as people do
    ("Mass/volume", "mCnc", "mass concentration"),
    ("Moles/volume", "sCnc", "molar concentration"),
    ("Presence", "Ql", "qualitative"),
    ("Units/volume", "aCnc", "units"),
    ("Enzymatic activity/volume", "cCnc", "activity"),
    ("Mass/time", "mRate", "excretion"),
    ("Titer", "Titr", "titre"),
    ("#/volume", "nCnc", "count"),
    ("Mass ratio", "mRto", "ratio"),
    ("Volume Fraction", "vFr", "percent"),
    ("Mass fraction", "mFr", "percent by mass"),
    ("Entitic mass", "EntMass", "mean"),
    ("Entitic volume", "EntVol", "mean volume"),
    ("Partial pressure", "PPres", "tension"),
    ("Ratio", "Rto", "ratio"),
    ("#/area", "Naric", "count"),
]
SYSTEMS = [
    ("Serum or Plasma", "SerPl", ("serum", "plasma", "ser/plas", "blood")),
    ("Serum", "Ser", ("serum", "ser")),
    ("Plasma", "Plas", ("plasma",)),
    ("Platelet poor plasma", "PPP", ("plasma", "plas", "citrated plasma")),
    ("Blood", "Bld", ("whole blood", "blood", "bld")),
    ("Urine", "Ur", ("urine", "ur", "urinary")),
    ("24 hour Urine", "24H Ur", ("24h urine", "urine 24 hr")),
    ("Cerebral spinal fluid", "CSF", ("csf", "spinal fluid")),
    ("Stool", "Stl", ("stool", "feces", "faecal")),
    ("Body fluid", "Fld", ("fluid", "body fld")),
    ("Saliva (oral fluid)", "Sal", ("saliva",)),
    ("Sputum", "Spt", ("sputum",)),
    ("Red Blood Cells", "RBC", ("erythrocytes", "rbc")),
    ("Cord blood", "BldCo", ("cord blood",)),
    ("Arterial blood", "BldA", ("arterial", "art blood")),
    ("Venous blood", "BldV", ("venous",)),
    ("Capillary blood", "BldC", ("fingerstick", "capillary", "POC")),
    ("Urine sediment", "UrnS", ("urine sediment", "urine micro", "ur sed")),
    ("Synovial fluid", "Snv", ("joint fluid", "synovial")),
]
METHODS = [
    ("", "", ("",)),
    ("", "", ("",)),
    ("", "", ("",)),
    (" by Immunoassay", " IA", ("immunoassay", "EIA", "ELISA")),
    (" by Automated count", " Auto", ("automated", "auto")),
    (" by Test strip", " Strip", ("dipstick", "test strip")),
    (" by Culture", " Cult", ("culture", "cx")),
    (" by Immunofluorescence", " IF", ("IFA", "immunofluorescence")),
    (" by Probe and target amplification method", " PCR", ("PCR", "NAAT")),
    (" by Electrophoresis", " Elph", ("electrophoresis",)),
    (" by High performance liquid chromatography", " HPLC", ("HPLC",)),
    (" --post dose glucose", " p Glc", ("post glucose", "after glucose")),
    (" by Coagulation assay", " Coag", ("coag", "clotting", "")),
    (" by Microscopy high power field", " HPF", ("/hpf", "microscopy", "micro")),
    (" by calculation", " Calc", ("calc", "calculated")),
    (" --fasting", " p fast", ("fasting",)),
    (" --trough", " Trough", ("trough", "predose")),
]


def usual_analytes() -> list[Analyte]:
    """What laboratories usually measure."""
    parts = read_parts("analytes.txt")
    lines = ((home, *line.split(" = ")) for home, found in parts.items() for line in found)
    return [Analyte(name, tuple(said.split(", ")), home) for home, name, said in lines]


def laboratory(analytes: list[Analyte], seed: str) -> list[Concept]:
    """Some tests of each analyte; synonyms are short names, colon-separated ones and what people type."""
    return [c for analyte in analytes for c in tests_of(analyte, random.Random(f"{seed}:{analyte.name}"))]


def tests_of(analyte: Analyte, draw: random.Random) -> list[Concept]:
    """Tests of one analyte that differ in property, system or method; the first is the usual one."""
    own = draw.sample(PROPERTIES, 2)
    home = next(system for system in SYSTEMS if system[0] == analyte.home)
    usual = Test(analyte.name, draw.choice(own), home, METHODS[0])
    names = (analyte.name, *analyte.said)
    found = {usual.name(draw): [usual.formal(draw), *(usual.asked(name, UNSAID, draw) for name in names)]}
    for _ in range(draw.randrange(3, 9)):
        test = Test(analyte.name, draw.choice(own), draw.choice(SYSTEMS[:9] + SYSTEMS), draw.choice(METHODS))
        called = draw.choice(analyte.said) if analyte.said and draw.random() < OTHERWISE_CALLED else analyte.name
        found.setdefault(test.name(draw), [test.formal(draw), test.asked(called, 0, draw)])
    return [Concept(f"lab:{n}", n, [(t, "EXACT") for t in dict.fromkeys(said)]) for n, said in found.items()]


@dataclass(frozen=True)
class Test:
    """What is measured of an analyte, where and how: each as a long name says it, short, and as people do."""

    analyte: str
    prop: tuple[str, str, str]
    system: tuple[str, str, tuple[str, ...]]
    method: tuple[str, str, tuple[str, ...]]

    def name(self, draw: random.Random) -> str:
        """Its long name."""
        of = f" [{self.prop[0]}]" if draw.random() < TOLD else ""
        return f"{self.analyte}{of} in {self.system[0]}{self.method[0]}"

    def formal(self, draw: random.Random) -> str:
        """A short name, a colon-separated one, or a measurement's."""
        prop, short_prop, _ = self.prop
        system, short_system, _ = self.system
        method, short_method, _ = self.method
        return draw.choice(
            (
                f"{self.analyte} {short_system}-{short_prop}{short_method.replace(' ', '-')}",
                f"{self.analyte}:{short_prop}:Pt:{short_system}:{draw.choice(SCALES)}:{short_method.strip()}",
                f"{self.analyte} {prop.lower()} measurement in {system.lower()}{method.lower()}",
            )
        )

    def asked(self, called: str, unsaid: float, draw: random.Random) -> str:
        """As people ask for it; a share of them, `unsaid`, gives its name alone."""
        if draw.random() < unsaid:
            return called
        people = [called, draw.choice(self.system[2]), draw.choice(self.method[2])]
        if draw.random() < 0.3:
            people.append(self.prop[2])
        if draw.random() < 0.3:
            draw.shuffle(people)
        return " ".join(word for word in people if word)
