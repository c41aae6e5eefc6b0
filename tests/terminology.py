"""Real terms in several languages, from one token to some five hundred."""

TERMS = [
    "Hypertension", "Essential (primary) hypertension", "Hypotension", "Orthostatic hypotension", "High blood pressure",
    "Type 2 diabetes mellitus without complications", "Diabetes mellitus type II", "Sugar diabetes", "T2DM",
    "Fracture of left femur", "Fracture of right femur", "fx neck of femur, L", "Myocardial infarction", "MI", "STEMI",
    "Acute ST elevation myocardial infarction of inferior wall", "Heart attack", "Cardiac arrest", "Pain", "a", "0",
    "Hemoglobin A1c/Hemoglobin.total in Blood", "HbA1c (%)", "Glucose [Mass/volume] in Serum or Plasma", "K+ 3,5 mmol/L",
    "Paracetamol 500 mg Oral Tablet", "acetaminophen 325 MG / hydrocodone bitartrate 5 MG Oral Tablet", "Aspirin",
    "Hipertensión arterial", "Hipotensão ortostática", "Fièvre jaune", "Herzinfarkt", "Bluthochdruck", "Мигрень",
    "高血圧", "糖尿病", "심근경색", "ارتفاع ضغط الدم", "उच्च रक्तचाप", "Zuckerkrankheit, nicht näher bezeichnet",
    "Pneumonia due to SARS-CoV-2", "COVID-19", "  spaces   around  ", "tab\there", "Crohn’s disease", "µg/dL", "naïve",
    "cafe\u0301-au-lait spot", "Ménière's disease", "β-thalassaemia", "α-1-antitrypsin deficiency", "👶 birth", "N/A",
]  # fmt: skip

_NOTE = "Patient with long-standing arterial hypertension, now presenting with headache, blurred vision and epistaxis. "
LONG_TEXTS = [_NOTE, _NOTE * 5, _NOTE * 22, "Гипертоническая болезнь сердца. " * 20]
