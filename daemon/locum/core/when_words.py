"""The words that name days, in English and German: see `locum.core.when`."""

from __future__ import annotations

import re


def _any(*alternatives: str) -> str:
    return "(?:" + "|".join(alternatives) + ")"


def _compiled(pattern: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.-]){pattern}(?!\w)", flags)


_NAMES = (
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"),
)
WEEKDAYS = {name: n for names in _NAMES for n, name in enumerate(names)} | {
    "sonnabend": 5,
    **dict(zip(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), range(7), strict=True)),
    "tues": 1,
    "weds": 2,
    "thur": 3,
    "thurs": 3,
}
_FULL = _any(*_NAMES[0], *_NAMES[1], "sonnabend")
_SHORT = _any("Mon", "Tues?", "Weds?", "Thu(?:rs?)?", "Fri", "Sat", "Sun") + r"\.?"

MONTHS = {
    name: n
    for names in (
        "january february march april may june july august september october november december",
        "jan feb mar apr may jun jul aug sep oct nov dec",
        "januar februar märz april mai juni juli august september oktober november dezember",
        "jänner feber maerz april mai juno julei august sept okt november dez",
    )
    for n, name in enumerate(names.split(), start=1)
}
_MONTH = _any(*sorted(MONTHS, key=len, reverse=True)) + r"\.?"
_SURE_MONTH = _any(
    *sorted(set(MONTHS) - {"may", "mar", "march", "dec", "jan", "sep"}, key=len, reverse=True)
)

NEXT = ("next", "nächst", "naechst", "following", "folgend")
PAST = frozenset(
    (
        "last",
        "previous",
        "letzten",
        "letzter",
        "letzte",
        "letztes",
        "vorigen",
        "voriger",
        "vergangenen",
        "vergangener",
        "past",
        "every",
        "each",
        "jeden",
        "jede",
        "jeder",
        "jedes",
    )
)
_WHICH = _any(
    "next", "this", "the following", "following", "coming", "this coming", "last", "previous",
    "past", "every", "each",
    "übernächste[nrsm]?", "(?:am |den )?nächste[nrsm]?", "naechste[nrsm]?", "kommende[nrsm]?", "diese[nrsm]?",
    "letzte[nrsm]?", "vorige[nrsm]?", "vergangene[nrsm]?", "jede[nrsm]?", "laufende[nrsm]?",
)  # fmt: skip

DAYS = {
    "today": 0, "tonight": 0, "this afternoon": 0, "this morning": 0, "this evening": 0,
    "tomorrow": 1, "tomorrow morning": 1, "tomorrow afternoon": 1, "tomorrow evening": 1,
    "tomorrow night": 1, "the day after tomorrow": 2, "day after tomorrow": 2,
    "heute": 0, "heute abend": 0, "heute mittag": 0, "heute nachmittag": 0, "heute noch": 0,
    "noch heute": 0, "heute morgen": 0, "heute vormittag": 0,
    "morgen": 1, "morgen früh": 1, "morgen abend": 1, "morgen mittag": 1, "morgen vormittag": 1,
    "morgen nachmittag": 1, "übermorgen": 2, "uebermorgen": 2,
}  # fmt: skip
DAY = _compiled(
    r"(?:first thing |gleich )?(?P<day>"
    + "|".join(
        re.escape(each).replace(r"\ ", r"\s+") for each in sorted(DAYS, key=len, reverse=True)
    )
    + ")"
)
# "Guten Morgen", "am Morgen": the time of day. "Wie heute besprochen" stays a day, and harmless.
NO_DAY = _compiled(
    r"(?:(?:guten|schönen|am|jeden|heute|gestern) morgen(?! früh)|good morning|"
    r"yesterday(?: \w+)?|gestern(?: \w+)?|vorgestern|(?:the )?day before yesterday|"
    rf"(?:{_FULL}s)(?= |$|[.,])|montags|dienstags|mittwochs|donnerstags|freitags|"
    rf"{_FULL} (?:last|vergangene[rn]?) (?:week|woche)|(?:last|letzten) {_FULL}|"
    r"as of (?:today|tomorrow)|(?:today|heute) in (?:general|particular))"
)

