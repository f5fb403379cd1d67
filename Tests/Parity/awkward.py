"""Strings that text preparation, splitting and tokenizers stumble over: two hundred by hand, forty seeded."""
import random

BY_HAND = [
    # Empty, nearly empty, only marks
    "", " ", "\n", "\t \r\n", "\u00a0", "\u3000\u2003", "\u200b", "\ufeff", ".", "...", "…", "!?", ",", ";", ":", "-", "—",
    "\"", "''", "()", "”", ")", "« »", ". . .", "?!...", ", , ,", ".,;:", "…,", "\"\"\"", "a", "A", "1", "ß", "é", "🙂",
    # White space
    "  two  spaces  ", "tab\tand\nnewline", "carriage\rreturn", "windows\r\nlines\r\n", "three   spaces    here",
    "no\u00a0break", "thin\u2009space and\u202fnarrow", "ideographic\u3000space", "line\u2028separator\u2029paragraph",
    "file\x1cgroup\x1drecord\x1eunit\x1f.", "next\x85line", "vertical\x0btab\x0cfeed", "zero\u200bwidth\u200cand\u200djoiner",
    "\ufeffmark first", "trailing mark\ufeff", "\u180emongolian", "ogham\u1680space", "     five leading", "a\n\nb\n\n\nc",
    # First letters
    "ßtrange start", "istanbul", "İstanbul", "ılık", "ﬁnal ligature", "ŉ apostrophe n", "ǆ digraph", "ΐota", "éclair", "e\u0301clair",
    "\u0301 combining first", "1st place", "'tis", "\"quoted start", "(bracket start", "“curly start”", "¿qué?", "¡hola!", "…and then",
    "- dash first", "ǰ caron", "ΑΣ sigma", "ὀδυσσεύς", "ᾳ iota", "ა georgian", "日本語のテキスト", "中文，标点。", "한국어 문장입니다.",
    "Привет, мир", "שלום עולם", "مرحبا بالعالم", "हिन्दी वाक्य", "ไทย", "𝒜 mathematical", "𐐨 deseret",
    # Ends
    "no mark", "comma at the end,", "semicolon;", "colon:", "dash -", "dash –", "dash —", "many ,;:- –—", "quote\"", "quote'", "done.\"",
    "done.”", "done!)", "really?»", "he said \"no\"", "he said \"no,\"", "(in brackets)", "(in brackets,)", "[sic]", "ellipsis…", "ellipsis...\"",
    "trailing spaces   ", "trailing newline\n", "dash before quote —\"", "comma before bracket ,)", "mark then space . ", "''", "x\"\"\"", "x,\"", "x ' ",
    "wait, ' ", "it's", "dogs'", "the '90s'", "a:b", "end;\"'", "…\"", ",\"", "\",",
    # Marks inside
    "Hi?, she said", "\"Hi?\", she said.", "Wait... what?! No!!! Yes?", "a.,;b", "a. , b", "a!\n;b", "one…,two", "e.g., this; i.e. that: so",
    "Dr. Smith met Mr. Jones at 5 p.m. on Main St.", "U.S.A. and U.K. agree", "J. R. R. Tolkien wrote it.", "No. 5 is alive. No. 6 is not.",
    "3.14 is pi. 2.72 is e.", "Version 1.2.3.4 is out", "2. 3 apples", "In 1999.2000 came", "$4.99, 50%, #1, a@b.c", "1,000,000 people; 2,5 euros: 3",
    "at 10:30, or 10:45; maybe 11:00", "١.٢ arabic digits ٣.٤", "²³.¹ superscripts", "½.½ fractions", "5.a and a.5", "x . y . z", "end.Start", "end.start.again",
    "What?Really!Yes.", "Hello,world;again:here", "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", "(Is it? Yes.) (No! Never.)", "\"One.\" \"Two.\" \"Three.\"",
    "‘single’ “double” „low“ «guillemets» ‹single›", "it’s ‘quoted’ don’t", "em—dash, en–dash, minus−sign", "¡Hola! ¿Qué tal? Bien.", "[a] {b} <c> |d| \\e/",
    # Things tokenizers treat specially
    "<s>", "</s> end", "<unk> and <pad>", "<0x41><0x42>", "▁", "▁▁under▁bars", "a▁b", "_under_score_", "\x01\x02 control", "\x7f", "\ufffd replaced", "\ufffe\uffff",
    "e\u0301 e\u0308 n\u0303", "Z̷̢a̸l̵g̶o̷", "👩‍👩‍👧‍👦 family", "🇫🇷🇩🇪", "👍🏽 thumb", "❤️ heart", "🙂.🙂!🙂?", "a🙂b", "①②③", "№ 5 ™ © ®", "ﷺ", "ａｂｃ full width", "Ω Ω K K Å Å",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "ababababababababababababab", "............................", "!!!!!!!!!!!!!!!!!!!!", ",,,,,,,,,,,,,,", "      ........      ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.", "https://example.org/a,b;c?d=e&f=g#h", "C:\\path\\to\\file.txt", "f(x) = x^2 + 3.0*x - 1;",
]


def strings(seed: int, sentences: list[str], mixtures: int = 40) -> list[str]:
    """`BY_HAND` without repeats, some long ones made of `sentences`, and random mixtures."""
    rng = random.Random(seed)
    out = list(dict.fromkeys(BY_HAND))
    out.append(" ".join(sentences[:40]))  # very long
    out.append("".join(s.rstrip(".!?") + ", " for s in sentences[40:52]) + "and that was it")  # long, without sentence marks
    out.append(" ".join(w for s in sentences[52:62] for w in s.replace(".", "").replace(",", "").split()))
    parts = [*" \n\t\u00a0", "  ", *".,;:!?…-–—'\"’”()[]«»", "...", *"0123456789", "ß", "é", "e\u0301", "İ", "日", "🙂", "<s>", "▁", "Dr.", "3.5", "U.S."]
    words = [w for s in sentences[:60] for w in s.split()]
    total = len(out) + mixtures
    while len(out) < total:
        text = ""
        for _ in range(rng.randint(2, 25)):
            text += rng.choice(words) + " " * rng.randint(0, 1) if rng.random() < 0.6 else rng.choice(parts)
        if text not in out:
            out.append(text)
    return out
