"""Names of medicines by the pattern of clinical drugs, and what prescriptions make of them.

The ingredients are facts, nobody's list: strengths, units, routes and dose forms. The substances are passed in, so that
training and test never share one.
"""

import random
from dataclasses import dataclass

from recipe.sources import Concept

# What a form's strength is told of; of PERCENT the name says so too, of IN_PERCENT prescriptions alone.
EACH, PER_ML, PERCENT, IN_PERCENT, PER_HOUR, PER_PUFF = range(6)


@dataclass(frozen=True)
class Form:
    """A dose form as a clinical drug's name says it, and as prescriptions do."""

    name: str
    said: tuple[str, ...]
    measure: str = EACH


FORMS = [
    Form("Oral Tablet", ("tab", "tabs", "tablet", "tablets", "po", "tab po", "tabs oral")),
    Form("Oral Capsule", ("cap", "caps", "capsule", "capsules", "capsule oral")),
    Form(
        "Extended Release Oral Tablet",
        ("XR tab", "ER tabs", "SR tablet", "XL tab", "tablet extended release", "12 hr tab"),
    ),
    Form("Extended Release Oral Capsule", ("XR cap", "ER caps", "SR capsule", "24h cap")),
    Form("Delayed Release Oral Tablet", ("EC tab", "DR tablet", "enteric coated tablet", "tab", "tablet")),
    Form("Delayed Release Oral Capsule", ("DR cap", "EC capsule", "cap", "capsule")),
    Form("Chewable Tablet", ("chew tab", "chewable tab", "chewtabs")),
    Form("Disintegrating Oral Tablet", ("ODT", "tab rapdis")),
    Form("Sublingual Tablet", ("SL tab", "tab subl")),
    Form("Powder for Oral Solution", ("packet", "powder packet", "pkt", "sachet")),
    Form("Oral Solution", ("soln", "oral soln", "liquid po", "liq", "elixir", "liquid", "syrup", "UD cup"), PER_ML),
    Form("Oral Suspension", ("susp", "oral susp", "suspension po", "oral liquid"), PER_ML),
    Form("Injection", ("inj", "vial", "iv push", "vial iv", "powder vial")),
    Form("Injection", ("inj", "syringe", "iv push", "vial", "amp"), PER_ML),
    Form(
        "Injectable Solution",
        ("inj", "vial", "iv", "injection", "amp", "im inj", "ivpb", "premix bag", "bag", "MDV"),
        PER_ML,
    ),
    Form("Intravenous Infusion", ("iv inf", "ivpb", "bag", "infusion", "premix", "gtt"), PER_ML),
    Form("Prefilled Syringe", ("pfs", "syringe", "syr"), PER_ML),
    Form("Pen Injector", ("pen", "flexpen", "pen inj"), PER_ML),
    Form("Topical Cream", ("crm", "cream", "cr top", "cream topical"), PERCENT),
    Form("Topical Cream", ("crm", "cream", "cr top", "cream topical"), IN_PERCENT),
    Form("Topical Ointment", ("oint", "ung", "ointment"), PERCENT),
    Form("Topical Ointment", ("oint", "ung", "ointment"), IN_PERCENT),
    Form("Topical Gel", ("gel", "gel top"), PERCENT),
    Form("Ophthalmic Solution", ("eye drops", "ophth soln", "opth drops", "gtt ou"), IN_PERCENT),
    Form("Otic Solution", ("ear drops", "otic soln"), IN_PERCENT),
    Form("Metered Dose Inhaler", ("MDI", "inhaler", "puffs", "HFA inhaler"), PER_PUFF),
    Form("Dry Powder Inhaler", ("diskus", "DPI", "inhaler"), PER_PUFF),
    Form("Inhalation Solution", ("neb", "neb soln", "nebuliser", "inh soln"), PER_ML),
    Form("Nasal Spray", ("nasal spr", "nose spray", "spray nas", "nasal"), PER_PUFF),
    Form("Transdermal System", ("patch", "td patch", "transdermal patch"), PER_HOUR),
    Form("Rectal Suppository", ("supp", "suppository pr", "supp rect", "pr")),
]
STRENGTHS = [0.1, 0.25, 0.5, 1, 2, 2.5, 3, 4, 5, 7.5, 8, 10, 12.5, 15, 20, 25, 30, 37.5, 40, 50, 60, 75, 80, 90, 100]
STRENGTHS += [112, 120, 125, 137, 150, 160, 180, 200, 240, 250, 300, 325, 400, 450, 500, 600, 625, 750, 800, 875, 1000]
UNITS = {  # by a name's word: how often of a hundred, times how many, and what prescriptions call it
    "MG": (85, 1, ("mg",)),
    "UNT": (10, 100, ("units", "unit", "u", "IU")),
    "MEQ": (5, 1, ("mEq", "meq")),
}
VOLUMES = (1, 1, 2, 2, 3, 4, 5, 5, 10, 10, 20, 50, 100)  # of what a vial, an ampoule or a bag holds
SALTS = ("hydrochloride", "sodium", "sulfate", "acetate", "maleate", "potassium", "tartrate", "mesylate", "phosphate")
ORDERS = {
    "{name} {strength} {form}": 50,
    "{name} {form} {strength}": 25,
    "{name} ({form}) {strength}": 5,
    "{strength} {name} {form}": 5,
    "{name} {strength}": 15,
}
TAILS = ("", "", "", " daily", " bid", " prn", " q6h", ";")