_TIME = (
    r"(?: ?,? (?:at |by |um |bis )?(?:noon|midnight|eod|cob|end of day|lunch(?:time)?|"
    r"(?:the |in the )?(?:morning|afternoon|evening)|night|"
    r"\d{1,2}(?::\d{2})? ?(?:[ap]\.?m\.?|o'clock|uhr)|at \d{1,2}(?::\d{2})?|"
    r"früh|mittag|vormittag|nachmittag|abend))?"
)
WEEKDAY = _compiled(
    rf"(?:first thing )?(?:(?P<which>{_WHICH})\s+)?(?P<weekday>{_FULL})"
    rf"(?:(?P<which2> next)(?! week|\w)|(?P<after> after next| in einer woche| week(?!\w)| in a week))?{_TIME}"
)
SHORT_WEEKDAY = _compiled(
    rf"(?:(?P<which>next|this)\s+)?(?P<weekday>(?<=by )(?:{_SHORT})|(?<=on )(?:{_SHORT})|"
    rf"(?<=next )(?:{_SHORT})|(?<=until )(?:{_SHORT})){_TIME}",
    0,
)
_WEEK = r"(?P<week>(?:the )?(?:next|this|following) week|(?:nächster?|naechster?|dieser?|kommender?) woche)"
WEEKDAY_OF_WEEK = _compiled(rf"(?P<weekday>{_FULL}),? (?:of |in |in der )?{_WEEK}")
WEEK_OF_WEEKDAY = _compiled(rf"{_WEEK},? (?:on |am )?(?P<weekday>{_FULL})")

_NUMBERS = {
    word: n
    for table in (
        ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty"),
        ("null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
        "fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig"),
    )
    for n, word in enumerate(table.split())
} | {"a": 1, "an": 1,  "einem": 1, "einer": 1, "eine": 1, "einen": 1,
     "thirty": 30, "sixty": 60, "ninety": 90, "dreißig": 30, "half an": 0, "half a": 0,
     "einer halben": 0, "another": 1}  # fmt: skip
_COUNT = (
    r"(?P<count>\d{1,4}|"
    + "|".join(sorted(map(re.escape, _NUMBERS), key=len, reverse=True))
    + ")"
)
_UNIT = (
    r"(?P<unit>(?:working |business )?days?|weeks?|fortnights?|months?|years?|hours?|minutes?|mins?|"
    r"tage?n?|werktage?n?|arbeitstage?n?|wochen?|monate?n?|jahre?n?|stunden?|minuten?)(?:'s)?(?: time)?"
)
COUNTED = _compiled(
    rf"(?:in|within|inside|in the next|over the next|innerhalb von|binnen)\s+{_COUNT}[\s-]+{_UNIT}"
)
_FROM = (
    rf"(?:(?P<from_weekday>{_FULL})|(?P<from_day>today|tomorrow|heute|morgen)|now|here|jetzt)"
)
COUNTED_FROM = _compiled(rf"{_COUNT}\s+{_UNIT}\s+(?:from|on|after)\s+{_FROM}")
WEEKDAY_COUNTED = _compiled(rf"{_FROM}\s+in\s+{_COUNT}\s+{_UNIT}")

UNITS = {
    "week": "week", "woche": "week", "weekend": "weekend", "wochenende": "weekend",
    "month": "month", "monats": "month", "monat": "month", "quarter": "quarter",
    "quartals": "quarter", "quartal": "quarter", "year": "year", "jahres": "year", "jahr": "year",
    "business week": "week", "work week": "week", "arbeitswoche": "week", "sprint": "week",
}  # fmt: skip
_SPANS = _any(*(each for each in UNITS if each != "sprint"))
_PART = (
    r"(?P<part>over the(?= weekend)|am(?= wochenende)|übers|(?:the )?(?:very )?(?:end|close) of|late|later|(?:the )?middle of|mid[- ]?|"
    r"(?:the )?(?:start|beginning) of|early|ende?|mitte|anfang)"
)
SPAN = _compiled(
    rf"(?:{_PART}\s*)?"
    rf"(?:(?P<which>{_WHICH}|the|der|des)\s+)?"
    rf"(?P<span>{_SPANS})(?P<which2> after next)?(?:'s end)?"
)
ARTICLES = frozenset(("the", "der", "des"))
BY = re.compile(r"\b(?:by|before|until|till|bis(?: zum)?|vor(?: dem)?)\s+$", re.IGNORECASE)
BEFORE = re.compile(r"(?:before|vor)\b", re.IGNORECASE)
AFTER_NEXT = re.compile(r" after next|übernächst")
NUMBERED_QUARTER = _compiled(
    rf"(?:{_PART}\s*)?(?:the )?Q(?P<quarter>[1-4])(?:\s+(?P<year>20\d\d))?"
)
NAMED_MONTH = _compiled(
    rf"(?:{_PART}\s*|(?<=in )|(?<=im )|(?<=by )|(?<=until )|(?<=bis ))(?P<month>{_MONTH})"
    r"(?!\s*(?:the\s+)?\d{1,2}(?:st|nd|rd|th|\b))(?:\s+(?P<year>20\d\d))?"
)

