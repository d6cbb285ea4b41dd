"""English."""

from __future__ import annotations

from locum.brains.rules.lexicon import Lexicon, phrase, word_set
from locum.brains.rules.names import WHO

_ADVERBS = r"(?:(?:also|just|quickly|then|still|definitely|certainly|gladly|happily|actually|probably|simply|personally|now|at least|have to|need to) )*"
_VP = r"(?P<vp>.+)"
_LED = r"(?:(?:and|so|but|okay|ok|oh|ah|well|right|all right|alright|great|good|fine|hmm?|um|uh|then|anyway|perfect|thanks|cool|yes|yeah|no|nah|sure|great idea|agreed)\b[,.! ]*)"
_LEAD = rf"^{_LED}*"
_AFTER_TALK = rf"^{_LED}+"
_DECISION_VERBS = (
    r"(?:go (?:with|for|ahead|back)|keep|stick|stay|use|take|make|cap|ship|launch|release|move|drop|skip|"
    r"wait|postpone|delay|stop|hire|reject|accept|leave|close|open|cancel|buy|sign|run|switch|adopt|"
    r"have|meet|merge|offer|pay|raise|lower|cut|hold|freeze|set|put|choose|pick|get|book|renew|test|"
    r"focus|replace|remove|limit|allow|do|try|add|push|bring|split|extend|start)\b"
)
_ANNOUNCED = (
    r"(?:keep|stick|stay|use|cap|ship|launch|release|move|drop|skip|wait|postpone|delay|stop|hire|reject|"
    r"make|accept|leave|close|open|cancel|buy|sign|switch|adopt|merge|offer|freeze|go|run|(?:don't|do not) (?!know|want|wanna|have|need|think|see|really|even|get|care)\w+|"
    r"get|raise|lower|cut|hold|set|choose|pick|limit|allow|replace|remove|extend|start|take)\b"
)