@dataclass(frozen=True)
class Product:
    """A clinical drug: substances with their amounts in one unit and form."""

    substances: tuple[str, ...]
    salt: str
    brand: str
    amounts: tuple[float, ...]
    unit: str
    form: Form
    per: int  # millilitres that an amount is told for
    volume: int  # millilitres that are in one, or 0 where the name doesn't say

    @property
    def name(self) -> str:
        """As a clinical drug's name is built."""
        parts = [f"{s}{self.salt} {self.strength(a)}" for s, a in zip(self.substances, self.amounts, strict=True)]
        return (f"{self.volume} ML " if self.volume else "") + f"{' / '.join(parts)} {self.form.name}"

    def strength(self, amount: float) -> str:
        """An amount in the name's words."""
        measure = self.form.measure
        if measure == PERCENT:
            return f"{amount / 10:g} %"
        if measure in (PER_HOUR, PER_PUFF):
            return f"{amount / 1000:g} MG/{'HR' if measure == PER_HOUR else 'ACTUAT'}"
        per = "" if measure == EACH else "/ML" if self.per == 1 else f"/{self.per} ML"
        return f"{amount:g} {self.unit}{per}"


def medicines(substances: list[str], seed: str) -> list[Concept]:
    """Some clinical drugs of each substance; synonyms are what prescriptions say."""
    return [c for name in substances for c in products_of(name, substances, random.Random(f"{seed}:{name}"))]


def products_of(substance: str, others: list[str], draw: random.Random) -> list[Concept]:
    """Products of one substance, or of it with another, that differ in strength or form."""
    found = {}
    at = draw.randrange(len(STRENGTHS) - 6)
    forms = draw.sample(FORMS, draw.choice((1, 2, 2, 3)))
    salt = f" {draw.choice(SALTS)}" if draw.random() < 0.2 else ""
    brand = invent(draw).capitalize() if draw.random() < 0.3 else ""
    measured_in = draw.choices(list(UNITS), [often for often, _, _ in UNITS.values()])[0]
    substances = (substance, draw.choice(others)) if draw.random() < 0.1 else (substance,)
    quantified = draw.random() < 0.3
    for _ in range(draw.randrange(3, 10)):
        form = draw.choice(forms)
        unit = measured_in if form.measure in (EACH, PER_ML) else "MG"
        amounts = tuple(draw.choice(STRENGTHS[at : at + 6]) * UNITS[unit][1] for _ in substances)
        per = draw.choice((1, 1, 1, 1, 5, 10)) if form.measure == PER_ML else 1
        volume = draw.choice(VOLUMES) if quantified and form.measure == PER_ML else 0
        product = Product(substances, salt, brand, amounts, unit, form, per, volume)
        branded = [f"{product.name} [{brand}]"] if brand and draw.random() < 0.3 else []
        found[product.name] = [prescription(product, draw) for _ in range(2 - len(branded))] + branded
    return [Concept(f"rx:{n}", n, [(t, "EXACT") for t in texts]) for n, texts in found.items()]


def prescription(product: Product, draw: random.Random) -> str:
    """A product as someone ordered it."""
    name = draw.choice(("-", "/", " / ")).join(product.substances)
    if draw.random() < 0.3:
        name += product.salt or draw.choice(("", "", f" {draw.choice(SALTS)}", " HCl"))
    name = f"{name} ({product.brand})" if product.brand and draw.random() < 0.3 else name
    name = name.upper() if draw.random() < 0.3 else name
    form = draw.choice(product.form.said)
    order = draw.choices(list(ORDERS), list(ORDERS.values()))[0]
    return order.format(name=name, strength=ordered_strength(product, draw), form=form) + draw.choice(TAILS)


def ordered_strength(product: Product, draw: random.Random) -> str:
    """A product's strength as prescriptions write it: of all that a vial holds, in per cent, in another unit."""
    measure, amounts = product.form.measure, product.amounts
    unit, space = draw.choice(UNITS[product.unit][2]), draw.choice(("", " "))
    if measure in (PERCENT, IN_PERCENT):
        return draw.choice(("-", "/")).join(f"{a / 10:g}" for a in amounts) + space + "%"
    if measure in (PER_HOUR, PER_PUFF):
        said = ("/hr", "/h", "/hour") if measure == PER_HOUR else ("/puff", "/inh", "", " per actuation")
        return "-".join(f"{a:g}" for a in amounts) + space + "mcg" + draw.choice(said)
    if measure == EACH:
        return together(list(amounts), unit, space, draw)
    return ordered_liquid(product, unit, space, draw)


def ordered_liquid(product: Product, unit: str, space: str, draw: random.Random) -> str:
    """What a vial, an ampoule or a bag holds, "40mg/4mL", or a percentage."""
    amounts = product.amounts
    volume = product.volume or draw.choice((product.per, product.per, draw.choice(VOLUMES)))
    holds = f"{volume}{space}mL"
    if product.unit == "MG" and len(amounts) == 1 and draw.random() < 0.1:
        return f"{amounts[0] / product.per / 10:g}%" + draw.choice(("", f" {holds}"))
    whole = [amount * volume / product.per for amount in amounts]
    of_more = (f"/{holds}", f"/{holds}", f" / {holds}")
    said = draw.choice(of_more if volume > 1 else ("/mL", "/1mL", " per mL"))
    return together(whole, unit, space, draw) + (said if draw.random() < 0.9 else "")


def together(amounts: list[float], unit: str, space: str, draw: random.Random) -> str:
    """Amounts of one product, "5mg-325mg", "5/325" or "0.5 g"."""
    if len(amounts) > 1:
        apart = draw.choice(("-", "/"))
        each = "" if draw.random() < 0.5 else unit
        return apart.join(f"{a:g}{each}" for a in amounts)
    amount = amounts[0]
    if unit == "mg" and draw.random() < 0.3:
        amount, unit = draw.choice(written(amount))
    number = f"{amount:,g}" if draw.random() < 0.3 else f"{amount:.10g}"
    return f"{number}{space}{unit}"


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
