"""Training terminologies built by pattern: laboratory tests and medicines whose ingredients no test list has."""

import random
import re

from recipe.ontologies import load_substances, read_mesh
from recipe.patterns import invent, laboratory, medicines
from recipe.sources import Concept, fold

ORGANISMS, SUBSTANCES, INVENTED = 500, 1500, 700
ONE_WORD = re.compile(r"[A-Za-z]{5,14}")
ANALYTES = """
Potassium;Chloride;Calcium;Calcium.ionized;Bicarbonate;Carbon dioxide;Oxygen;pH;Osmolality;Anion gap;Hemoglobin;Hemoglobin A2;
Carboxyhemoglobin;Methemoglobin;Myoglobin;Transferrin;Prealbumin;Globulin;Alpha 1 globulin;Beta globulin;Gamma globulin;
Apolipoprotein B;Lipoprotein (little a);Cholesterol;Cholesterol in VLDL;Fatty acids;Insulin;C peptide;Glucagon;Gastrin;Renin;
Aldosterone;Androstenedione;Dehydroepiandrosterone;Progesterone;Somatotropin;Corticotropin;Calcitonin;Triiodothyronine;
Thyroglobulin Ab;Thyroperoxidase Ab;Aldolase;Cholinesterase;Trypsin;Elastase;Coagulation factor VIII;Antithrombin;Protein S;
Plasminogen;Bleeding time;aPTT;INR;Lupus anticoagulant;Cardiolipin Ab.IgG;Cyclic citrullinated peptide Ab;Smith extractable nuclear Ab;
Mitochondria Ab;Smooth muscle Ab;Immunoglobulin A;Immunoglobulin M;Kappa light chains;Beta-2-Microglobulin;Interleukin 6;
Procalcitonin;Homocysteine;Methionine;Phenylalanine;Tyrosine;Porphyrins;Catecholamines;Metanephrine;Serotonin;Histamine;
Selenium;Aluminum;Arsenic;Cadmium;Acetaldehyde;Methanol;Acetone;Nicotine;Phencyclidine;Amphetamines;Blasts;Band form neutrophils;
Promyelocytes;Plasma cells;Nucleated erythrocytes;CD4 cells;CD8 cells;Schistocytes;Crystals;Mucus;Yeast;Bacteria;Urobilinogen;
Specific gravity;Color;Appearance;Occult blood;Fat;Ova and parasites;Sperm;Birch pollen Ab.IgE;Cow milk Ab.IgE;Wheat Ab.IgE;
Dog epithelium Ab.IgE;Ragweed Ab.IgE;Penicillin Ab.IgE;Soybean Ab.IgE;Alternaria alternata Ab.IgE;Latex Ab.IgE;Honey bee venom Ab.IgE
""".replace("\n", "").split(";")
OF_ORGANISMS = ("Ab", "Ab.IgG", "Ab.IgM", "Ag", "DNA", "RNA", "identified", "Ab.IgE", "rRNA")


def load_laboratory() -> list[Concept]:
    """Tests for common analytes, and for traces of organisms."""
    draw = random.Random(0)
    organisms = [c.name for trees, c in read_mesh() if "B" in trees and "," not in c.name and len(c.name) < 30]
    traces = [f"{name} {draw.choice(OF_ORGANISMS)}" for name in draw.sample(organisms, ORGANISMS)]
    return laboratory(ANALYTES + traces, "learned")


def load_medicines(drugs: set[str]) -> list[Concept]:
    """Products of chemicals that are no drugs, and of substances that do not exist."""
    draw = random.Random(0)
    real = [c.name.lower() for c in load_substances() if ONE_WORD.fullmatch(c.name) and fold(c.name) not in drugs]
    invented = [invent(draw) for _ in range(INVENTED)]
    return medicines([*draw.sample(real, SUBSTANCES), *(n for n in invented if n not in drugs)], "learned")
