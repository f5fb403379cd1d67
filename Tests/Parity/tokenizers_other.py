#!/usr/bin/env python3
"""Fixtures of tokenizers other than the official ones, as community models may bring them.

    tokenizers_other.py --out DIR        (sentencepiece and tokenizers as in requirements.txt)

DIR/NAME.model and DIR/NAME.json: small models; DIR/cases.json: {versions, texts, files: {FILE: {size, ids: [ids of
each text], decoded: [text of those ids], decode: [[ids, text]]}}}. What the two libraries say is the reference.
"""

import argparse
import json
import random
from importlib.metadata import version
from pathlib import Path

import sentencepiece
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

MARK = "\u2581"
WORDS = (
    "the quick brown fox jumps over lazy dogs and then twenty 1984 yellow birds sang in old gardens "
    "café naïve Straße fiancée don't it's we'll e-mail ﬁne ½ ２０ ①"
).split()

TEXTS = [
    "", " ", "  ", "a", "the quick brown fox", "  two  spaces  here  ", "The Quick BROWN fox!", "café cafe\u0301 e\u0301",
    "½ ﬁne ２０２６ ① ﬀ ㎏", "tabs\tand\nlines\r\n", "\u00a0no\u2003break\u3000", "日本語のテキスト", "😀👍🏽👨‍👩‍👧", "xxxxxxxxxxxxxxxx",
    "<s>literal</s> <unk> <pad>", "a<unk>b <0x41> <0xZZ>", MARK + "mark" + MARK + MARK, "ÅÅK K Ω Ω", "İstanbul ǅ ß ŉ",
    "[laugh] hello[laugh] x[laugh]y", "[pause]  [pause]a", "don't we'll it's", "1984, 2001; 3.14", "\u0000nul\u0007", "\ufffd\ufeff\u200b",
    "the the the the the the", "q\u0323\u0307 \u1e9b\u0323 \u212b", "zzz中文zzz中", "Straße STRASSE", "a" * 300, "ｶﾞ ガ \u3099",
    " ".join(WORDS), "trailing space ", " leading", "\u2581\u2581x \u2581", "…—“quoted” ‘single’", "한국어 각 가\u11a8",
]


def corpus(rng):
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 12))) + rng.choice(".!?,") for _ in range(400)]


def train(out, name, sentences, **options):
    settings = dict(
        sentence_iterator=iter(sentences), model_prefix=str(out / name), vocab_size=360, model_type="unigram",
        byte_fallback=True, pad_id=3, minloglevel=2, num_threads=1, hard_vocab_limit=False)
    settings.update(options)
    sentencepiece.SentencePieceTrainer.train(**settings)
    (out / f"{name}.vocab").unlink()
    return sentencepiece.SentencePieceProcessor(model_file=str(out / f"{name}.model"))


def pieces(model):
    return [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]


def bpe(model, **options):
    vocabulary = {piece: i for i, (piece, _) in enumerate(pieces(model))}
    score = dict(pieces(model))
    merges = sorted(
        ((-score[p], p[:i], p[i:]) for p in vocabulary for i in range(1, len(p)) if p[:i] in vocabulary and p[i:] in vocabulary),
        key=lambda m: m[0])
    return models.BPE(vocab=vocabulary, merges=[(a, b) for _, a, b in merges], unk_token="<unk>", **options)


SPECIAL = [tokenizers.AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>", "<pad>")]
DECODER = decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()])


