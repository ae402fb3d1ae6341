"""Names that nobody bears on purpose: put together from invented syllables, and invented places."""

from random import Random
from typing import Final

FEMALE: Final = (
    "Aldira", "Amerell", "Brisene", "Calunna", "Celwyn", "Danessa", "Dorlise", "Edrina", "Elvanne",
    "Fenella", "Florisa", "Galenna", "Hesperie", "Ilvara", "Isaline", "Jorunelle", "Kalinde",
    "Leonisse", "Lirael", "Maravel", "Melusane", "Nerissa", "Noremi", "Odalune", "Orelia",
    "Perenna", "Quillane", "Rosaveth", "Sabrielle", "Selunde", "Taliwen", "Thessane", "Ulvira",
    "Valenne", "Velisse", "Wilmaris", "Xanthea", "Yselle", "Zarine", "Zelmira",
)  # fmt: skip
MALE: Final = (
    "Adrevan", "Alcorin", "Bastren", "Belmar", "Caedrin", "Corvane", "Dariel", "Delmoth", "Edvarin",
    "Eskander", "Fabrion", "Galdric", "Gorvenal", "Hadrec", "Halvorn", "Idrian", "Ivaro", "Jorveth",
    "Kaspren", "Kelmar", "Leandrin", "Lorcan", "Madrec", "Merovan", "Nestorin", "Norvell", "Odvar",
    "Orsanne", "Peregan", "Quentric", "Radovane", "Rolvan", "Sandric", "Severyn", "Tancred",
    "Theoval", "Ulmaric", "Valdren", "Wendrick", "Zoltaric",
)  # fmt: skip

_BEGINNINGS: Final = (
    "Al", "Bar", "Ben", "Bor", "Cal", "Cor", "Dal", "Dor", "El", "Fal", "Fen", "Gar", "Hal", "Har",
    "Il", "Jas", "Kel", "Lan", "Lor", "Mar", "Mel", "Nar", "Nor", "Ol", "Os", "Pel", "Per", "Quin",
    "Ral", "Ros", "Sal", "Sel", "Tam", "Tor", "Ul", "Val", "Ver", "Wes", "Yar", "Zan",
)  # fmt: skip
_MIDDLES: Final = ("a", "de", "e", "i", "la", "mi", "ne", "o", "ri", "ve")
_ENDINGS: Final = (
    "bek", "court", "dale", "dorf", "feld", "gren", "holt", "kamp", "lund", "mont", "nell", "quist",
    "rath", "sen", "stad", "thal", "ton", "vane", "wick", "zier",
)  # fmt: skip

STREETS: Final = (
    "Cedar Lane",
    "Fountain Row",
    "Harbour Road",
    "Hill Street",
    "Mill Way",
    "Orchard Close",
    "Temple Walk",
)
PLACES: Final = (
    ("Asklepia", "90001"), ("Dornhaven", "90002"), ("Eastmere", "90003"), ("Hygiea Falls", "90004"),
    ("Lower Panacea", "90005"), ("Marrowfield", "90006"), ("Telesphor", "90007"), ("Westmere", "90008"),
)  # fmt: skip
COUNTRY: Final = "ZZ"
"""ISO 3166 keeps ZZ for the user to assign: these places are nowhere."""


def draw_family(random: Random) -> str:
    """Draw a family name, one of 8,000."""
    return random.choice(_BEGINNINGS) + random.choice(_MIDDLES) + random.choice(_ENDINGS)


def draw_given(random: Random, *, is_male: bool) -> str:
    """Draw a given name."""
    return random.choice(MALE if is_male else FEMALE)