_ORDINALS = {
    word: n
    for table in (
        (
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
            "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
        ),
        (
            "erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte elfte zwölfte "
            "dreizehnte vierzehnte fünfzehnte sechzehnte siebzehnte achtzehnte neunzehnte zwanzigste"
        ),
    )
    for n, word in enumerate(table.split(), start=1)
}
_ORDINALS |= {
    f"twenty{dash}{word}": 20 + n
    for word, n in list(_ORDINALS.items())[:9]
    for dash in ("-", " ")
}
_ORDINALS |= {"thirtieth": 30, "thirty-first": 31, "thirty first": 31,
              "dreißigste": 30, "einunddreißigste": 31}  # fmt: skip
_ORDINALS |= {
    f"{unit}undzwanzigste": 20 + n
    for n, unit in enumerate(
        ["ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"], start=1
    )
}
_ORDINAL_WORD = _any(*sorted(_ORDINALS, key=len, reverse=True)) + "[nrms]?"
_DOM = rf"(?P<dom>\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL_WORD})"
_TH = rf"(?P<dom>\d{{1,2}}(?:st|nd|rd|th)|{_ORDINAL_WORD})"
_YEAR = r"(?:,?\s+(?P<year>20\d\d))?"
_LED = rf"(?:(?P<weekday>{_FULL}),?\s+(?:the\s+|den\s+|dem\s+)?)?"
MONTH_DAY = _compiled(
    rf"{_LED}(?P<month>{_MONTH})\s+(?:the\s+)?{_DOM}(?![.:,]?\d|%| ?(?:percent|people)){_YEAR}"
)
DAY_MONTH = _compiled(rf"{_LED}(?:the\s+)?{_DOM}\.?\s+(?:of\s+)?(?P<month>{_MONTH}){_YEAR}")
_NO_NOUN = (
    r"(?!\w|\s+(?:floor|century|time|item|version|place|page|one|ones|slide|ticket|point|question|"
    r"draft|street|avenue|person|quarter|half|week|day|thing|step|option|phase|round|part|chapter|"
    r"year|month|edition|grade|candidate|attempt|party|to|of|(?!and |or |if |so |but |at |when |because |"
    r"works|is |then|for |in |with |would|okay|ok |please|latest|maybe|already|we |i |you |he |she |"
    r"they |as |on |by |will |too|und |oder |ist |um |geht|passt)[a-z]+))"
)
DAY_OF_MONTH = _compiled(
    rf"(?:{_LED}(?:(?<=by )|(?<=before )|(?<=until )|(?<=till )|(?<=on )|(?<=for )|(?<=say )|"
    rf"(?<=from )|(?<=after )|(?<=to )|(?<=the ))?the|(?P<weekday2>{_FULL}),? the)\s+{_TH}{_NO_NOUN}"
)
GERMAN_DAY_OF_MONTH = _compiled(
    rf"(?:(?<=bis )|(?<=am )|(?<=zum )|(?<=vor ))?{_LED}(?:(?:zum|am|den|dem|bis)\s+)"
    rf"(?P<dom>\d{{1,2}}(?=\.(?:\s|$|,))|{_ORDINAL_WORD})(?!\.?\s*(?:{_MONTH}|\d|uhr))"
    r"(?!\s+[A-ZÄÖÜ]?[a-zäöü]*(?:stock|mal|punkt|platz|etage))"
)
ISO = _compiled(rf"{_LED}(?P<y>20\d\d)[-/](?P<m>\d{{1,2}})[-/](?P<d>\d{{1,2}})")
DOTTED = _compiled(
    rf"{_LED}(?:(?<=am )|(?<=bis )|(?<=zum )|(?<=den )|(?<=dem )|(?<=vor )|(?<=g, )|(?=\d+\.\s?\d+\.\s?\d))"
    r"(?P<d>\d{1,2})\.\s?(?P<m>\d{1,2})\.(?:\s?(?P<year>20\d\d|\d\d(?=\D|$)))?"
)
SLASHED = _compiled(
    r"(?:(?<=by )|(?<=on )|(?<=before )|(?<=until )|(?=\d+/\d+/20\d\d))"
    r"(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<year>20\d\d|\d\d))?"
)
TODAY = _compiled(
    r"(?:(?:EOD|COB|(?:(?:by |at |until )?(?:the )?(?:end|close) of (?:the )?(?:day|business)))"
    rf"(?!,? (?:on )?(?:{_FULL}|tomorrow|today|next))|"
    r"(?:by|before|at|until|till) (?:noon|midnight|lunch(?:time)?|\d{1,2}(?::\d\d)? ?[ap]\.?m\.?)|"
    r"(?:right |straight |directly |immediately )?after (?:this|the|our) (?:call|meeting|lesson|session|stand-?up)|"
    r"(?:right|straight) away|right now|in a (?:minute|moment|second|sec|bit)|within the hour|"
    r"(?:gleich |direkt |sofort )?nach (?:dem|diesem) (?:meeting|call|termin|gespräch)|"
    r"bis (?:heute )?feierabend|sofort|by tonight|later today|im laufe des tages)"
)
HOLIDAY = _compiled(
    r"(?:year[- ]end|christmas(?: day| eve)?|new year'?s?(?: eve| day)?|weihnachten|heiligabend|silvester|neujahr)"
)

