/** Phrases that are not idiomatic English, or riddles to a reader, each with the words to use instead. */

const own = "(?:one['’]s|your|its|their|our|his|her|my) own";
const numbers = '(?:ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|\\d+)';

/** @type {[phrase: string, instead: string][]} A space stands for any white space. */
const list = [
  [
    '(?<!\\bthere )\\b(?:is|are|was|were) no (?!longer\\b|more\\b|other\\b|different\\b)\\w+',
    '“is not a …”, or “has no …”',
  ],
  ['\\b(?:go|goes|went|gone|going) on\\b', '“continues”, “resumes”, or “proceeds”'],
  ['\\b(?:nobody|somebody|whoever)\\b', 'name the caller, the user, the process or the code'],
  ['\\banew\\b', '“again”, or “from the start”'],
  ['\\bat hand\\b', '“available”, or “present”'],
  ['\\bbut for\\b', '“except”'],
  ['\\bso many\\b', 'the name of the count: “`count` tasks”'],
  ['\\bhand(?:s|ed|ing)? (?:in|on|over)\\b', '“pass”, “propagate”, or “return”'],
  ['\\bby turns\\b', '“interleaved”'],
  ['\\bin (?:turn|their turn|its turn)\\b', '“in order”, “one at a time”, or “each”'],
  [`\\bof ${own}\\b`, '“its own …”, “a separate …”, or “custom”'],
  ['\\b(?:came|come|comes|coming) to be\\b', '“become”, or the name of the state'],
  ['\\bas it came\\b|\\bas they came\\b', 'say which value: “the original …”'],
  ['\\bas good as\\b', '“equivalent to”, or “almost”'],
  ['\\bwhat (?:is|are|was|were) (?:not|no|there|given|said|asked|called|wanted|shown|told|made)\\b', 'name the thing'],
  ['\\b(?:of|for|from|to|with|by|in|all|refuses) what (?:is|are|was|were|has|have)\\b', 'name the thing'],
  [
    '(?<=^\\s*|[.!;:] )What (?!is this\\?)\\S+(?=(?:[^.?!]|[.?!](?=\\S))*(?:[.!]|$))',
    'name the thing: “The result”, not “What results”',
  ],
  [
    '(?<=^\\s*|[.!;:] )Who \\S+(?=(?:[^.?!]|[.?!](?=\\S))*(?:[.!]|$))',
    'name the caller, the user, the process or the code',
  ],
  ['(?<=^\\s*|[.!;:] )Told\\b', '“Receives …”, or “Called with …”'],
  ['\\b(?:is|are|was|were) told\\b|\\btold of\\b', '“receives”, or “is notified of”'],
  ['\\b(?:is|are|was|were|nothing|nothing else|as) said\\b', '“specified”, “stated”, or “given”'],
  ['\\b(?:lies|lie|lay)\\b(?! in \\[| between)', '“is”, “is stored”, or “is located”'],
  ['\\bbeside\\b', '“next to”, “with”, or “in addition to”'],
  ['\\bin words\\b', '“as text”'],
  ['\\bh(?:olds?|eld) (?:[^.\\s]+ ){0,5}against\\b', '“compares with”'],
  ['\\bputs? (?:\\S+ ){0,3}back\\b', '“restores”'],
  ['\\b(?:null|undefined|empty|absent|false|true|infinite|refused|nothing) where\\b', '“if”'],
  ["\\bis another(?: one)?(?=[.,;:]|$)|\\bare others(?=[.,;:]|$)|\\banother[’']s\\b", '“differs”, or name the owner'],
  ['\\b(?:ours|yours|theirs|hers) to \\w+', 'say who must do it'],
  ['\\bbefell\\b|\\bbefalls?\\b', '“happened to”'],
  ['\\bdoes not care (?:for|about)\\b|\\bdislikes\\b', '“does not depend on”, or “rejects”'],
  ['\\bsuch a one\\b|\\bthe like\\b', 'name the thing'],
  [`\\bsome ${numbers}\\b`, '“about”'],
  ['\\bunasked\\b|\\bfor good\\b', '“without being asked”, “permanently”'],
  ['\\bas asked(?: for)?\\b', '“as requested”'],
  ['\\bthat many\\b', 'the name of the count: “`count` examples”'],
  ['\\bof what\\b', 'name the thing: “of the tensors that it allocates”'],
  ['\\bwhat (?:\\S+ ){1,4}(?:does|do|did)\\b(?! not)', 'name the thing: “the effect of …”, “the result of …”'],
  ['\\bmakes? of\\b|\\bmade of\\b', '“consists of”, or the verb: “computes from”'],
  ['\\bas (?:it|they) (?:is|are|was|were)\\b', '“unchanged”, or name the state'],
  ['\\bwhatever\\b', '“any”, or “for every …”'],
  ['\\ball that\\b', '“everything that”, or “all … that”'],
  ['\\b(?:goes|went|gone)\\b(?! on\\b)', '“runs”, “moves”, “passes”, “is added to”, or “tends to”'],
  ['\\b(?:stands?|stood|standing)\\b(?!-)(?! alone)', '“is”, “represents”, or “replaces”'],
  ['\\basked for\\b|\\bif so asked\\b', '“requested”, or the name of the option'],
  ['\\blook(?:s|ed|ing)? at\\b', '“reads”, “inspects”, or “compares”'],
  ['\\bcame\\b', '“was”, “returned”, or “resulted in”'],
  [
    '\\bwhere (?:there (?:is|are)|no|one|another|that (?:is|has)|it (?:has|can|cannot|does)|they have)\\b',
    '“if”, or “unless”',
  ],
  ['\\bsays? (?:so|what|why)\\b', '“states”, “shows the reason”, or “reports”'],
  ['(?<=^\\s*|[.!;:] )Says\\b', '“Tells”, “Returns”, or “Describes”'],
  ['(?<=^\\s*|[.!;:] )refuses\\b', '“rejects” in a title, “Throws unless …” in a comment'],
  ['\\bthat (?:is|are) none\\b', 'name the requirement: “is not a number”'],
  ['\\b(?:one|those) of its makers?\\b|\\bits maker\\b', 'name the part that creates it'],
  ['\\btakes? turns\\b', '“one at a time”'],
  [
    '\\b(?:thereof|therein|whereof|wherein|whereby|hereof|lest|ere)\\b',
    'plain words: “of it”, “in which”, “so that … not”',
  ],
];

/** What the checker looks for. */
export const phrases = list.map(([phrase, instead]) => ({
  pattern: new RegExp(phrase.replaceAll(' ', '\\s+'), 'giu'),
  instead,
}));
