"""Which language a meeting was held in, and that language's small words.

The lists are short on purpose: function words and the noises of speech, which are half of
everything that is said, and enough to tell a language by. The published lists (stopwordsiso,
stop-words) are made for web search: they call "system", "computer" or "results" empty, which
is what meetings are about; and detectors with models (py3langid, lingua) bring numpy or
100 MB to tell apart what twenty words of a list already do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

UNKNOWN = "und"
_MOST_WORDS = 20_000  #: So many words tell a language as well as more do.
_LEAST_SHARE = 0.15  #: Of all words; in a language's own texts it is 0.35 and more.


@dataclass(frozen=True)
class Language:
    """`stops` are words without a topic, `noises` those that may be left out unheard."""

    code: str
    stops: frozenset[str]
    noises: frozenset[str] = frozenset()
    stemmer: str | None = None


def _language(code: str, stemmer: str | None, stops: str, noises: str) -> Language:
    silent = frozenset(noises.split())
    return Language(code, frozenset(stops.split()) | silent, silent, stemmer)


_HESITATIONS = "uh um uhm uhh umm er erm eh ah ahm hm hmm mm mmm mhm"

_KNOWN = (
    _language(
        "en",
        "english",
        """a about above after again all also am an and another any anybody anyone anything are
        aren aren't around as at away back be because been before being below between both but
        by can can't cannot could couldn couldn't did didn didn't do does doesn doesn't doing
        don don't done down each either else enough even ever every everybody everyone
        everything few first for from further get gets getting go goes going gone gonna got
        gotta had hadn hadn't has hasn hasn't have haven haven't having he he'd he'll he's hello
        her here here's hers herself hi him himself his how how's however i i'd i'll i'm i've if
        in into is isn isn't it it'd it'll it's its itself just kind know last least less let
        let's like likely ll lot lots made make makes many may maybe me mean might more most
        much must my myself neither never new next no nobody none nor not nothing now of off
        often on once one ones only or other others otherwise our ours ourselves out over own
        per perhaps put quite rather re really right said same saw say saying says second see
        seem seems seen shall she she'd she'll she's should shouldn shouldn't since so some
        somebody someone something sometimes somewhere soon sort still stuff such sure take than
        thank thanks that that'd that's the their theirs them themselves then there there's
        these they they'd they'll they're they've thing things think thinking this those though
        thought three through thus to today together too towards two under until up upon us use
        used using ve very want wanted wants was wasn wasn't way ways we we'd we'll we're we've
        well went were weren weren't what what's whatever when where where's whether which while
        who who's whole whom whose why will with within without won won't would wouldn wouldn't
        yes yet you you'd you'll you're you've your yours yourself actually basically obviously
        probably certainly definitely little bit good great nice fine cool big bad better best
        okay ok alright four five six ten yep nope anyway guess come comes coming came tell told
        talk talking talked look looking looks looked mind feel try trying tried need needs says
        point question work sorry please mhmm ya wanna cause gotten cetera et able mr mrs ms dr hon""",
        f"{_HESITATIONS} yeah yea yep mm-hmm uh-huh huh oh ooh aw wow ha haha gosh",
    ),
    _language(
        "de",
        "german",
        """aber alle allem allen aller alles als also am an ander andere anderen auch auf aus
        bei beim bin bis bist bitte da dabei dafür damit dann daran darauf daraus darüber das
        dass davon dazu dein dem den denn der des deshalb die dies diese diesem diesen dieser
        dieses dir doch dort du durch eben ein eine einem einen einer eines einfach einige er es
        etwas euch euer für ganz gar genau gern gerne gibt gut hab habe haben halt hat hatte
        hatten hier hin ich ihm ihn ihnen ihr ihre ihrem ihren im immer in ins ist ja jede
        jeder jetzt kann kein keine keinen können könnte lassen machen mal man mehr mein meine
        meinen mich mir mit muss müssen nach natürlich nein nicht nichts noch nun nur ob oder
        okay ohne richtig schon sehr sein seine sich sicher sie sind so soll sollen sollte
        sollten sondern sonst über um und uns unser unsere unter vielleicht viel vom von vor war
        waren warum was weg weil weiß welche wenn wer werde werden wie wieder will wir wird wo
        wollen würde würden zu zum zur zwei zwischen glaube denke sagen sagt gesagt""",
        f"{_HESITATIONS} äh ähm öh hm naja tja ach",
    ),
    _language(
        "fr",
        "french",
        """à ai aie alors as au aussi autre aux avait avec avez avoir avons bah beaucoup ben
        bien bon c ça car ce cela celle celui ces cet cette ceux chaque chez chose choses comme
        comment d dans de déjà depuis des deux dire dit dois doit donc du elle elles en encore
        est et étaient était étant être eu eux faire fait faut fois font ici il ils j je jusque l
        la là le les leur leurs lui m ma mais me même mes moi moins mon n ne ni non nos notre
        nous on ont ou où oui par parce pas peu peut peux plus pour pourquoi pouvoir puis qu
        quand que quel quelle quelque qui quoi s sa sais sans se sera ses si soit son sont sous
        suis sur t ta te tes toi ton tous tout toute toutes très tu un une va vais veut voilà
        voir vos votre vous vraiment vu y accord crois pense peut-être peuvent aller""",
        f"{_HESITATIONS} euh heu hein ouais bah ben",
    ),
    _language(
        "es",
        "spanish",
        """a al algo alguien algún alguna algunos ahí ahora así aquí aún antes aunque bien bueno
        cada casi como cómo con creo cual cualquier cuando cuándo da de decir del desde después
        dice donde dónde dos e el él ella ellas ellos en entonces entre era eran eres es esa
        esas ese eso esos esta está están estamos estar estas este esto estos estoy fue ha había
        hacer hace hago han has hasta hay he hemos hola ir la las le les lo los más me mi mí
        mientras mis mismo mucho muchos muy nada ni no nos nosotros nuestra nuestro o otra otro
        otros para pero poco podemos poder podría por porque pues puede pueden puedo que qué
        quien quién quiero sea ser será si sí sido siempre sin sobre solo sólo somos son soy su
        sus tal también tampoco tan tanto te tenemos tener tengo ti tiene tienen toda todas
        todavía todo todos tu tú un una uno unos va vale vamos van ver verdad vez voy y ya yo
        digamos gracias""",
        f"{_HESITATIONS} eh este pues ajá",
    ),
    _language(
        "it",
        "italian",
        """a abbiamo ad adesso ai al alla alle allo allora altra altri altro anche ancora avere
        aveva bene c che chi ci ciò come con cosa così cui d da dai dal dalla dalle dei del
        della delle dello dentro deve devo di dire dobbiamo dopo dove due e è ecco ed era erano
        essere fa facciamo fare fatto fino fra già gli grazie ha hai hanno ho i il in insomma io
        l la le lei li lì lo loro lui ma me meno mi mia mio molto ne nei nel nella nelle no noi
        non nostra nostro o ogni ok oppure ora per perché però più po poi possiamo posso
        praticamente prima proprio può qua quale quando quanto quella quelle quelli quello
        questa queste questi questo qui quindi se sei sempre senza si sì sia siamo sono sopra
        sta stata stato su sua sugli sul sulla suo tra te ti tu tua tuo tutta tutte tutti tutto
        un una uno va vabbè vediamo vi voi volta vuole""",
        f"{_HESITATIONS} ehm mah beh boh",
    ),
    _language(
        "nl",
        "dutch",
        """aan af al alle alleen allemaal als altijd andere ben bij daar dan dat de deze die dit
        doe doen door dus echt een eens eigenlijk en er even gaan gaat ga geen goed gewoon had
        heb hebben hebt heeft heel het hij hier hoe hun iets ik in is ja je jij jullie kan kunnen
        komen laten maar maken me mee meer men met mij mijn misschien moet moeten mag na naar
        nee niet niets nog nou nu of om omdat ook op over precies te toch toen tot u uit van
        veel voor want waar was wat we wel weer wie wij wil willen worden wordt zal ze zeg
        zeggen zei zelf zien zij zijn zo zou zouden zitten oké hè denk""",
        f"{_HESITATIONS} eh euh nou hè",
    ),
    _language(
        "pt",
        "portuguese",
        """a acho agora ainda algo alguma alguém algum ali ao aos apenas aqui as assim até bem
        bom cada com como da das de depois dela dele deles deve do dos e é ela elas ele eles em
        então entre era eram essa essas esse esses esta está estamos estão estar estava este
        estou eu fazer faz foi for foram gente há isso isto já lá lhe mais mas me mesmo meu
        minha muito muitos na nada não nas nem no nos nós nossa nosso num numa o obrigado onde
        os ou outra outro outros para pela pelo per pode podem podemos porque pra pro qual
        quando quanto que quem quer se sei seja sem sempre ser será seu si sim só sobre sua
        também tão te tem têm temos tenho ter teu tinha toda todas todo todos tu tudo um uma
        vai vamos vão você vocês vez ver vou né gente""",
        f"{_HESITATIONS} hã né ué",
    ),
    _language(
        "sv",
        "swedish",
        """alla allt än att av bara behöver blev bli blir bra då de den denna det detta dig din
        du där efter ej eller en er ett exakt få får för från ganska gör göra ha hade han har
        hela här hon hur i in inte ja jag jo jättebra kan kanske kom kommer kunna liksom lite
        man med mer mig min mot mycket måste när ni nog nu något några någon och också okej om
        på precis säga sen ska skulle som så sig sin tack ta till tror två under upp ut utan
        vad var vara vi vill visst vår väldigt är även åt""",
        f"{_HESITATIONS} öh eh liksom",
    ),
    _language(
        "da",
        "danish",
        """af alle altså at bare blev blive bliver da de den denne der det dette dig din du
        efter egentlig eller en er et få får for fordi fra gør gøre godt ham han har have havde
        hele helt her hun hvad hvis hvor i ikke ind ja jeg jo kan kommer kunne lidt man mange
        med meget men mere mig min må nej nogen noget nok nu når og også okay om op os over på
        præcis så sådan sige sig sin skal skulle som synes tak til to tror ud under være var ved
        vi vil ville vores""",
        f"{_HESITATIONS} øh øhm altså",
    ),
    _language(
        "no",
        "norwegian",
        """alle alt at av bare ble bli blir bra da de deg den denne der det dette di din du eller
        en er et etter få får for fordi fra gjør gjøre ha hadde han har hele her hun hva hvis
        hvor hvordan i ikke inn ja jeg jo kan kanskje kommer kunne litt man med meg mer mye
        må nei noe noen nok nå når og også om opp oss over på riktig se seg si sin skal skulle
        som synes så sånn takk til to tror tenker ut under vår være var ved vi vil ville veldig
        egentlig""",
        f"{_HESITATIONS} øh altså",
    ),
    _language(
        "fi",
        "finnish",
        """aika ainakin ei eikä eli en ennen että hän he hei hyvin hyvä ihan ja jo joka jos jotain
        joo juuri kaikki kanssa kiitos koska kuin kun kyllä mä mitä me minä mukaan mutta myös
        ne niin niitä nyt näin no nämä ole olen olemme oli olisi on ovat pitää saa sama se sen
        siellä siinä siitä sitten sitä sä tai te tämä tässä tätä tuo tulee tällä vai vain
        varmaan vielä voi voidaan voisi jotka mikä""",
        f"{_HESITATIONS} öö niinku",
    ),
    _language(
        "pl",
        "polish",
        """a aby ale ale albo bardzo bez bo być był była było będzie będziemy by chyba ci co coś
        czy dla do dobra dobrze go gdy gdzie i ich ile im ja jak jakby jakie jako je jego jej
        jest jestem jesteśmy jeszcze jeśli już każdy kiedy kto która które który których lub ma
        mam mamy mi mnie może można mój my na nad nam nas nasz nie niż no o od on ona one oni
        ono oraz po pod potem poza przed przez przy raz są się sobie tak tam te tego tej ten też
        to tu tutaj tylko tym tych u w we więc właśnie wszystko wszystkie z za ze że żeby znaczy
        trzeba""",
        f"{_HESITATIONS} yy yyy no",
    ),
    _language(
        "ro",
        "romanian",
        """acest aceasta aceste acum ai al ale am apoi ar are așa asta astea atunci au avem bine
        ca că când care ce cel cele cum cu cred da dacă dar de deci din doar după ei ele era
        este eu fi fie foarte fost în la le lor lui mai mult ne nici noi nu o pe pentru poate
        prin sa să sau se și sunt tot toate un una unde unei unui va vă voi vom""",
        f"{_HESITATIONS} ăă păi",
    ),
    _language(
        "cs",
        "czech",
        """a aby ale ani asi až bude budeme budou by bych byl byla bylo být co což či dobře do
        ho i já jak jako je jeho její jen jenom ještě jestli již jsem jsme jsou jste k každý
        kde kdo kdy když která které který ma má máme mi mít mně může můžeme my na nad nám nás
        náš ne nebo než nic no o od on ona oni pak po pod podle pokud prostě protože při s se
        si tady tak také takže tam ten teď tedy těch to toho tom tomu toto tu ty u už v vám ve
        více však vlastně všechno vy z za že""",
        f"{_HESITATIONS} ehm jo no",
    ),
    _language(
        "tr",
        "turkish",
        """acaba ama ancak artık aslında az bana bazı belki ben benim bence beni bile bir biraz
        birçok biri biz bize bizim böyle bu buna bunu bunun burada çok çünkü da daha de değil
        diye en evet gibi gerek hayır hem hep her hiç için ile ise işte kadar ki kim mi mı mu
        mü nasıl ne neden nerede o olan olarak oldu olduğu olması olsun olur ona onlar onu orada
        peki sadece sen siz sonra şey şimdi şu tamam tabi tabii tüm var ve veya ya yani yok
        zaten""",
        f"{_HESITATIONS} ee şey yani",
    ),
    _language(
        "ru",
        "russian",
        """а без более бы был была были было быть в вам вас весь во вот все всё всего всех вы где
        да даже для до его ее её если есть еще ещё же за здесь и из или им их к как какой когда
        кто ли лучше между меня мне может можно мы на надо нам нас не него нее нет ни них но ну
        о об один он она они оно от очень по под после потом потому почему при про раз с сам
        себя сейчас со совсем так также такой там те тебя тем то того тоже только том тот тут ты
        у уже хорошо хоть чего чем что чтобы эти это этого этой этом этот я давайте просто
        значит спасибо""",
        "э эм ну мм ага угу",
    ),
    _language(
        "uk",
        None,
        """а або але без би був була були було бути в вам вас ви все всі від він вона вони воно
        де для до його її є же за зараз і з із їх й коли ми можна може мене мені на навіть нам
        нас не нема ні них ну о один от по під після при про просто свої себе собі та так також
        такий там те тепер теж ти тільки то того тоді треба тут у вже хто це цей ці цього чи чому
        що щоб як яка який які якщо я дуже дякую""",
        "е ем ну мм ага",
    ),
)

LANGUAGES: Mapping[str, Language] = {each.code: each for each in _KNOWN}
_NONE = Language(UNKNOWN, frozenset(_HESITATIONS.split()), frozenset(_HESITATIONS.split()))

_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
)
"""Languages that their writing tells alone, as far as meetings go; kana before Han."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def language_named(code: str) -> Language:
    """Answer a language's small words; of an unknown one, only the noises of all."""
    return LANGUAGES.get(code, _NONE)


