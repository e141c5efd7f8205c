#!/usr/bin/env python3
"""Makes what the pod of `helm test` trains: a tiny BERT with seeded random weights and a word tokenizer, and labelled rows. The same bytes each time; standard library only.

    deploy/helm/make_test_model.py [DIRECTORY]      default: attune/files/test beside this file
"""
import json
import pathlib
import random
import struct
import sys

GOOD = ["good", "great", "fine", "happy", "nice"]
BAD = ["bad", "awful", "poor", "sad", "nasty"]
OTHER = ["a", "the", "film", "book", "food", "was", "is", "very", "so", "it"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = SPECIAL + GOOD + BAD + OTHER
HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS = 16, 2, 2, 32, 32
ROWS = 48


def config():
    return {"architectures": ["BertModel"], "model_type": "bert", "vocab_size": len(VOCABULARY), "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "intermediate_size": INTERMEDIATE, "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "pad_token_id": 0}


def tokenizer():
    def special(id):
        return {"id": id, "content": SPECIAL[id], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}

    def piece(kind, of, type_id):
        return {kind: {"id": of, "type_id": type_id}}

    single = [piece("SpecialToken", "[CLS]", 0), piece("Sequence", "A", 0), piece("SpecialToken", "[SEP]", 0)]
    pair = single + [piece("Sequence", "B", 1), piece("SpecialToken", "[SEP]", 1)]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [special(i) for i in range(len(SPECIAL))],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {
            name: {"id": name, "ids": [SPECIAL.index(name)], "tokens": [name]} for name in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": {word: i for i, word in enumerate(VOCABULARY)}},
    }


def shapes():
    """Tensors as transformers' BertModel names them."""
    found = {"embeddings.word_embeddings.weight": (len(VOCABULARY), HIDDEN), "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
             "embeddings.token_type_embeddings.weight": (2, HIDDEN)}

    def linear(name, out, inputs):
        found[f"{name}.weight"], found[f"{name}.bias"] = (out, inputs), (out,)

    def norm(name):
        found[f"{name}.weight"], found[f"{name}.bias"] = (HIDDEN,), (HIDDEN,)

    norm("embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear(f"{layer}.{part}", HIDDEN, HIDDEN)
        linear(f"{layer}.intermediate.dense", INTERMEDIATE, HIDDEN)
        linear(f"{layer}.output.dense", HIDDEN, INTERMEDIATE)
        norm(f"{layer}.attention.output.LayerNorm")
        norm(f"{layer}.output.LayerNorm")
    linear("pooler.dense", HIDDEN, HIDDEN)
    return found


def safetensors():
    # random() is the one draw that Python promises to repeat in later versions.
    draw = random.Random(0).random
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, shape in sorted(shapes().items()):
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        if name.endswith("LayerNorm.weight"):
            values = [1.0] * count
        elif name.endswith(".bias"):
            values = [0.0] * count
        else:
            values = [0.2 * draw() - 0.1 for _ in range(count)]
        packed = struct.pack(f"<{count}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def reviews():
    draw = random.Random(1).random
    lines = ["text,label"]
    for i in range(ROWS):
        words = [OTHER[int(draw() * len(OTHER))] for _ in range(2 + int(draw() * 6))]
        mood = GOOD if i % 2 else BAD
        words.insert(int(draw() * (len(words) + 1)), mood[int(draw() * len(mood))])
        lines.append(f"{' '.join(words)},{'positive' if i % 2 else 'negative'}")
    return "\n".join(lines) + "\n"


def files():
    return {"config.json": (json.dumps(config(), indent=1) + "\n").encode(), "tokenizer.json": (json.dumps(tokenizer(), indent=1) + "\n").encode(),
            "model.safetensors": safetensors(), "reviews.csv": reviews().encode()}


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "attune" / "files" / "test"
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (directory / name).write_bytes(content)


if __name__ == "__main__":
    main()