def build(out, name, model, normalizer=None, pre_tokenizer=None, decoder=DECODER, added=SPECIAL):
    tokenizer = tokenizers.Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        tokenizer.decoder = decoder
    tokenizer.add_tokens(added)
    tokenizer.save(str(out / f"{name}.json"), pretty=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    sentences = corpus(rng)

    # A short rule table stands for NFKC: the compiled table of the real one is 240 kB.
    rules = out / "rules.tsv"
    rows = [("½", "1/2"), ("ﬁ", "fi"), ("ﬀ", "ff"), ("２", "2"), ("０", "0"), ("６", "6"), ("①", "1"), ("㎏", "kg"), ("e\u0301", "é"),
            ("\u00a0", " "), ("\u2003", " "), ("\u3000", " "), ("\t", " "), ("\u200b", ""), ("ｶﾞ", "ガ")]
    rules.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in rows))

    identity = dict(normalization_rule_name="identity", remove_extra_whitespaces=False)
    unigram = train(out, "mapped", sentences, normalization_rule_tsv=str(rules))
    rules.unlink()
    train(out, "bpe", sentences, model_type="bpe", **identity)
    pairs = sentencepiece.SentencePieceProcessor(model_file=str(out / "bpe.model"))
    train(out, "symbols", sentences, user_defined_symbols=["[laugh]", "[pause]"], **identity)
    train(out, "no_bytes", sentences, byte_fallback=False, vocab_size=120, add_dummy_prefix=False, **identity)
    train(out, "suffix", sentences, treat_whitespace_as_suffix=True, normalization_rule_name="identity")
    train(out, "char", sentences, model_type="char", **identity)
    no_bytes = sentencepiece.SentencePieceProcessor(model_file=str(out / "no_bytes.model"))

    # The compiled table is field 2 of the normaliser, field 3 of the model.
    blob = (out / "mapped.model").read_bytes()

    def field(message, wanted):
        i = 0
        while i < len(message):
            key, shift = 0, 0
            while True:
                byte = message[i]
                i += 1
                key |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            if key & 7 == 5:
                i += 4
                continue
            value, shift = 0, 0
            while True:
                byte = message[i]
                i += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            if key & 7 == 2:
                if key >> 3 == wanted:
                    return message[i:i + value]
                i += value
        raise SystemExit("no such field")

    table = field(field(blob, 3), 2)
    always = pre_tokenizers.Metaspace(prepend_scheme="always")
    prepend = normalizers.Prepend(MARK)
    build(out, "mapped", models.Unigram(pieces(unigram), unk_id=0, byte_fallback=True),
          normalizers.Sequence([normalizers.Precompiled(table), normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
                                normalizers.Strip(), prepend]), always)
    build(out, "bpe", bpe(pairs, fuse_unk=True, byte_fallback=True), normalizers.Sequence([prepend]), always)
    build(out, "bpe_whole", bpe(pairs, fuse_unk=True, byte_fallback=True, ignore_merges=True),
          normalizers.Sequence([prepend, normalizers.Replace(" ", MARK)]),
          decoder=decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)]))
    build(out, "bpe_unknown", bpe(pairs, fuse_unk=False, byte_fallback=False), None,
          pre_tokenizers.Metaspace(prepend_scheme="first", split=False))
    build(out, "bpe_fused", bpe(pairs, fuse_unk=True, byte_fallback=False), None,
          pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), always]))
    build(out, "nfkc", models.Unigram(pieces(no_bytes), unk_id=0, byte_fallback=False),
          normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
          pre_tokenizers.Metaspace(prepend_scheme="never"), decoder=decoders.Metaspace(prepend_scheme="never"))
    build(out, "accents", models.Unigram(pieces(unigram), unk_id=0, byte_fallback=True),
          normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.NFC()]), always,
          added=SPECIAL + [
              tokenizers.AddedToken("[laugh]", lstrip=True, rstrip=True, normalized=False),
              tokenizers.AddedToken("[pause]", single_word=True, normalized=False, special=True),
              tokenizers.AddedToken("cafe", normalized=True, single_word=True)])
    build(out, "bare", models.Unigram(pieces(unigram), unk_id=0, byte_fallback=False), normalizers.NFKD(), decoder=None)

    files = {}
    for path in sorted(out.glob("*.model")) + sorted(out.glob("*.json")):
        if path.name == "cases.json":
            continue
        if path.suffix == ".model":
            model = sentencepiece.SentencePieceProcessor(model_file=str(path))
            size, encode, decode = model.get_piece_size(), model.encode, model.decode
        else:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
            size, encode, decode = tokenizer.get_vocab_size(), lambda text: tokenizer.encode(text).ids, tokenizer.decode
        ids = [encode(text) for text in TEXTS]
        drawn = [[rng.randrange(size) for _ in range(rng.randint(1, 12))] for _ in range(30)]
        files[path.name] = dict(size=size, ids=ids, decoded=[decode(i) for i in ids], decode=[[i, decode(i)] for i in drawn])
    versions = {name: version(name) for name in ("sentencepiece", "tokenizers")}
    (out / "cases.json").write_text(json.dumps(dict(versions=versions, texts=TEXTS, files=files), ensure_ascii=False))


if __name__ == "__main__":
    main()