ENGLISH = Lexicon(
    language="en",
    marks=word_set(
        "the and is you that it's we have for this what are not with was be it but they "
        "so can my will i'll yeah okay don't there do if your our at me how let's i'm"
    ),
    stop=word_set(
        "those these the and that this with will have from they them their there then than what when "
        "where which who your yours you for are was were been being not but just also can "
        "could would should might about into over some any all our out off it's i'll i'm "
        "we'll let's okay sure yes yeah need needs going get got him her his she its one "
        "thing things please next week month today tomorrow monday tuesday wednesday "
        "thursday friday saturday those these sunday morning afternoon evening tonight "
        "right before after until don't does did"
    ),
    disfluent=phrase(
        r"\s*\{[^}]{0,40}\}\s*",
        r"\s*\b(?:um+|uh+|erm?)\b[,.]?\s*",
        r",\s*(?:you know|like|sort of|kind of),\s*",
    ),
    filler=phrase(
        r"\b(?:um+|uh+|er+m?|hmm*)\b[,.]?\s*",
        r",\s*(?:you know|like|i mean|i guess|i think|i suppose|basically|actually|honestly|obviously|right|okay|ok|then|please|though|too|probably|by the way)(?=[,.?!]|$)",
        r"\b(?:you know|i mean|basically|honestly|frankly),\s*",
        r"\[[^\]]{0,40}\]|\{[^}]{0,40}\}",
    ),
    commit=phrase(
        rf"\b(?:I'll|I will|I shall|I'm going to|I am going to|I'm gonna|I promise to|I promise I'll|I promised to|I can promise to|I do promise to) {_ADVERBS}{_VP}",
        rf"\blet me {_ADVERBS}(?P<vp>(?:check with|find out|talk to|get back|take (?:that|this|it)|look into|ask|follow up|send|write up|draft|speak to|chase|confirm with)\b.*)",
    ),
    weak_commit=phrase(
        rf"\bI (?:can|could|need to|have to|must|should be able to|'ve got to) {_ADVERBS}{_VP}"
    ),
    late_commit=phrase(
        r"\b(?P<vp>you'll (?:have|get) (?!to\b|used|a chance|there).+)",
        r"\b(?P<vp>(?:they|it)'ll be (?:out|ready|done|with you|there|finished|there)\b.*)",
        r"\b(?P<vp>give me (?:until|till) .+)",
        r"\bI (?P<vp>still owe .+)",
    ),
    hedge=phrase(
        r"\b(?:maybe|perhaps|possibly|might|in theory|theoretically|at some point|some day|someday|"
        r"one day|eventually|if I (?:find|get|have) (?:the |some )?time|if I can|not promising|"
        r"can't promise|no promises|don't hold me|I guess I|wish I|I'd love to|would love to|I was thinking)\b",
        r"\bcould (?:maybe|perhaps|possibly)\b",
    ),
    no_task=phrase(
        r"^(?:be|have (?!.*\b(?:ready|done|finished|out|\w+ed)\b)|just|say|tell you (?:a|what|about|that|why|how|something|more)|talk (?:about|to you about)|continue|let (?!(?:\w+ ){1,3}know)|admit|believe|see|start|stop|begin|wait|"
        r"go (?:first|next|for|mad|home|now|and get)|share my|mute|unmute|repeat|read (?:it|this|that) out|"
        r"skip|drop(?: off)?\b(?! (?:the|it))|leave (?:it|that|you)|hand over|jump|pass|let you (?!know)|give you an example|"
        r"give you (?:a|some) (?:idea|background)|explain|show you|miss|need|want|know|think|guess|assume|stay|"
        r"get (?:a|another) (?:coffee|tea|drink)|take (?:that|this) as|try my best|"
        r"come (?:back )?to that|never|not|always|do my best|keep (?:it|this) (?:short|brief)|"
        r"talk you through|walk you through|quote|remember|regret|lose|die|eat|drink|grab a|second|support|vote|note that|"
        r"mention|like|love|hate|agree|disagree|call the meeting|rather|fight|sleep)\b(?!ve)",
    ),
    vague=phrase(
        r"^(?:put|keep|have|look|write|bring|make|give|see)\b.{0,18} (?:on|at|about|to|after|into|up|down) (?:that|it|this|them)[\s.,!?]*$",
        r"^(?:put|write|set|look|bring|pass|clear|hand|send) (?:that|it|this|them) (?:in|up|down|out|on|off|over|back|together)\b[\s.,!?]*$",
        r"^(?:do|take|handle|manage|get|sort|fix|tackle|own|cover|go for)? ?(?:that|it|this|them|those|so|one|both|these|care of (?:it|that))(?: one| myself| off| out| done)?\b(?: (?:then|too|for you|right away|now|yes|though))?[\s.,!]*(?:by|today|tomorrow|on|this|next|before|until|$)",
    ),
    clause_end=phrase(
        r"[;:?!]",
        r",? and (?=(?:I|we|you|they|he|she|@\d+@)(?:'ll| will|'m| am|'d| can| should| need| have)\b)",
        r",? (?:but|because|since|so that|so|although|though|while|when|as soon as|unless|in case|if)\b",
        r"\. |, which ",
        r" [–—] ",
        r", (?=(?:it|they|that|he|she|we|there|I|you)(?:'s|'re|'m|'ve|'d| )\b)",
    ),
    report_back=phrase(
        r"^(?:let you know|give me (?:until|till)|come back to|get back to|report back|let (?:everyone|everybody|them|him|her) know|keep you posted|confirm)\b"
    ),
    take=phrase(
        r"^(?:(?:yes|yeah|sure|okay|ok|oh|no|nah|then|well)\b[,.! ]*)*(?:I can (?:do|take|handle)|I'll (?:do|take|handle)|I could do (?:that|it)\b(?! but| if)|I've got (?:it|this|that)|I got (?:it|this)|"
        r"I'm on it|on it\b|leave (?:it|that) (?:with|to) me|that's on me|that's mine|consider it done|"
        r"me,? me\b|I will\b[,.]?(?: yes| yeah)?|will do|give me (?:until|till)|I can get that|happy to|"
        r"I'd be happy to(?!.*I guess)|count me in|mine\b|I volunteer)"
    ),
    request=phrase(
        rf"(?<!what )(?<!how )(?<!why )(?<!where )(?<!who )(?<!when )(?<!which )\b(?:can|could|would|will) (?:you|someone|somebody|anyone|anybody) (?:also |please |maybe |perhaps |kindly |then |again |quickly )*{_VP}",
        r"\bwould you mind (?P<vp>\w+ing .+)",
        r"\bI (?:need|want|would like|'d like) you to (?P<vp>.+)",
        r"\bplease,? (?P<vp>(?!\w+ (?:don't|do not))\w+ .+)",
        r"\byou(?:'ll| will) (?P<vp>(?!have|get|be|see)\w+ .+\?)",
        rf"{WHO},? (?:will|can|could|would) you\b,? ?(?P<vp>.*)",
        r"\b(?:when|how soon) (?:can|will|could) (?:we|I) (?P<vp>(?:have|get|expect|see) .+)",
        r"\bI'd (?:rather|prefer) you (?P<vp>\w+ .+)",
        r"\bdo you want to (?P<vp>(?:do|take|write|send|prepare|handle) .+)",
        r"\byou(?:'ll| will) (?P<vp>(?:send|write|do|take|prepare|call|check|handle|organi[sz]e|set up) .+)",
    ),
    no_request=phrase(
        r"^(?:hear|see|all hear|everybody hear|say|repeat|explain|tell (?:me|us)|walk|show|mute|unmute|share your|share the screen|"
        r"speak|give (?:me|us) an example|elaborate|describe|outline|clarify|comment|assure|commit|confirm that|continue|give (?:me|us|them) (?:some|any|an) (?:indication|idea|sense|assurance)|\w+ mind\b|remind (?:me|us) (?:what|who|how)|imagine|believe|"
        r"take (?:a look at (?:this|my)|your order)|please stop|stop|wait|hold on|be |pass the|turn|go (?:first|ahead|on|back)|"
        r"start|come (?:again|back)|help|move on|agree|live with|feel|read (?:it|that) (?:out|back)|talk|join|get to work|"
        r"everyone|everybody|excuse|let (?:me|us) finish|note|keep in mind|remember|sit|mind|think about|understand|welcome|like|want|not)\b"
    ),
    need=phrase(
        rf"\b(?:we|someone|somebody|one of us|you guys) (?:still |really |also |do |all |just )*(?:needs? to|have to|has to|must|'ve got to|gotta) {_ADVERBS}{_VP}",
        rf"\bwe(?:'ll| will) (?:have|need) to {_ADVERBS}{_VP}",
        r"\b(?:someone|somebody) should (?P<vp>.+)",
    ),
    weak_need=phrase(
        rf"\b(?:we|someone|somebody) (?:should|ought to|could|might want to) (?:probably |maybe |also |really )*{_VP}",
        r"\b(?P<vp>(?:that|it|this) needs (?:checking|doing|fixing|sorting)).*",
        rf"\bwe need (?:somebody|someone) who {_VP}",
        r"^(?:and )?who(?:'s| is| will| can| could|'ll| wants to|'d like to) (?P<vp>.+)",
        r"^(?:and )?who (?P<vp>(?:writes|does|takes|sends|covers|calls|makes|prepares|organi[sz]es|brings|handles)\b.+)",
    ),
    no_need=phrase(
        r"^(?:be|have|know|think|understand|talk|discuss|see|consider|remember|accept|wait|go|do (?:something|better|more)|decide|agree|say|"
        r"keep|live|care|worry|look at (?:it|this) differently|stop|move on|make sure|pay|respect|ask ourselves|hurry|start|answer|inform|learn|face|get going|leave|not|win|grow)\b"
    ),
    work=phrase(
        r"^(?:update|write|send|check|fix|call|ask|find (?!out if they)|order|book|renew|prepare|schedule|contact|inform|tell|clean|"
        r"test|document|review|follow|set up|hire|migrate|pay|sign|submit|file|look (?:that|it|this|into|up)|get (?:the|a|back|three|some|in touch|quotes)|"
        r"chase|arrange|organi[sz]e|invite|draft|publish|upload|download|install|replace|repair|buy|cancel|confirm|announce|collect|notify|email|mail|"
        r"register|apply|train|translate|proofread|archive|back up|delete|rotate|patch|deploy|measure|count|move the|create|add|remove|print|file)\b"
    ),
    assign=phrase(
        rf"{WHO}(?: will|'ll| is going to| is gonna| has to| needs to| is to| shall) (?!you\b)(?:then |also |please |still )*{_VP}",
        r"\b(?:have|get|let|make) @(?P<who>\d+)@ (?:to )?(?P<vp>\w+ .+)",
        r"^(?:so |and |then |okay |ok |, )*@(?P<who>\d+)@ (?P<vp>(?:takes|picks|writes|sends|prepares|handles|owns|covers|organi[sz]es|calls|checks|does|updates|drafts|books|runs|reviews|fixes) .+)",
        r"^(?:so |and |then |okay |ok |, )*@(?P<who>\d+)@ to (?P<vp>\w+ .+)",
        r"\b(?:action|to ?-?do|ai)(?: item| point)?(?: for| on)? @(?P<who>\d+)@\s*[:,–-]? ?(?:to )?(?P<vp>.+)",
        r"@(?P<who>\d+)@ (?:said|says|promised|agreed|told (?:me|us)|confirmed|has promised|asked me to (?:say|tell you)|wants you to know|lets you know)(?: that)? (?:he|she|they|@\d+@)(?:'ll|'d| will| would) (?P<vp>.+)",
        r"@(?P<who>\d+)@ (?:has )?(?:promised|promises|agreed|agrees|offered|volunteered) to (?P<vp>.+)",
        r"\b(?:assigned?|hand|give) (?:it|that|this) to @(?P<who>\d+)@(?P<vp>.*)",
        r"^(?P<pronoun>he|she|they)(?:'ll| will) (?P<vp>.+)",
    ),
    offer=phrase(
        r"^(?:(?:yeah|yes|well|oh|okay)\b[,. ]*)*I (?:can|could) (?:also )?(?P<vp>(?!maybe|perhaps|do that|take it).+)"
    ),
    offer_taken=phrase(
        r"^(?:(?:oh|yes|yeah|okay|great)\b[,. !]*)*(?:please(?: do)?\b|would you\b|(?:that|it)(?:'d| would) be (?:great|nice|lovely|good|wonderful|brilliant|perfect)|that(?:'s| is) (?:great|lovely|kind))"
    ),
    who_takes=phrase(
        r"^(?:and |so )*who (?:can|will|wants to|could|'ll) (?:take|do|own|handle) (?:that|this|it)"
    ),
    accept=phrase(
        r"^(?:(?:oh|ah|um|uh|hmm?|well|great|hi|perfect|right|good|ha)\b[,.! ]*)*(?:sure|yes|yeah|yep|yup|of course|will do|ok(?:ay)?|alright|all right|"
        r"absolutely|no problem|on it|i'm on it|got it|happy to|gladly|definitely|certainly|fine|i will|i can (?:do|get|take)|"
        r"agreed|agree|sounds good|sounds great|works|makes sense|deal|perfect|cool|lovely|great|good idea|me too|i'm in|seconded|"
        r"i second|let's do (?:it|that)|done|aye|in favou?r|exactly|that works|that's fine|plus one|i'm up for|good|true|i'll (?:do|take|ask|tell)|i'm fine)\b"
        r"(?! (?:but|question|point))"
    ),
    refuse=phrase(
        r"^(?:(?:oh|ah|um|uh|hmm?|well|sorry|honestly|okay|yeah)\b[,. ]*)*(?:no\b(?! problem| worries| objection)|nope|nah|i can't|i cannot|i'm afraid|not me|not really|"
        r"i'm (?:really |totally |completely )?(?:swamped|busy|out|away|off|on holiday)|i'd rather not|i don't (?:think so|want|have time)|"
        r"i won't|please no|that won't|i'd rather|not yet|mornings are bad|i don't read)\b",
    ),
    retract=phrase(
        r"\b(?:scratch that|forget (?:it|that|about it)|never ?mind|strike that|cancel that|on second thoughts?|"
        r"don't bother|no need|hold off|leave it(?! with| to me)|let it be|drop (?:it|that)|let's not(?= do that|$|[.!])|"
        r"i take (?:it|that) back|actually no|actually,? don't|not necessary|you don't (?:have|need) to|isn't needed|skip that)\b"
    ),
    done=phrase(
        r"\b(?:already (?:did|done|sent|have|fixed|asked)|I did(?: it| that)?(?=[.,!]|$)|i've (?:already )?(?:sent|done|fixed|asked|called|got)|"
        r"i already|it's done|that's done|got it this morning|i sent|it was done|that's fixed)\b"
    ),
    decide=phrase(
        r"\b(?:we(?:'ve| have)? (?:just )?decided|it(?:'s| is) decided|decided\s*:|decision\s*:|we(?:'ve| have) agreed (?:on|to|that)|"
        r"(?:the )?motion (?:is )?(?:carried|carries|passes|passed)|are approved|is approved|approved as|"
        r"we(?:'ll| will|'re going to| are going to|'re gonna) (?:just )?(?:go (?:with|for)|keep (?!\w+ing\b|an eye|you)|stick|stay|use|postpone|drop|skip|cancel|run (?:it|them)|leave (?!it at that)|ship|launch|switch)|"
        r"we(?:'re| are) (?:going with|sticking with|keeping|dropping|cancelling|canceling|postponing|not doing)|"
        r"(?:so|okay|then),? (?:the )?[\w -]{2,30} is on the |we're agreed (?:on|that)|"
        r"we don't share)",
        _LEAD + r"(?:so|then|on \w+ )[, ]*(?:on \w+ )?we (?:just |now )?" + _ANNOUNCED,
        r"^(?:so |okay |okay, |all right, |right, |good, |fine, |then )*we (?:cancel|postpone|drop|freeze|reject|hire|adopt|switch|delay|move|ship|launch|release|close|skip|stick|leave|keep) \w+",
        r"^(?:okay|good|great|right|all right|fine),? so (?!i\b|you|it|that|what|who|where|how|can|do)[\w' ]{2,30} (?:goes?|moves?|shifts?|shrinks?|stays?|gets?) ",
        r"(?:^|, )(?:so |then )?we "
        + _ANNOUNCED
        + r" .*(?:for now|until|as (?:we said|agreed|before)|before we)",
        _LEAD
        + r"(?!that|this|how|what|so|there|here|where|as|who|say|think|because|I\b|it\b|like|if|to\b)(?:[\w'@-]+ ){1,3}it is[.!]?$",
        _LEAD
        + r"no (?!problem|idea|worries|one|need|no|way|i|we|it)[\w -]{3,30}(?: this year| then| for now)\b",
        r"^(?:fine|okay|right), no (?!problem|idea|worries|one|need|no|way|i|we|it)[\w -]{3,30}[.!]?$",
        _AFTER_TALK
        + r"(?!item|question|see|next|what|bye|you|thank|i|it|well)[\w' -]{5,50},? then[.!]?$",
        r"^(?!item|question|see|next|what|bye|you|thank|i|it|well)[\w' -]{5,30} only, then[.!]?$",
        _LEAD
        + r"(?:so )?(?:go-live|launch|handover|release|deadline) (?:is|stays|moves) on (?:the )?\w+",
        _LEAD + r"(?:code freeze|[\w-]+) on the [\w -]{3,30}[.!]?$",
        _LEAD + r"then (?:ask for|keep|use|take|go (?:with|for)) .+",
        _LEAD + r"keep (?:it|the) [\w -]{3,40}[.!]?$",
    ),
    propose=phrase(
        r"\blet's (?P<vp>(?:not |just |all )?.+)",
        r"\b(?:I|we) (?:propose|suggest|move|vote|recommend)(?: that)? (?P<vp>.+)",
        r"\bproposal\s*: ?(?P<vp>.+)",
        r"(?<!what )(?<!when )(?<!how )(?<!where )(?<!who )(?<!why )\b(?:should|shall) we (?P<vp>.+)",
        r"\b(?:how about|what if) (?:we )?(?P<vp>.+)",
        r"\bI(?:'d| would) (?:say|suggest|propose) (?:that )?(?P<vp>we .+)",
        r"\bI think we should (?P<vp>.+)",
        r"\bwhy don't we (?P<vp>.+)",
        r"(?<!what )(?<!when )(?<!how )(?<!where )(?<!who )(?<!why )\b(?:could|can) we (?P<vp>.+)",
        rf"^(?:so |okay so |okay, so |then |so, )+(?P<vp>we (?:should |could )?{_ANNOUNCED}.+)",
        r"\bI don't think we should (?P<vp>.+)",
    ),
    no_proposal=phrase(
        r"^(?:just )?(?:see|go (?:through|over|down|on|round)|start(?! the| with the new)|move on|look|talk|hear|wait and|say|be|do \S+ first|do (?:it|that) first|continue|take (?:it|this|that) offline|"
        r"park|get (?:started|going|to work)|run through|figure|find out|come back|leave (?:that|it|this) open|call it a day|catch|do a role|discuss|think|assume|"
        r"imagine|pretend|postpone this discussion|stop here|begin|hope|all|speak|meet (?:again)?$|check|dig|jump|give|have (?:a look|lunch|@|somebody)|keep (?:going|it short|moving)|try|see|forget|read|rub|not go there|not forget|do this|do that|do it|get back|change the|dark|get a)\b"
    ),
    sealed=phrase(
        r"\b(?:that's (?:settled|decided|agreed|a rule|it then|the plan)|it's (?:settled|decided|agreed|a deal)|(?:motion|it) is carried|carried unanimously|"
        r"all agreed|all in favou?r)\b",
        r"^(?:great, |okay, |so |then )*(?:decided|agreed|done|settled|adopted)[.!]?$",
    ),
    object=phrase(
        r"^(?:(?:oh|hmm?|well|um|uh|ah|yeah|okay|honestly)\b[,. ]*)*(?:no\b(?! problem| objection|body)|nope|nah|hold on|wait|not so fast|i disagree|i don't (?:think|like|agree|want)|i'm not (?:so )?sure|i'd rather|"
        r"i'm against|i have to say|i'm sceptical|i'm skeptical|please no|oh please no|that won't|mornings are bad|sales won't|but\b|too late|we can't|i wouldn't|is it\b|maybe\b|it'd be)"
    ),
    reverse=phrase(
        r"\b(?:after all|instead|on second thoughts?|changed? (?:my|our) mind|scrap (?:that|it)|scratch that|back to|take (?:it|that) back|actually|reverse|no longer|rather than|forget (?:option|that|about))\b"
    ),
    undecided=phrase(
        r"\b(?:if|maybe|perhaps|might|not decided|haven't decided|undecided|whether|would have|could have|were going to|used to|last time we|yesterday we|did we|you decided|they decided|he decided|she decided|don't want to decide|don't have|we decide(?! )|to decide|let's say)\b"
    ),
    dunno=phrase(
        r"\b(?:don't know|do not know|not (?:so |really |quite |entirely )?sure|don't want to decide|no idea|no clue|good question|can't (?:say|tell)|cannot (?:say|tell)|couldn't tell|haven't (?:figured|decided)|not (?:yet )?(?:clear|decided|certain)|"
        r"nobody (?:knows|could)|we'll see|let's park|park (?:that|this|it)|(?:leave|let's leave) (?:that|this|it) open|take (?:it|this|that) offline|won't settle|not .{0,10}settle|come back to (?:that|it|this)|"
        r"have to (?:check|ask|look)|need to (?:find out|check)|let me (?:find out|check|ask)|find out|to be decided|tbd|figure that out|i'm not certain|no, not yet|isn't clear|not me\b|decide (?:that )?(?:now|next time|later)|"
        r"i believe .*not sure|don't read it that way|haven't heard|depends on|i wonder)\b",
        r"^no, the \w+ doesn't tell",
    ),
    left_open=phrase(
        r"\b(?:open question|question is (?:whether|if|who|when|how)|we (?:still )?don't know (?:yet )?(?:whether|if|who|when|how|what|which|why)|(?:it's|that's) (?:still )?(?:open|unclear) (?:whether|if|who|when|how|what)|"
        r"asked who|still need to decide|wants to know whether|remains to be seen)\b"
    ),
    small_question=phrase(
        r"\b(?:how are you|hear me|see (?:it|my screen|that|you) ?\??$|any questions|anything else|any other business|all agreed|everybody okay|thumbs up|is that okay|makes sense|does that|you know\?|right\?$|okay\?$|"
        r"what do you think|who's next|who goes|any blockers|shall we (?:start|begin)|happy\?|just kidding|how was|how did|what went|what's up|know what i mean|what was that|any against|all in favou?r|are there any|why not|what's the first|and then)\b",
        r"^(?:(?:and|so) )?@\d+@,? (?:\w+ ){0,3}\w+\?$",
        r"^(?:really|is it|would you|agreed|what|why|when|who|how|sorry|again|no|yes|by when|friday|where were we|monday)\W*$",
    ),
    asked=phrase(
        rf"{WHO},? (?:can|could|should|needs? to|has to|must|had better|would|will|please|to|does|ought to|owes)\b.*",
        r"\b(?:can|could|would|will|does|did|has|is|should|when|what|where|how|why|which)\b[^.?!]{0,40}@(?P<who>\d+)@.*\?",
        r"\b(?:tell|ask|let|remind|inform|check with|need|want|expect|request|get|from|question for|something for|waiting (?:for|on)|pass (?:it |this |that )?on to|for)\b[^.?!]{0,40}@(?P<who>\d+)@.*",
        r"^(?:please )?@(?P<who>\d+)@[,:].*",
    ),
    not_asked=phrase(
        r"\b(?:is|isn't|where(?:'s| is)|will|can) @\d+@ (?:joining|here|there|coming|in|around|not|hear)\b",
        r"\bstand-?in for\b",
        r"\bthat's for @\d+@[.]?$",
    ),
    unclear=phrase(
        r"[\[(](?:inaudible|unintelligible|crosstalk|unclear|indistinct|unverständlich|\?\?+)[^\])]{0,30}[\])]",
        r"\byou (?:broke|are breaking|'re breaking) up\b",
        r"\b(?:contradicts?|doesn't match|don't match|isn't clear|not clear (?:which|what|to me))\b",
        r"\bmy (?:list|sheet|numbers?|notes) says?\b",
        r"\bsays \w+, or \w+.*in different places\b",
    ),
    short_date="{weekday} {day} {month}",
    by="by",
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    weekdays=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
)
