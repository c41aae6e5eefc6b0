"""The pairs that every bundle is proved on: terminology as it is met, in several languages, from a word to a page."""

_DISCHARGE = (
    "78-year-old man admitted with three days of increasing breathlessness, orthopnoea and swelling of both "
    "legs. History of ischaemic heart disease with inferior myocardial infarction in 2009, type 2 diabetes "
    "mellitus treated with metformin 1000 mg twice daily, chronic kidney disease stage 3b (eGFR 38 mL/min/1.73 "
    "m2) and permanent atrial fibrillation under apixaban 2.5 mg. On examination: blood pressure 158/94 mmHg, "
    "pulse 112/min irregular, SpO2 88 % on room air, bibasal crackles, jugular venous pressure raised, pitting "
    "oedema to the knees. NT-proBNP 8,412 ng/L, troponin T 31 ng/L without dynamics, creatinine 171 umol/L, "
    "potassium 5.3 mmol/L, haemoglobin 10.2 g/dL. Echocardiography: left ventricular ejection fraction 31 %, "
    "moderate functional mitral regurgitation, estimated systolic pulmonary pressure 52 mmHg. Treated with "
    "intravenous furosemide, oxygen by nasal cannula and a reduced dose of bisoprolol; sacubitril/valsartan was "
    "begun on day four once the potassium had fallen. "
)

PAIRS: tuple[tuple[str, str], ...] = (
    ("a", "b"),
    ("", "Fever"),
    ("MI", "Myocardial infarction"),
    ("heart attack", "Acute myocardial infarction"),
    ("heart attack", "Panic attack"),
    ("T2DM w/ neuropathy, L>R", "Polyneuropathy due to type 2 diabetes mellitus"),
    ("BP high!!", "Essential (primary) hypertension"),
    (
        "parotid gland swelling, left side, no fever",
        "Sialadenitis of the left parotid gland without mention of abscess",
    ),
    ("Zuckerkrankheit, nicht insulinpflichtig", "Diabetes mellitus Typ 2 ohne Komplikationen"),
    ("fractura de cadera", "Fractura cerrada del cuello del fémur"),
    ("insuffisance rénale aiguë", "Acute kidney injury"),
    ("острый аппендицит", "Acute appendicitis with localized peritonitis"),
    ("急性心筋梗塞", "急性前壁ST上昇型心筋梗塞"),
    ("高血压病3级", "Hypertensive heart disease without heart failure"),
    ("ضيق التنفس", "Dyspnea on exertion"),
    ("두통", "편두통, 조짐을 동반하지 않은"),
    ("paracetamol 500mg tab", "acetaminophen 500 MG Oral Tablet [Tylenol]"),
    ("Hb A1c", "Hemoglobin A1c/Hemoglobin.total in Blood by HPLC (LOINC 4548-4) 🩸"),
    ("decompensated heart failure", _DISCHARGE),
    ("pulmonary oedema?", _DISCHARGE[:520]),
    (_DISCHARGE, "Acute on chronic systolic (congestive) heart failure"),
)
