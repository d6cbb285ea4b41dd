"""The small words by which one hears who is meant, and what of: English and German, some French.

All are folded as `calling.folded` does it: lower case, no accents, no apostrophes. They are
lists of what people say in meetings, made by hand; what stands in none of them decides nothing.
"""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPENERS = word_set("""
    hey hi hello ok okay so and but well yes yeah yep no um uh er ah oh alright right now then
    also sorry thanks thank you good morning afternoon evening dear excuse me listen great cool
    perfect anyway actually hm hmm welcome back bye goodbye cheers nice question quick again
    hallo guten morgen tag abend moin servus ja nein also und aber gut na naja ach ah ahm danke
    entschuldigung entschuldige tschuldigung super du sie bonjour salut merci hola gracias oui
    """)
"""What may stand before a name that is called."""

YOU = word_set("""
    you your yours yourself u ya youre youd youll youve du dir dich dein deine deinen deiner
    deinem ihr euch euer eure ihnen ihre ihren vous votre vos tu toi ton ta te tes usted tuyo
    """)

AUXILIARIES = word_set("""
    can could would will shall should may might must do does did is are was were am have has had
    dont doesnt didnt isnt arent wasnt wont wouldnt couldnt cant hasnt havent shouldnt
    kann konnen konnte konnten wird werden wurde wurden ist sind war waren hat haben hatte soll
    sollen sollte sollten muss mussen darf durfen
    """)

SECOND_PERSON = word_set("""
    kannst konntest hast hattest weisst willst wolltest bist warst wirst wurdest magst mochtest
    siehst denkst meinst findest glaubst sagst gibst machst schickst erklarst erzahlst sollst
    solltest schaust brauchst kennst hilfst peux pourrais as es veux sais penses puedes tienes
    sabes
    """)
"""German and French verbs that say "you" by themselves."""

TO_US = word_set("you u we i there anyone anybody any anything youre du ihr wir ich sie man")
"""Subjects that, after a name and "can" or "is", make a question to whoever has that name."""

THINGS = word_set("""
    the this that it these those my our your his her their all everything der die das es dieser
    diese dieses mein unser dein
    """)

QUESTION_WORDS = word_set("""
    what when where why how which who whose whats hows whens wheres whos was wann wo warum
    wieso wie wer welche welcher welches womit wofur woran weshalb quoi quand pourquoi comment
    quel quelle combien que quien cuando donde como cual
    """)

RELATIVES = word_set("who which whose whom that der die das wer")

IMPERATIVES = word_set("""
    please tell give show explain say send share take let lets go look help check read write
    remind note add make put post open start begin walk talk describe summarize summarise update
    ask answer stop wait hold please try speak keep come join run find see think do be dont
    mute raise call schedule book move cancel confirm promise ignore forget imagine repeat
    introduce translate compare list count calculate remember follow print reveal pretend act
    bitte sag sage gib zeig zeige erklar erklare erzahl erzahle schick schicke schau lass mach
    warte hilf nimm lies schreib komm fang frag antworte wiederhole vergiss ignoriere
    dis donne explique montre di da muestra explica
    """)

PRONOUNS_FIRST = word_set("""
    i we im ive id ill were weve well wed theres there lets me us one another quick just not
    ich wir es mir uns noch eine kurze je nous
    """)
"""What begins a sentence of its own after a name that was called without a comma."""

OF_SOMEBODY = word_set("""
    said says saying told tells thinks thought mentioned mentions knows knew wants wanted needs
    went goes sent sends wrote writes asked asks also always never usually already just from
    made makes did does has had was is isnt wasnt hasnt doesnt will wont would wouldnt could
    cant couldnt should shouldnt might may must can who which whom told agreed agrees promised
    joined left works worked and or then really probably definitely still
    sagt sagte meint meinte hat hatte ist war wird wurde kann konnte will wollte soll sollte
    muss musste und oder weiss wusste denkt dachte macht machte kommt kam geht ging schreibt
    schrieb fragt fragte auch immer nie schon noch der die
    a dit est avait pense dijo dice es
    """)
"""What follows a name that is talked about."""

BEFORE_SOMEBODY = word_set("""
    ask asked asking tell told telling with to from for about by and or of is was are as like at
    on called named meet met see saw call send sent email message ping invite invited know knows
    thank think thinks thought believe heard hear via per than without blame quote quoting cc
    that if because when since while says said until before after let lets can could will would
    should does did has have replace replaced
    mit von zu fur bei an und oder ist war wie uber durch ohne frag frage fragen gefragt sag sagt
    sage sagen hat als gegen um nach dass weil wenn ob kann wird avec pour de et con para y
    """)