def language_of(texts: Iterable[str]) -> str:
    """Tell the language of texts as an ISO 639-1 code, or "und".

    Each word votes for the languages whose small words it is one of, a word of few languages
    more loudly than one of many.
    """
    votes: dict[str, float] = {}
    written: Counter[str] = Counter()
    total = 0
    for text in texts:
        for word in _WORD.findall(text.casefold().replace("’", "'")):
            total += 1
            written.update(code for code, script in _SCRIPTS if script.search(word))
            speakers = _SPEAKERS.get(word, ())
            for code in speakers:
                votes[code] = votes.get(code, 0.0) + 1 / len(speakers)
        if total >= _MOST_WORDS:
            break
    for code, _ in _SCRIPTS:
        # A few borrowed characters don't make a language. Kana beside Han is Japanese.
        if written[code] > (0.1 if code == "ja" else 0.4) * total:
            return code
    best = max(votes, key=lambda code: (votes[code], code), default=UNKNOWN)
    return best if votes.get(best, 0.0) >= max(_LEAST_SHARE * total, 0.5) else UNKNOWN


def _speakers() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language in _KNOWN:
        for word in language.stops - _NONE.stops:
            found.setdefault(word, []).append(language.code)
    return {word: tuple(codes) for word, codes in found.items()}


_SPEAKERS = _speakers()
