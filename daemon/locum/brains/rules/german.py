"""German: verbs stand second or last, so that a promise is often told by its whole clause."""

from __future__ import annotations

from locum.brains.rules.lexicon import Lexicon, phrase, word_set
from locum.brains.rules.names import WHO

_VP = r"(?P<vp>.+)"
_LEAD = r"^(?:(?:und|also|okay|ok|oh|ah|gut|na gut|prima|super|alles klar|ja|nein|nee|klar|genau|stimmt|dann|hm+|äh|ähm|danke|in ordnung)\b[,.! ]*)*"

# First persons that promise work, as heard: "ich schicke", "schick ich".
DO = (
    r"(?:schicke?|sende?|mache?|übernehme|kümmere|frage?|rufe?|schreibe?|besorge?|buche?|bestelle?|prüfe?|"
    r"erstelle?|kläre?|melde?|bereite?|organisiere?|liefere|gebe?|bringe?|hole?|reserviere?|informiere?|"
    r"spreche?|rede|schaue?|sage?|lade?|trage?|setze?|stelle?|überarbeite|aktualisiere|teste?|repariere|"
    r"verschicke|reiche?|sammle|leite|plane|baue?|lege?|fasse|richte|treffe|ziehe?|fahre?|kaufe?|bezahle?|"
    r"überweise?|recherchiere|dokumentiere|koordiniere|vereinbare|ergänze|korrigiere|poste|lese|backe?)"
)