"""What precedes a name that is talked about."""

ROLES = word_set("""
    standin bot robot assistant ai agent avatar notetaker proxy replacement representative
    vertretung assistent assistentin ki stellvertreter stellvertretung
    """)

CALLABLE_ROLES = word_set("bot robot assistant ai standin robo assistent ki")
"""By what a stand-in is called whose name one doesn't know."""

EVERYBODY = word_set("""
    everyone everybody all anyone anybody somebody someone guys folks team people alle jemand
    leute zusammen irgendwer tous quelqun todos alguien
    """)

ALSO_WORDS = word_set("""
    will mark bill may june april august grace hope joy faith rose rob jack chase art drew frank
    guy miles pat sue rich dean skip chip dawn penny summer ernst victor max don ray iris ruby
    amber melody harmony wolf stein lang jung klein gross winter sommer kaiser konig
    """)
"""Names that are words too: these count only where they stand like a name."""

COMMON = word_set("""
    alexa siri google
    about above after again all also always and any anything are around ask away back base bad
    because been before being best better between both build business but call came can case
    change check clear close code come could customer data date day days deal design did does
    doing done down each early else end even ever every everyone fact far few fine first fix
    follow for form forward from full get give goes going good got great had half hand happen
    hard has have head hear help here high him his hold home hope how idea into issue item its
    job just keep kind know large last late later lead lean learn least leave left less let
    level like line link list little live long look looks lost lot main make many market maybe
    mean meet meeting might mind miss money month more most move much must name near need never
    new next nice night not note nothing now number off offer often old once one only open
    order other our out over own part past pay people place plan play point price problem
    product project put question quick quite read ready real really reason release report rest
    review right run said same save say see send set she should show side since site small some
    soon sort start state status still stop such sure take talk task team tell test than thank
    thanks that the their them then there these they thing things think this those though time
    today together told took top true try turn two under until update use user very view wait
    want was way week weeks well went were what when where which while white who whole why will
    with within word words work world would write wrong year yes yet you your
    aber alle alles also andere anders auch auf aus bei bin bis bist bitte dann das dass dein
    dem den denn der des die dies doch dort durch ein eine einem einen einer erst etwas fur ganz
    geht gibt gut habe haben hat hier ich ihm ihn ihr immer ist jetzt kann kein keine konnen
    leider machen man mehr mein mich mir mit morgen muss nach nicht nichts noch nur oder ohne
    schon sehr sein seit sich sie sind soll und uns unser unter viel vom von vor war warum was
    weil wenn wer wie wieder wir wird wo zeit zum zur
    """)
"""Words so frequent that they are never taken for a name that was misheard."""

NICKNAMES: tuple[frozenset[str], ...] = tuple(
    word_set(line)
    for line in """
    alexander alexandra alex
    alexander sascha sasha
    alexandra sandra
    robert rob bob bobby
    william will bill billy
    elizabeth elisabeth liz beth lisa lizzy
    katherine catherine kate kathy cathy
    katharina kathi kati
    michael mike mick michi micha
    thomas tom tommy
    christopher christian christoph chris
    christina christine tina chris
    daniel dan danny dani
    benjamin ben benny
    samuel samantha sam sammy
    matthew matthias matt matze
    johannes hannes
    maximilian max
    sebastian basti seb
    stephen steven stefan steve
    stephanie stefanie steffi steph
    andreas andi
    andrew andy drew
    susanne susan susi sue
    joseph josef joe sepp
    james jim jimmy jamie
    richard rick richie
    edward eduard ed eddie ted
    anthony anton tony toni
    jonathan jon
    john johnny jack
    nicholas nikolaus nicolas nick nico
    patricia patrick pat
    margaret margarete maggie meg
    jennifer jen jenny
    rebecca becca becky
    theodor theodore theo
    friedrich fritz
    wolfgang wolfi wolf
    gregory gregor greg
    timothy tim timmy
    victoria vicky
    abigail abby
    deborah debbie deb
    philip philipp phil
    ronald ron
    donald don
    kenneth ken
    lawrence laurence larry
    charles charlie chuck
    david dave
    peter pete
    joshua josh
    jacob jakob jake
    frederick fred freddy
    francis francesca fran
    """.strip().splitlines()
)