NOT_DUE = re.compile(
    r"(?:\b(?:not|nicht|since|not before|not until|after|from|starting|as of|ago|not by|seit|ab|nach|"
    r"nicht vor|erst)\s+(?:the\s+|dem\s+|am\s+)?)$",
    re.IGNORECASE,
)
LIMIT = re.compile(
    r"\s*(?:by|until|till|til|before|due|no later than|not later than|at the latest|bis|vor|spätestens|zum)\b",
    re.IGNORECASE,
)
PREFIX = re.compile(
    r"\b(?:(?:by|until|till|til|before|due|no later than|not later than|on|over|during|for|sometime|"
    r"eod|cob|(?:the )?(?:end of day|close of business)|"
    r"bis|vor|spätestens|zum|am|im|an|noch|gleich|in|say)\s+){1,3}(?:(?:the|dem|zum|den|der|am|"
    r"say|around|about|on|sometime)\s+){0,2}$",
    re.IGNORECASE,
)
CORRECTION = re.compile(
    r"(?:\bno\b(?! later)|\bnot\b(?! later)|sorry|actually|\bi mean\b|\bi meant\b|rather|make (?:it|that)|wait|scratch|"
    r"or better|\bsay\b|\bnein\b|\bnee\b|quatsch|\bdoch\b|besser|lieber|ich meine|entschuldigung)",
    re.IGNORECASE,
)


def number(text: str) -> int | None:
    """Read "two", "14" or "zwei"."""
    key = " ".join(text.casefold().split())
    return int(key) if key.isdigit() else _NUMBERS.get(key)


def ordinal(text: str) -> int | None:
    """Read "14th", "fourteenth" or "vierzehnten"."""
    digits = re.match(r"\d+", text)
    if digits:
        return int(digits[0])
    key = " ".join(text.casefold().split())
    return next((_ORDINALS[k] for k in (key, key[:-1]) if k in _ORDINALS), None)


def part(text: str | None) -> str:
    """Name the part of a stretch that is meant: "early", "mid", "end", or "" for all of it."""
    key = (text or "").casefold()
    if re.search(r"end|close|late", key):
        return "end"
    if re.search(r"mid|mitte", key):
        return "mid"
    return "early" if key else ""


def holiday(text: str) -> tuple[int, int]:
    """Answer month and day."""
    key = text.casefold()
    if "eve" in key.split() or key == "heiligabend":
        return (12, 24) if key.startswith(("christmas", "heilig")) else (12, 31)
    if key.startswith("year"):
        return 12, 31
    if key.startswith(("christmas", "weihnachten")):
        return 12, 25
    return (12, 31) if key == "silvester" else (1, 1)
