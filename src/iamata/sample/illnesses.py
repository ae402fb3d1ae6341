"""What people have and what they are given for it: SNOMED CT, RxNorm and ATC, as data.

Sources: the SNOMED CT and RxNorm codes are those that the Synthea generator publishes in its modules,
or long-standing codes of the same terminologies; ATC codes are of the WHO's index. Each medicine carries
its ATC code as well, because rules about sensitive medicines are often written in ATC.
"""

from dataclasses import dataclass
from typing import Final

from iamata.sample.codes import ATC, RXNORM, SNOMED, Json, make_concept


@dataclass(frozen=True, slots=True, eq=False)
class Medicine:
    """A product and how it is taken."""

    code: Json
    dosage: str


@dataclass(frozen=True, slots=True, eq=False)
class Illness:
    """A lasting condition, what is prescribed for it, and how often a year it is looked after."""

    code: Json
    age_min: int
    visits_per_year: int = 0
    medicines: tuple[Medicine, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """A condition that passes."""

    code: Json
    days: int
    weight: int
    medicine: Medicine


def _medicine(rxnorm: str, atc: str, display: str, dosage: str) -> Medicine:
    codings = [{"system": RXNORM, "code": rxnorm, "display": display}, {"system": ATC, "code": atc}]
    return Medicine({"coding": codings, "text": display}, dosage)


def _finding(code: str, display: str) -> Json:
    return make_concept(SNOMED, code, display)


METFORMIN: Final = _medicine(
    "860975",
    "A10BA02",
    "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet",
    "1 tablet twice a day",
)
LISINOPRIL: Final = _medicine("314076", "C09AA03", "lisinopril 10 MG Oral Tablet", "1 tablet a day")
AMLODIPINE: Final = _medicine("197361", "C08CA01", "Amlodipine 5 MG Oral Tablet", "1 tablet a day")
THIAZIDE: Final = _medicine(
    "310798", "C03AA03", "Hydrochlorothiazide 25 MG Oral Tablet", "1 tablet in the morning"
)
STATIN: Final = _medicine("312961", "C10AA01", "Simvastatin 20 MG Oral Tablet", "1 tablet in the evening")
CLOPIDOGREL: Final = _medicine("309362", "B01AC04", "Clopidogrel 75 MG Oral Tablet", "1 tablet a day")
NITROGLYCERIN: Final = _medicine(
    "705129", "C01DA02", "Nitroglycerin 0.4 MG/ACTUAT Mucosal Spray", "1 spray when the chest hurts"
)
INHALER: Final = _medicine(
    "896209",
    "R03AK06",
    "60 ACTUAT Fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler",
    "1 inhalation twice a day",
)
IBUPROFEN: Final = _medicine(
    "310965", "M01AE01", "Ibuprofen 200 MG Oral Tablet", "1 tablet when needed, at most 3 a day"
)
PARACETAMOL: Final = _medicine(
    "313782", "N02BE01", "Acetaminophen 325 MG Oral Tablet", "2 tablets when needed"
)
AMOXICILLIN: Final = _medicine(
    "308182", "J01CA04", "Amoxicillin 250 MG Oral Capsule", "1 capsule three times a day"
)
NITROFURANTOIN: Final = _medicine(
    "311989", "J01XE01", "Nitrofurantoin 5 MG/ML Oral Suspension", "20 mL four times a day"
)
SERTRALINE: Final = _medicine("312941", "N06AB06", "sertraline 50 MG Oral Tablet", "1 tablet a day")
ANTIRETROVIRAL: Final = _medicine(
    "643066",
    "J05AR06",
    "efavirenz 600 MG / emtricitabine 200 MG / tenofovir disoproxil fumarate 300 MG Oral Tablet",
    "1 tablet in the evening",
)
CONTRACEPTIVE: Final = _medicine("748962", "G03AC01", "Camila 28 Day Pack", "1 tablet a day")

ILLNESSES: Final = {
    "hypertension": Illness(
        _finding("59621000", "Essential hypertension (disorder)"), 25, 1, (LISINOPRIL, AMLODIPINE, THIAZIDE)
    ),
    "diabetes": Illness(_finding("44054006", "Diabetes mellitus type 2 (disorder)"), 30, 2, (METFORMIN,)),
    "hyperlipidaemia": Illness(_finding("55822004", "Hyperlipidemia (disorder)"), 25, 0, (STATIN,)),
    "heart_disease": Illness(
        _finding("53741008", "Coronary arteriosclerosis (disorder)"),
        40,
        2,
        (CLOPIDOGREL, STATIN, NITROGLYCERIN),
    ),
    "heart_failure": Illness(
        _finding("84114007", "Heart failure (disorder)"), 45, 2, (LISINOPRIL, THIAZIDE)
    ),
    "stroke": Illness(_finding("230690007", "Cerebrovascular accident (disorder)"), 40, 1, (CLOPIDOGREL,)),
    "kidney_disease": Illness(
        _finding("709044004", "Chronic kidney disease (disorder)"), 40, 1, (LISINOPRIL,)
    ),
    "lung_disease": Illness(
        _finding("13645005", "Chronic obstructive lung disease (disorder)"), 40, 1, (INHALER,)
    ),
    "asthma": Illness(_finding("195967001", "Asthma (disorder)"), 3, 1, (INHALER,)),
    "osteoarthritis": Illness(_finding("396275006", "Osteoarthritis (disorder)"), 40, 0, (IBUPROFEN,)),
    "depression": Illness(
        _finding("370143000", "Major depressive disorder (disorder)"), 14, 1, (SERTRALINE,)
    ),
    "alcohol_use": Illness(_finding("15167005", "Harmful pattern of use of alcohol (disorder)"), 18),
    "hiv": Illness(
        _finding("86406008", "Human immunodeficiency virus infection (disorder)"), 18, 2, (ANTIRETROVIRAL,)
    ),
}
"""By the names that `risks` uses."""

OBESITY: Final = _finding("162864005", "Body mass index 30+ - obesity (finding)")
HEART_ATTACK: Final = _finding("22298006", "Myocardial infarction (disorder)")
BREAST_CANCER: Final = _finding("254837009", "Malignant neoplasm of breast (disorder)")

EPISODES: Final = (
    Episode(_finding("195662009", "Acute viral pharyngitis (disorder)"), 10, 30, PARACETAMOL),
    Episode(_finding("444814009", "Viral sinusitis (disorder)"), 14, 25, IBUPROFEN),
    Episode(_finding("10509002", "Acute bronchitis (disorder)"), 14, 20, AMOXICILLIN),
    Episode(_finding("38822007", "Cystitis (disorder)"), 7, 10, NITROFURANTOIN),
    Episode(_finding("70704007", "Sprain of wrist (disorder)"), 21, 15, IBUPROFEN),
)

ALLERGIES: Final = (
    (_finding("419474003", "Allergy to mould (finding)"), "environment"),
    (_finding("232350006", "House dust mite allergy (finding)"), "environment"),
    (_finding("418689008", "Allergy to grass pollen (finding)"), "environment"),
    (_finding("419263009", "Allergy to tree pollen (finding)"), "environment"),
    (_finding("91934008", "Allergy to nut (finding)"), "food"),
    (_finding("417532002", "Allergy to fish (finding)"), "food"),
    (_finding("91935009", "Allergy to peanut (finding)"), "food"),
    (_finding("91936005", "Allergy to penicillin (finding)"), "medication"),
)

CORONARY_INTERVENTION: Final = _finding("415070008", "Percutaneous coronary intervention (procedure)")
ELECTROCARDIOGRAM: Final = _finding("29303009", "Electrocardiographic procedure (procedure)")
SPIROMETRY: Final = _finding("127783003", "Spirometry (procedure)")
COLONOSCOPY: Final = _finding("73761001", "Colonoscopy (procedure)")
INTRAUTERINE_DEVICE: Final = _finding(
    "65200003", "Insertion of intrauterine contraceptive device (procedure)"
)
