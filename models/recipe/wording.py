"""Terms as clinics type them: short forms, capitals, slashes, semicolons, and the tags that terminologies append."""

import random
import re

# General clinical short forms; each may stand for its word or words, and back.
SHORT_FORMS = """
with=w/ w; without=w/o wo; status post=s/p sp; history of=h/o hx hx.of; rule out=r/o; due to=d/t 2/2; and=& +;
secondary to=2/2; fracture=fx frac; diagnosis=dx; treatment=tx; symptoms=sx sxs; history=hx; disease=dz dis; disorder=d/o;
left=l lt lft; right=r rt; bilateral=bilat b/l bil; acute=ac a/c; chronic=chr chron; abdominal=abd abdom; pain=pn;
unspecified=unsp nos; other=oth; not otherwise specified=nos; not elsewhere classified=nec; encounter=enc encntr;
infection=infx inf infec; syndrome=synd syn; carcinoma=ca; cancer=ca; malignant=malig mal; neoplasm=neopl neo; metastatic=mets met;
hypertension=htn; diabetes mellitus=dm; type 2 diabetes mellitus=t2dm dm2 niddm; type 1 diabetes mellitus=t1dm dm1 iddm;
myocardial infarction=mi; congestive heart failure=chf; heart failure=hf; coronary artery disease=cad;
atrial fibrillation=afib a.fib af; deep vein thrombosis=dvt; pulmonary embolism=pe; cerebrovascular accident=cva;
transient ischemic attack=tia; chronic obstructive pulmonary disease=copd; urinary tract infection=uti;
upper respiratory infection=uri; pneumonia=pna pneum; shortness of breath=sob; gastrointestinal=gi; gastroesophageal reflux disease=gerd;
chronic kidney disease=ckd; end stage renal disease=esrd; acute kidney injury=aki; renal failure=rf; hepatitis=hep;
rheumatoid arthritis=ra; osteoarthritis=oa; multiple sclerosis=ms; seizure=sz; headache=ha; hemorrhage=hem hemorr bleed;
altered mental status=ams; loss of consciousness=loc; motor vehicle accident=mva; gunshot wound=gsw; foreign body=fb;
pregnancy=preg; delivery=deliv; newborn=nb newbn; premature=prem; congenital=cong congen; hereditary=hered; familial=fam;
upper=up upr; lower=low lwr; extremity=ext extrem; anterior=ant; posterior=post; superior=sup; inferior=inf; lateral=lat; medial=med;
proximal=prox; distal=dist; vertebra=vert; lumbar=lumb l-; cervical=cerv c-; thoracic=thor t-; ventricular=ventr vent;
artery=art a.; vein=v. vn; muscle=musc m.; nerve=n. nrv; ligament=lig; joint=jt; tendon=tend; stenosis=sten; insufficiency=insuff;
obstruction=obstr obst; perforation=perf; complication=compl comp; procedure=proc; operation=op; replacement=repl; repair=rep;
excision=exc; biopsy=bx; computed tomography=ct; magnetic resonance imaging=mri mr; ultrasound=us u/s; x-ray=xr; examination=exam;
laparoscopic=lap; percutaneous=perc; endoscopic=endo; transplant=txp tx; removal=rem rmvl; injection=inj; catheter=cath;
temperature=temp; pressure=press; blood pressure=bp; heart rate=hr; respiratory=resp; cardiac=card; pulmonary=pulm;
disorder of=d/o; deficiency=def; increased=incr inc ↑; decreased=decr dec ↓; elevated=elev; abnormal=abn abnl; severe=sev;
moderate=mod; mild=mld; recurrent=recur rec; multiple=mult; bacterial=bact; poisoning=poison; accidental=acc; initial=init;
subsequent=subs; level=lvl; measurement=meas; test=tst; antibody=ab; antigen=ag; hemoglobin=hgb hb; hematocrit=hct; white blood cell=wbc;
red blood cell=rbc; platelets=plt; potassium=k; sodium=na; calcium=ca; creatinine=cr creat; count=ct cnt; total=tot; screening=scrn;
intensive care unit=icu; emergency department=ed; tracheostomy=trach; mechanical ventilation=mech vent; major=maj; minor=min;
age=yo; years=yrs; days=d; hours=hrs h; week=wk; month=mo; patient=pt; female=f; male=m; without complication=w/o cc; with complication=w cc
"""
PAIRS = [
    (long.strip(), short.replace(".of", " of"))
    for entry in SHORT_FORMS.replace("\n", " ").split(";")
    for long, shorts in [entry.split("=")]
    for short in shorts.split()
]
BY_LONG: dict[str, list[str]] = {}
for _long, _short in PAIRS:
    BY_LONG.setdefault(_long, []).append(_short)
LONGEST_FIRST = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, BY_LONG), key=len, reverse=True)) + r")\b", re.IGNORECASE
)
TAGS = (
    "(disorder)",
    "(finding)",
    "(procedure)",
    "(morphologic abnormality)",
    "(situation)",
    "(body structure)",
    "(substance)",
)
LAYERS = (
    "NOS",
    "unspecified",
    ", NOS",
    "- unspecified",
    "[D]",
    "[X]",
    "(& [X])",
    "or",
    "of unspecified site",
    "for laboratory",
)


def telegram(text: str, draw: random.Random) -> str:
    """The term as typed in a hurry."""
    text = LONGEST_FIRST.sub(lambda m: draw.choice(BY_LONG[m[0].lower()]) if draw.random() < 0.6 else m[0], text)
    words = text.split(" ")
    for at, word in enumerate(words):
        if len(word) > 6 and draw.random() < 0.15:
            words[at] = cut_short(word, draw)
    words = [w for w in words if w.lower() not in ("of", "the", "in", "to") or draw.random() < 0.6]
    if len(words) > 2 and draw.random() < 0.25:
        cut = draw.randrange(1, len(words))
        words = [
            *words[cut:],
            ("," if draw.random() < 0.3 else "/" if draw.random() < 0.2 else "") + words[0],
            *words[1:cut],
        ]
    text = draw.choice((" ", " ", " ", "  ", " ")).join(words)
    text = text.upper() if draw.random() < 0.6 else text
    return (
        draw.choice(("", "", "", "R/O ", "?", "ADMIT ", "hx ", "s/p ")) * (draw.random() < 0.3)
        + text
        + draw.choice(("", "", "", ";", ";", ".", " ;", "\\", "/SDA"))
    )


def cut_short(word: str, draw: random.Random) -> str:
    """A long word without its end, or without vowels."""
    if draw.random() < 0.6:
        return word[: draw.randrange(4, len(word) - 1)] + draw.choice(("", "", "."))
    return word[0] + re.sub(r"[aeiou]", "", word[1:])


def tag_some(texts: list[str], draw: random.Random) -> list[str]:
    """A tag or layer that hardly says anything, on the query or on all that is offered for it."""
    tag = draw.choice(TAGS if draw.random() < 0.6 else LAYERS)
    if draw.random() < 0.5:
        return [f"{texts[0]} {tag}", *texts[1:]]
    return [texts[0], *(f"{text} {tag}" for text in texts[1:])]