GERMAN = Lexicon(
    language="de",
    marks=word_set(
        "ich und der die das ist nicht wir ja ein eine es auch mit noch dann aber auf den "
        "was haben sie du für mal schon wie bis uns kann doch sind zu hab habe gut machen "
        "mach ihr im dem wer oder mir"
    ),
    stop=word_set(
        "ich und der die das ist nicht wir eine einen einer einem auch mit noch dann aber "
        "auf den dem des für mal schon bis uns kann kannst können könnten könnte sind "
        "habe haben werde wird werden würde würden mache machen macht mach gut klar bitte "
        "morgen heute woche monat montag dienstag mittwoch donnerstag freitag samstag "
        "sonntag ihnen euch dir mir ihn ihm nächste nächsten gleich sich muss müssen "
        "vorerst lassen"
    ),
    disfluent=phrase(r"\s*\b(?:äh+m?|öh+m?)\b[,.]?\s*", r",\s*(?:halt|sozusagen),\s*"),
    filler=phrase(
        r"\b(?:ähm?|öhm?|hm+|tja)\b[,.]?\s*",
        r",\s*(?:ja|oder|gell|ne|nicht wahr|bitte|okay|ehrlich gesagt)(?=[,.?!]|$)",
        r"\b(?:halt|quasi|sozusagen|eigentlich|irgendwie)\b\s*",
        r"\[[^\]]{0,40}\]|\{[^}]{0,40}\}",
    ),
    commit=phrase(
        rf"\bich (?:werde|verspreche,?) {_VP}",
        rf"\bich (?P<vp>{DO}\b.*)",
        rf"(?P<vp>\b(?:[\wäöüß.]+ ){{1,6}}{DO} ich\b.*)",
        rf"^(?P<vp>{DO} ich\b.*)",
        r"\b(?P<vp>(?:hab|habe) ich .{0,40}(?:angebote|fertig|beisammen)\b.*)",
    ),
    weak_commit=phrase(
        rf"\bich (?:kann|muss|müsste|könnte|soll) {_VP}",
        r"\b(?P<vp>(?:kann|muss) ich .+)",
        r"^(?:ich )?bin (?P<vp>.* da)$",
        r"\bich bin (?P<vp>.* da)\b",
    ),
    late_commit=phrase(
        r"\b(?P<vp>(?:du|ihr|sie) (?:kriegst|kriegt|kriegen|bekommst|bekommt|bekommen|hast|habt) .+)",
        r"\b(?P<vp>(?:die|der|das|sie) [\wäöüß]* ?(?:ist|sind) bis .+ (?:fertig|durch|da|raus))\b",
    ),
    hedge=phrase(
        r"\b(?:vielleicht|eventuell|könnte ich|ich könnte|möglicherweise|irgendwann|mal sehen|müsste man|würde ich gern|"
        r"wenn ich (?:zeit|dazu)|versprechen kann ich|eigentlich mal|unter umständen|ich müsste)\b"
    ),
    no_task=phrase(
        r"^(?:mache? (?:mir|mich|auf|das licht)|frage mich|sage? (?:mal|nur|das|es)|gehe|rede|fahre? fort|lese? vor|zeige?|stelle? (?:mich|mir) (?:vor|kurz)|"
        r"schreibe? mit|schaue? mal kurz|rufe? auf|gebe? (?:zu|ab|weiter|recht)|eröffne|schließe|sehe|finde|glaube|denke|sage? (?:dazu|doch))\b",
        r"\b(?:eröffne|schließe) ich\b",
        r"^(?:das )?(?:gebe ich an|richte ich|richte es)\b",
    ),
    vague=phrase(
        r"^(?:das |es |den |die |dann )?(?:mache?|übernehme|kümmere|kann|erledige|rufe)(?: ich)?(?: das| es| mich darum| machen| übernehmen| auch an| gern| selbst| mich drum)*[\s.,!]*(?:ich )?(?:gleich |noch )?(?:bis|heute|morgen|am|nächste|$)",
    ),
    clause_end=phrase(
        r"[;:?!]",
        r",? (?:aber|weil|damit|sonst|denn|obwohl|falls|wenn|sobald)\b",
        r"\. ",
        r" [–—] ",
        r",? und (?=(?:ich|wir|du)\b)",
        r", (?=(?:das|der|die|da) (?:hat|macht|kommt|weiß|fehlt|läuft))",
    ),
    report_back=phrase(
        r"^(?:melde mich|gebe .{0,20}bescheid|sage .{0,20}bescheid|sage (?:ich )?(?:ihnen|dir|euch))\b"
    ),
    take=phrase(
        r"^(?:(?:ja|gern|gerne|klar|okay|ok|ach|nein|nee|gut|stimmt)\b[,.! ]*)*(?:lassen sie nur, )?(?:(?:das )?mach(?:e)? ich|das übernehme ich|ich mach(?:e)?(?: das| es)?|ich übernehme|"
        r"das kann ich|kann ich machen|ich kümmere mich|wird gemacht|erledige ich|ich kann das|ich bin am)"
    ),
    request=phrase(
        rf"\b(?:kannst|könntest|könnten|können|könnt|würdest|würden|magst|willst) (?:du|sie|ihr|jemand)\b,? (?:auch |bitte |mal |vielleicht |noch |wieder |dann |@\d+@ )*{_VP}",
        r"\b(?P<vp>(?:schick|schicke|mach|prüf|prüfe|schreib|ruf|sag|gib|frag|schau|bestell|buch|reserviere|erstelle|kümmere)(?:st du| bitte| du| mir bitte| uns bitte| dich)\b.*)",
        r"\bbitte (?P<vp>(?:schick|mach|prüf|schreib|ruf|sag|gib|frag|bestell|buch|bis|erstell|sende|senden|schicken|lesen|mach)\w*\b.*)",
        rf"{WHO},? (?:bitte|du (?:machst|schickst|übernimmst|prüfst)) (?P<vp>.+)",
    ),
    no_request=phrase(
        r"^(?:mich hören|hören|mir sagen|uns sagen|sagen|sehen|das sehen|wiederholen|erklären|kurz erklären|lauter|das bitte wiederholen|zeigen|mal zeigen|bis nächste|mitschreiben)\b",
        r"^(?:mal |kurz |bitte )*(?:warten|anfangen|vorstellen)",
        r"^mir sagen",
    ),
    need=phrase(
        rf"\b(?:wir müssen|jemand muss|man muss|einer muss|da muss jemand|jemand müsste|jemand sollte) (?:noch |unbedingt |auch |dann |sich )*{_VP}",
    ),
    weak_need=phrase(
        rf"\b(?:wir (?:müssten|sollten|könnten)|man (?:könnte|sollte|müsste)) {_VP}",
        r"^(?:und )?wer (?P<vp>(?:macht|kann|übernimmt|schreibt|organisiert|ist|könnte|bringt|schickt)\b.+)",
    ),
    no_need=phrase(
        r"^(?:.*\b(?:reden|sprechen|abwarten|warten|sehen|überlegen|entscheiden|wissen|schauen|haben|sein)\b|eigentlich)",
    ),
    work=phrase(
        r"\b(?:informieren|schicken|senden|schreiben|prüfen|bestellen|buchen|anrufen|fragen|klären|kümmern|erstellen|"
        r"überarbeiten|aktualisieren|testen|reparieren|organisieren|melden|verlängern|erneuern|kündigen|besorgen|kaufen|bezahlen|"
        r"einladen|vorbereiten|unterschreiben|einreichen|nachfragen|anfragen|reservieren|dokumentieren)[.!]?$"
    ),
    assign=phrase(
        rf"{WHO} (?:wird|soll|muss) (?:dann |bitte |noch )*{_VP}",
        r"(?<!, )@(?P<who>\d+)@ (?P<vp>(?:macht|schickt|übernimmt|kümmert sich|schreibt|prüft|bestellt|bucht|ruft|klärt|erstellt|liefert|organisiert|bereitet)\b.+)",
        r"@(?P<who>\d+)@ (?:lässt ausrichten|hat (?:zugesagt|versprochen)|sagt|sagte|verspricht),? (?:dass )?(?:er|sie|@\d+@) (?P<vp>.+)",
        r"^(?P<pronoun>er|sie) (?:lässt ausrichten|hat (?:zugesagt|versprochen)|verspricht),? dass (?:er|sie) (?P<vp>.+)",
        r"(?:aufgabe|todo|to-do)(?: für)? @(?P<who>\d+)@\s*[:,–-]? ?(?P<vp>.+)",
    ),
    offer=phrase(
        r"^(?:(?:ja|naja|also)\b[,. ]*)*(?:ich kann|das kann ich) (?:auch |gern |gerne )?(?P<vp>.+)"
    ),
    offer_taken=phrase(
        r"^(?:(?:oh|ja|okay|super)\b[,. !]*)*(?:bitte\b|gern(?:e)?\b|das wäre (?:super|toll|gut|großartig|prima|nett|schön)|mach das)"
    ),
    who_takes=phrase(r"^(?:und )?wer (?:macht|übernimmt|kann) das"),
    accept=phrase(
        r"^(?:(?:oh|ah|äh|hm+|na|ach|gut|super)\b[,.! ]*)*(?:ja|jo|klar|gern|gerne|natürlich|sicher|okay|ok|mach ich|mache ich|wird gemacht|geht klar|in ordnung|alles klar|"
        r"einverstanden|passt|gut|genau|stimmt|bin dabei|bin dafür|dafür|prima|perfekt|sehr gut|auch gut|das (?:übernehme|mache|kann) ich|ich mach|keine(?: einwände)?\.?$|abgemacht|[\wäöü]+ ist (?:gut|prima|super|in ordnung)|von mir aus|finde ich gut)\b"
    ),
    refuse=phrase(
        r"^(?:(?:oh|ah|äh|hm+|na|ach|also)\b[,. ]*)*(?:nein|nee|nö|leider|geht nicht|kann ich nicht|ich kann nicht|keine zeit|tut mir leid|lieber nicht|eher nicht|ich nicht|die hat)\b"
    ),
    retract=phrase(
        r"\b(?:lass (?:mal|gut sein|es)|lassen sie(?: nur| mal)?|vergiss (?:es|das)|vergessen sie|doch nicht|nicht nötig|brauchst du nicht|brauchen sie nicht|hat sich erledigt|streich das|schon gut)\b"
    ),
    done=phrase(
        r"\b(?:(?:hab|habe) ich (?:schon|gestern|bereits|letzte)|ich (?:hab|habe) .{0,60}(?:gestern|schon|bereits|letzte woche)|ist (?:schon )?erledigt|schon (?:gemacht|geschickt|erledigt)|gestern hab ich|ist gebucht)\b"
    ),
    decide=phrase(
        r"\b(?:(?:wir (?:haben )?)?(?:beschlossen|entschieden)(?! wir| ich| nicht)|beschluss\s*:|entscheidung\s*:|angenommen|einstimmig|das steht fest|"
        r"bleiben,? wie (?:sie|es) (?:sind|ist)|wir ziehen .{0,30} um)\b",
        _LEAD
        + r"(?:dann|also|damit) (?:doch )?(?:nehmen|machen|bleiben|verschieben|fahren|gehen|behalten|lassen|streichen|kaufen|nutzen|starten|verwenden|legen|setzen|stellen|treffen|führen|verzichten|ziehen) wir\b.*",
        _LEAD
        + r"wir (?:nehmen|bleiben bei|verschieben|entscheiden uns|behalten|streichen|gehen mit|machen es so|starten|verzichten)\b.*",
    ),
    propose=phrase(
        r"\b(?:lasst|lass|lassen sie) uns (?P<vp>.+)",
        r"\b(?P<vp>ich schlage vor.+)",
        r"\b(?P<vp>(?:wollen|sollen|könnten|sollten) wir .+)",
        r"\b(?P<vp>wie wäre es .+)",
        r"\b(?P<vp>schlägt vor, .+)",
        r"\b(?P<vp>ich bin (?:für|dafür) .+)",
        r"^(?:also |dann )?(?P<vp>wir (?:bleiben|nehmen|machen|gehen|verschieben) .+\?)",
        r"\b(?P<vp>vorschlag\s*:.+)",
        r"\b(?P<vp>soll ich .+)",
    ),
    no_proposal=phrase(
        r"^(?:anfangen|beginnen|weitermachen|mal sehen|schauen|reden|sprechen|loslegen)\b",
        r"^soll ich",
        r"\b(?:anfangen|beginnen|weitermachen|sehen)[.!?]*$",
    ),
    sealed=phrase(
        r"\b(?:das ist (?:damit |dann )?(?:beschlossen|entschieden|abgemacht)|(?:damit|dann) ist das (?:angenommen|beschlossen|entschieden)|beschlossen|abgemacht|gibt es einwände|das ist die mehrheit|angenommen)\b"
    ),
    object=phrase(
        r"^(?:(?:oh|ah|äh|hm+|na|ach|ja)\b[,. ]*)*(?:nein|nee|nö|moment|warte|das finde ich (?:schwierig|nicht)|ich bin (?:auch )?(?:eher )?dagegen|aber|lieber|also ich bin für|das (?:ist|wird) (?:\w+ )?(?:zu )?knapp|ich weiß nicht|eher nicht)\b"
    ),
    reverse=phrase(
        r"\b(?:doch lieber|stattdessen|doch (?:nicht|wieder|noch)|lieber|rückgängig|umentschieden|zurück zu)\b"
    ),
    undecided=phrase(
        r"\b(?:wenn|falls|vielleicht|ob|noch nicht (?:entschieden|beschlossen)|müssen wir (?:heute )?nicht entscheiden|würden wir|letztes mal)\b"
    ),
    dunno=phrase(
        r"\b(?:weiß (?:ich |es |das )?(?:noch |leider |auch )?nicht|wissen wir (?:noch )?nicht|keine ahnung|gute frage|mal sehen|klären wir (?:später|noch)|kann ich (?:noch )?nicht sagen|noch nicht sagen|müssen wir abwarten|"
        r"noch offen|steht noch nicht fest|ist unklar|nicht sicher|das weiß ich (?:leider )?nicht|hängt (?:vom|davon|von)|schauen wir (?:noch|später)|frage? (?:.{0,30})nach)\b"
    ),
    left_open=phrase(
        r"\b(?:offene frage|(?:ist|bleibt) (?:noch )?(?:offen|unklar), (?:ob|wer|wie|wann|was)|wir wissen (?:noch )?nicht, (?:ob|wer|wie|wann|was))\b"
    ),
    small_question=phrase(
        r"\b(?:hört ihr|hören sie mich|wie geht|alles klar\?|sonst noch (?:was|etwas|fragen)|noch fragen|richtig\?$|ja\?$|oder\?$|wer fängt an|gibt es einwände|seht ihr|könnt ihr mich|was meinen sie|was meint ihr|wer ist für|wie steht es)\b",
        r"^(?:wann|wer|wie|was|warum|wirklich|ja|echt)\W*$",
    ),
    asked=phrase(
        rf"{WHO},? (?:kann|könnte|soll|sollte|muss|müsste|möge|möchte|bitte|würde|hätte)\b.*",
        r"\b(?:kann|könnte|soll|hat|wann|was|wie|wo|ob|würde|muss|weiß)\b[^.?!]{0,40}@(?P<who>\d+)@.*\?",
        r"\b(?:frag|frage|fragen sie|sag|sage|sagen sie|richte|richten sie|erinnere|erinner|brauchen|von|für|an|bitte)\b[^.?!]{0,40}@(?P<who>\d+)@.*",
        r"^@(?P<who>\d+)@[,:].*",
    ),
    not_asked=phrase(
        r"@\d+@ kann (?:heute )?nicht\b",
        r"\b(?:ist|wo ist|kommt) @\d+@ (?:da|hier|heute|noch|auch)?\W*$",
        r"vertretung (?:für|von)",
    ),
    unclear=phrase(
        r"[\[(](?:unverständlich|inaudible|unklar|crosstalk|durcheinander)[^\])]{0,30}[\])]",
        r"\b(?:du bist|sie sind) (?:kurz )?weg\b",
        r"\b(?:widerspricht|passt nicht zusammen|stimmt nicht überein)\b",
        r"\bakustisch nicht verstanden\b",
    ),
    short_date="{weekday} {day}. {month}",
    by="bis",
    months=(
        "Jan.",
        "Feb.",
        "März",
        "Apr.",
        "Mai",
        "Juni",
        "Juli",
        "Aug.",
        "Sept.",
        "Okt.",
        "Nov.",
        "Dez.",
    ),
    weekdays=("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
)
