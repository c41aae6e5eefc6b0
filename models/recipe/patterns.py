"""Names built by a pattern, as laboratory and drug terminologies build them: most of their words are shared by many.

The ingredients are facts, nobody's list: analytes, specimens, units and methods; strengths, routes and dose forms. What
is measured or prescribed is passed in, so that training and test never share it.
"""

import random

from recipe.sources import Concept

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
]
SYSTEMS = [
    ("Serum or Plasma", "SerPl", ("serum", "plasma", "ser/plas", "blood")),
    ("Serum", "Ser", ("serum", "ser")),
    ("Plasma", "Plas", ("plasma",)),
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
    (" --fasting", " p fast", ("fasting",)),
    (" --trough", " Trough", ("trough", "predose")),
]
ROUTES = [  # dose form as a clinical drug's name says it, and as a prescription does
    ("Oral Tablet", ("tab", "tabs", "tablet", "tablets", "po", "tab po", "tabs oral")),
    ("Oral Capsule", ("cap", "caps", "capsule", "capsules", "capsule oral")),
    ("Extended Release Oral Tablet", ("XR tab", "ER tabs", "SR tablet", "tablet extended release", "12 hr tab")),
    ("Extended Release Oral Capsule", ("XR cap", "ER caps", "SR capsule", "24h cap")),
    ("Delayed Release Oral Tablet", ("EC tab", "DR tablet", "enteric coated tablet")),
    ("Chewable Tablet", ("chew tab", "chewable tab", "chewtabs")),
    ("Disintegrating Oral Tablet", ("ODT", "tab rapdis")),
    ("Sublingual Tablet", ("SL tab", "tab subl")),
    ("Oral Solution", ("soln", "oral soln", "liquid po", "liq", "elixir")),
    ("Oral Suspension", ("susp", "oral susp", "suspension po")),
    ("Injectable Solution", ("inj", "vial", "iv", "injection", "amp", "im inj")),
    ("Injection", ("inj", "syringe", "iv push", "vial")),
    ("Intravenous Infusion", ("iv inf", "ivpb", "bag", "infusion")),
    ("Prefilled Syringe", ("pfs", "syringe", "syr")),
    ("Topical Cream", ("crm", "cream", "cr top", "cream topical")),
    ("Topical Ointment", ("oint", "ung", "ointment")),
    ("Topical Gel", ("gel", "gel top")),
    ("Ophthalmic Solution", ("eye drops", "ophth soln", "opth drops", "gtt ou")),
    ("Otic Solution", ("ear drops", "otic soln")),
    ("Metered Dose Inhaler", ("MDI", "inhaler", "puffs", "HFA inhaler")),
    ("Inhalation Solution", ("neb", "neb soln", "nebuliser", "inh soln")),
    ("Nasal Spray", ("nasal spr", "nose spray", "spray nas")),
    ("Transdermal System", ("patch", "td patch", "transdermal patch")),
    ("Rectal Suppository", ("supp", "suppository pr", "supp rect")),
]
STRENGTHS = [0.1, 0.25, 0.5, 1, 2, 2.5, 3, 4, 5, 7.5, 8, 10, 12.5, 15, 20, 25, 30, 37.5, 40, 50, 60, 75, 80, 90, 100]
STRENGTHS += [112, 120, 125, 137, 150, 160, 180, 200, 240, 250, 300, 325, 400, 450, 500, 600, 625, 750, 800, 875, 1000]
LIQUID = ("Solution", "Suspension", "Injection", "Infusion", "Syringe")
SALTS = ("hydrochloride", "sodium", "sulfate", "acetate", "maleate", "potassium", "tartrate", "mesylate", "phosphate")


def laboratory(analytes: list[str], seed: str) -> list[Concept]:
    """Some tests of each analyte; synonyms are short names, colon-separated ones and what people type."""
    return [c for name in analytes for c in tests_of(name, random.Random(f"{seed}:{name}"))]


