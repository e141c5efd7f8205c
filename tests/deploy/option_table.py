"""Reads attune-server's options out of its sources: the table in option_keys.cc, and the members' types in options.h."""
import os
import re
from collections import namedtuple

SOURCE = os.environ.get("ATTUNE_SOURCE_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
Option = namedtuple("Option", "name type help least most choices default")


def read(path):
    with open(os.path.join(SOURCE, path)) as file:
        return file.read()


def number(text):
    """`int64_t{1} << 50`, `24 * 365`, `3600`."""
    text = re.sub(r"int64_t\{(\d+)\}", r"\1", text).strip()
    assert re.fullmatch(r"[\d\s*<()]+", text), text
    return eval(text)  # digits and operators only, as just checked


def literals(text):
    """Adjacent C++ string literals as one text."""
    return "".join(re.sub(r'\\(["\\])', r"\1", part) for part in re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def members():
    """Member name -> (type, default) of all options structs."""
    found = {}
    for kind, name, default in re.findall(r"^  (std::string|int64_t|bool) (\w+)(?: = ([^;]+))?;", read("server/main/options.h"), re.M):
        assert name not in found, f"two members of options.h are called {name}: look them up by struct"
        found[name] = (kind, default)
    return found


def read_options():
    types = members()
    table = read("server/main/option_keys.cc").split("MakeKeys()", 1)[1].split("\n  };\n", 1)[0]
    options = []
    for entry in re.split(r"\{\.name = ", table)[1:]:
        name = re.match(r'"(\w+)"', entry).group(1)
        member = re.search(r"&o\.\w+\.(\w+);", entry).group(1)
        help_text = literals(re.search(r"\.help = (.*?),\n\s+\.target", entry, re.S).group(1))
        bounds = [re.search(rf"\.{bound} = ([^,}}]+(?:\}}[^,}}]+)?)", entry) for bound in ("least", "most")]
        choices = re.search(r"\.choices = \{(.*?)\}", entry)
        kind, default = types[member]
        options.append(Option(name, kind, help_text, *(number(b.group(1)) if b else None for b in bounds),
                              re.findall(r'"(\w+)"', choices.group(1)) if choices else None, default))
    assert options, "no option was found in server/main/option_keys.cc"
    return options
