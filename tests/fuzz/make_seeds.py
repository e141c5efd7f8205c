#!/usr/bin/python3
"""Writes the seeds that nobody can write by hand: archives, packed rows, weights, tokenizers, and what workers say.

    tests/fuzz/make_seeds.py       the same bytes each time; seeds are small, because every mutant is made of one

Seeds that are text (CSV, JSONL, YAML, config.json, page tokens) stand in seeds/ as they were typed. See README.md.
"""
import base64
import gzip
import hashlib
import io
import json
import os
import struct
import tarfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
PGM = b"P5\n8 8\n255\n" + bytes(range(64))


def write(target, name, content):
    folder = os.path.join(HERE, "seeds", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)


def pack(content):
    return gzip.compress(content, mtime=0)


# Archives -----------------------------------------------------------------------------------------------------------------
def tar(entries, tar_format):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as archive:
        for name, content, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            info.linkname = "target" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue().rstrip(b"\0") + bytes(1024)


def zipped(entries, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, content)
    return out.getvalue()


def archives():
    images = [("train/cat/1.pgm", PGM, tarfile.REGTYPE), ("test/dog/2.pgm", PGM, tarfile.REGTYPE)]
    odd = [("a/", b"", tarfile.DIRTYPE), ("a/link.png", b"", tarfile.SYMTYPE), ("a/hard.png", b"", tarfile.LNKTYPE), ("../up.png", b"x", tarfile.REGTYPE),
           ("a/" + "long" * 40 + ".jpg", b"\xff\xd8\xff", tarfile.REGTYPE), ("w\u00e4hrend.pgm", PGM, tarfile.REGTYPE)]
    write("archive", "images.tar", tar(images, tarfile.USTAR_FORMAT))
    write("archive", "images.tar.gz", pack(tar(images, tarfile.GNU_FORMAT)))
    write("archive", "odd_gnu.tar", tar(odd, tarfile.GNU_FORMAT))
    write("archive", "odd_pax.tar.gz", pack(tar(odd, tarfile.PAX_FORMAT)))
    names = [("cat/1.pgm", PGM), ("dog/2.pgm", PGM), ("metadata.csv", b"text,label\n1.pgm,cat\n")]
    write("archive", "stored.zip", zipped(names, zipfile.ZIP_STORED))
    write("archive", "deflated.zip", zipped(names, zipfile.ZIP_DEFLATED))
    write("archive", "bomb.zip", zipped([("zeros.png", bytes(100_000))], zipfile.ZIP_DEFLATED))


def idx():
    pixels = bytes(range(18))
    images, labels = struct.pack(">IIII", 0x803, 2, 3, 3) + pixels, struct.pack(">II", 0x801, 2) + b"\1\7"
    for name, first, second in (("pair", images, labels), ("packed", pack(images), labels), ("cut", images[:-3], pack(labels)), ("wide", struct.pack(">IIII", 0x803, 1, 4096, 4096), labels)):
        write("idx", name, struct.pack("<H", len(first)) + first + second)


# Rows ---------------------------------------------------------------------------------------------------------------------
def packed_rows():
    write("csv", "packed.csv.gz", pack(b"text,label\nfine,good\n"))
    write("csv", "two_members.csv.gz", pack(b"text,lab") + pack(b"el\nfine,good\n"))
    write("jsonl", "packed.jsonl.gz", pack(b'{"text": "fine", "label": "good"}\n'))
    zstd = bytes.fromhex("28b52ffd20") + bytes([22]) + struct.pack("<I", 22 << 3 | 1)[:3] + b'{"text":"a","label":1}'  # one raw block
    write("jsonl", "packed.jsonl.zst", zstd)
    write("csv", "utf16.csv", "text,label\na,b\n".encode("utf-16"))