def tests_of(analyte: str, draw: random.Random) -> list[Concept]:
    """Tests of one analyte that differ in property, system or method."""
    found = {}
    own = draw.sample(PROPERTIES, 2)
    for _ in range(draw.randrange(3, 9)):
        (prop, short_prop, said_prop), (system, short_system, said) = (
            draw.choice(own),
            draw.choice(SYSTEMS[:8] + SYSTEMS),
        )
        method, short_method, said_method = draw.choice(METHODS)
        name = f"{analyte} [{prop}] in {system}{method}"
        people = [analyte, draw.choice(said), draw.choice(said_method)]
        if draw.random() < 0.3:
            people.append(said_prop)
        if draw.random() < 0.3:
            draw.shuffle(people)
        found[name] = [
            f"{analyte} {short_system}-{short_prop}{short_method.replace(' ', '-')}",
            f"{analyte}:{short_prop}:Pt:{short_system}:{draw.choice(('Qn', 'Ord', 'Nom'))}:{short_method.strip()}",
            " ".join(p for p in people if p),
            f"{analyte} {prop.lower()} measurement in {system.lower()}{method.lower()}",
        ]
    return [Concept(f"lab:{n}", n, [(t, "EXACT") for t in draw.sample(said, 2)]) for n, said in found.items()]


def medicines(substances: list[str], seed: str) -> list[Concept]:
    """Some clinical drugs of each substance; synonyms are what prescriptions say."""
    return [c for name in substances for c in products_of(name, random.Random(f"{seed}:{name}"))]


def products_of(substance: str, draw: random.Random) -> list[Concept]:
    """Products of one substance that differ in strength or form."""
    found = {}
    at = draw.randrange(len(STRENGTHS) - 6)
    forms = draw.sample(ROUTES, draw.choice((1, 2, 2, 3)))
    salt = f" {draw.choice(SALTS)}" if draw.random() < 0.2 else ""
    brand = invent(draw).capitalize() if draw.random() < 0.3 else ""
    for _ in range(draw.randrange(3, 10)):
        amount = draw.choice(STRENGTHS[at : at + 6])
        form, said = draw.choice(forms)
        unit, per = "MG", f"/{draw.choice((1, 1, 5, 10))} ML".replace("/1 ", "/") if form.split()[-1] in LIQUID else ""
        if form.split()[-1] in ("Cream", "Ointment", "Gel"):
            unit, per, amount = "%", "", amount / 10
        name = f"{substance}{salt} {amount:g} {unit}{per} {form}"
        ordered = [prescription(substance, salt, brand, amount, unit, per, said, draw) for _ in range(2)]
        branded = [f"{name} [{brand}]"] if brand and draw.random() < 0.3 else []
        found[name] = ordered[: 2 - len(branded)] + branded
    return [Concept(f"rx:{n}", n, [(t, "EXACT") for t in texts]) for n, texts in found.items()]


def prescription(
    substance: str,
    salt: str,
    brand: str,
    amount: float,
    unit: str,
    per: str,
    said: tuple[str, ...],
    draw: random.Random,
) -> str:
    """One product as someone ordered it."""
    if unit == "MG":
        amount, unit = draw.choice(written(amount)) if draw.random() < 0.3 else (amount, "mg")
    strength = f"{amount:g}{draw.choice(('', ' '))}{unit}"
    strength += per.replace(" ", draw.choice(("", " "))).lower()
    name = substance + (salt if draw.random() < 0.3 else "")
    name = f"{name} ({brand})" if brand and draw.random() < 0.3 else name
    name = name.upper() if draw.random() < 0.3 else name
    form = draw.choice(said)
    kind = draw.random()
    text = (
        f"{name} {strength} {form}"
        if kind < 0.55
        else f"{name} {form} {strength}"
        if kind < 0.85
        else f"{name} {strength}"
    )
    return text + draw.choice(("", "", "", " daily", " bid", " prn", " q6h", ";"))


def written(milligrams: float) -> list[tuple[float, str]]:
    """Other ways to write an amount."""
    if milligrams >= 250:
        return [(milligrams / 1000, "g"), (milligrams / 1000, "gm")]
    return [(milligrams * 1000, "mcg"), (milligrams * 1000, "ug")] if milligrams < 2 else [(milligrams, "mgs")]


ONSETS = [*"bcdfghklmnprstvz", "br", "cl", "dr", "fl", "gl", "pr", "tr", "th", "ph"]
VOWELS = [*"aeiou", "ia", "io", "eo"]
ENDS = (
    *("in", "ol", "ide", "ine", "ate", "one", "an", "mab", "nib", "pril"),
    *("sartan", "statin", "mycin", "cillin", "azole", "idine", "amide", "pam", "vir", "tide"),
)


def invent(draw: random.Random) -> str:
    """A substance or brand that nobody sells."""
    middle = "".join(draw.choice(ONSETS) + draw.choice(VOWELS) for _ in range(draw.choice((1, 2, 2, 3))))
    return middle + draw.choice(ONSETS) + draw.choice(ENDS)