# Weights ------------------------------------------------------------------------------------------------------------------
def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def weights():
    two = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}, "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]}}
    write("safetensors", "two_tensors", safetensors(two, struct.pack("<ffq", 1, -2, 3)))
    write("safetensors", "not_finite", safetensors({"h": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}, b"\0\x3c\0\x7c"))
    write("safetensors", "empty_shape", safetensors({"e": {"dtype": "BF16", "shape": [0, 9223372036854775807], "data_offsets": [0, 0]}}, b""))
    write("safetensors", "gap", safetensors({"g": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, b"xy"))
    write("safetensors", "escapes", safetensors(rb'{"\ud83d\ude00\u0000":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}   ', b"\1"))


# Tokenizers ---------------------------------------------------------------------------------------------------------------
def tokenizer(name, model, **parts):
    write("tokenizer", name, json.dumps({"version": "1.0", "model": model, **parts}, separators=(",", ":")).encode())


def template(single, pair):
    def piece(word):
        kind, _, segment = word.partition(":")
        return {"Sequence" if kind in "AB" else "SpecialToken": {"id": kind, "type_id": int(segment or 0)}}
    special = {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (("[C]", 1), ("[S]", 2))}
    return {"type": "TemplateProcessing", "single": [piece(p) for p in single.split()], "pair": [piece(p) for p in pair.split()], "special_tokens": special}


def tokenizers():
    words = {"[U]": 0, "[C]": 1, "[S]": 2, "a": 3, "good": 4, "##o": 5, "m": 6, "##v": 7, "##ie": 8}
    piece = {"type": "WordPiece", "unk_token": "[U]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20, "vocab": words}
    added = [{"id": 1, "content": "[C]", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True},
             {"id": 9, "content": "Movie", "single_word": True, "lstrip": True, "rstrip": False, "normalized": True, "special": False}]
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    tokenizer("word_piece", piece, added_tokens=added, normalizer=bert, pre_tokenizer={"type": "BertPreTokenizer"}, post_processor=template("[C] A [S]", "[C] A [S] B:1 [S]:1"),
              truncation={"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Left"})
    tokenizer("bpe", {"type": "BPE", "unk_token": "<u>", "fuse_unk": True, "byte_fallback": False, "vocab": {"<u>": 0, "a": 1, "o": 2, "oo": 3, "d": 4, "ood": 5}, "merges": ["o o", "oo d"]},
              pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
              post_processor={"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": True})
    tokenizer("unigram", {"type": "Unigram", "unk_id": 0, "vocab": [["<u>", 0.0], ["\u2581a", -1.5], ["good", -2.0], ["o", -3]], "byte_fallback": False},
              normalizer={"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
              pre_tokenizer={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True})
    tokenizer("far_segment", {"type": "WordLevel", "vocab": {"a": 0, "[U]": 1}, "unk_token": "[U]"}, post_processor=template("[C] A:4294967295 [S]", "A [S] A:1 B:2"))
    tokenizer("twice", {"type": "WordLevel", "vocab": {"a": 0, "[U]": 1}, "unk_token": "[U]"}, post_processor=template("[C] A A [S]", "A [S] B B"), pre_tokenizer={"type": "Whitespace"})
    tokenizer("word_level", {"type": "WordLevel", "vocab": {"a": 0, "[U]": 1}, "unk_token": "[U]"},
              pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\s+|\\d"}, "behavior": "Removed", "invert": False}, {"type": "Digits", "individual_digits": True}]},
              post_processor={"type": "BertProcessing", "sep": ["[S]", 2], "cls": ["[C]", 1]})


# What workers say: the wire format of protobuf, by hand -------------------------------------------------------------------------
def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    """Of (number, value): an int, a float, bytes or text."""
    out = b""
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def counted(content):
    return struct.pack("<H", len(content)) + content


HEARTBEAT = message((3, message((1, 5), (2, 1 << 20))))
STARTED = message((4, message((2, "cpu"), (3, 2))))
RESUMED = message((4, message((1, 1 << 62), (2, "cpu"))))
METRICS = message((5, message((1, 3), (4, message((1, "loss"), (2, 0.5))))))
PROGRESS = message((6, message((1, 3), (2, 10))), (18, message((1, 3), (2, 96), (3, 4000), (4, 1.5), (5, 0.1))))
EVALUATION = message((7, message((1, 3), (2, "test"))))
CHECKPOINT = message((8, message((1, 1), (2, "step-1"), (3, message((1, "accuracy"), (2, 0.5))), (4, 1), (5, 0.25))))
PHASE = message((9, message((1, "head"), (2, 100))))
LINE = message((10, message((1, "a line"))))
FINISHED = message((2, 1))
FAILED = message((1, 2), (2, 8), (3, "out of memory"), (4, 7), (5, 1))
ADJUSTED = message((16, message((1, 3), (3, message((1, 0.5))))))


def worker_protocol():
    say = lambda content, fenced=True: (b"1" if fenced else b"0") + b"\0" + counted(content)
    connect, assign, lose = b"2\0", b"3\0", b"6"
    everything = [HEARTBEAT, STARTED, METRICS, PROGRESS, EVALUATION, CHECKPOINT, PHASE, LINE, ADJUSTED]
    write("worker_protocol", "attempt", connect + assign + b"".join(map(say, everything)) + say(message((11, FINISHED))) + lose + b"\0")
    write("worker_protocol", "failure", connect + assign + say(STARTED) + say(message((12, FAILED))) + lose + b"\1")
    write("worker_protocol", "superseded", connect + assign + say(message((1, message((1, "fineTuningJobs/j0"), (2, 9)))) + STARTED, fenced=False))
    write("worker_protocol", "second_hello", connect + say(message((2, message((1, "w"), (2, "s"), (3, 7))))))
    write("worker_protocol", "prediction", b"4\0" + connect + say(message((13, message((1, 1), (4, message((1, "good"))))))))
    write("worker_protocol", "evaluation", connect + b"4\1" + say(message((14, message((1, 1), (2, message((1, 5), (2, 10))))))) + say(message((15, message((1, 1))))) + b"5\3")
    write("worker_protocol", "plan", connect + b"4\2" + say(message((17, message((1, 1), (2, "no room"), (3, 8))))))
    write("worker_protocol", "stopped", connect + assign + b"5\0" + b"7\x10" + b"5\2" + lose + b"\0")
    write("worker_protocol", "stranger", b"2\3" + counted(message((1, "w1"), (2, "guess"), (3, -1))))


def worker_reports():
    say = lambda content: b"0" + counted(content)
    end = lambda how, content: b"4" + bytes([how]) + counted(content)
    everything = [STARTED, METRICS, PROGRESS, EVALUATION, CHECKPOINT, PHASE, LINE, ADJUSTED]
    write("worker_reports", "whole_job", b"".join(map(say, everything)) + end(0, FINISHED) + say(STARTED))
    write("worker_reports", "failures", (say(STARTED) + end(1, FAILED) + b"6\xff") * 3)
    write("worker_reports", "losses", (say(STARTED) + say(PROGRESS) + end(2, b"") + b"6\xff") * 3)
    write("worker_reports", "out_of_memory", say(STARTED) + say(CHECKPOINT) + end(14, b""))
    write("worker_reports", "resumed_far", say(RESUMED) + say(PROGRESS))
    write("worker_reports", "paused", say(STARTED) + b"5\2" + end(2, b"") + b"5\4" + say(STARTED) + b"5\0" + end(0, message((1, 1))))
    write("worker_reports", "bad_checkpoints", say(STARTED) + b"".join(say(message((8, message((1, step), (2, f"step-{step}"))))) for step in (2, 3, -4, 99)) + say(message((8, message((1, 1), (2, "../step-1"))))))
    write("worker_reports", "updated", say(STARTED) + b"5\x0a" + counted(message((1, message((18, 7))), (2, message((1, "priority"))))) + b"5\6" + b"5\1")


def page_tokens():
    token = base64.urlsafe_b64encode(hashlib.sha256(b"15:fineTuningJobs?2").digest()[:8] + b"2").rstrip(b"=")
    write("page_token", "token", b"0" + token)
    write("page_token", "cursor", b"1" + b"2")


if __name__ == "__main__":
    archives()
    idx()
    packed_rows()
    weights()
    tokenizers()
    worker_protocol()
    worker_reports()
    page_tokens()
