"""Pages of docs/api from the protos: one a file, and the index."""
import re

from google.protobuf import descriptor_pb2

from descriptors import Enum, Message

Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {Field.TYPE_DOUBLE: "double", Field.TYPE_FLOAT: "float", Field.TYPE_INT64: "int64", Field.TYPE_UINT64: "uint64", Field.TYPE_INT32: "int32", Field.TYPE_UINT32: "uint32",
            Field.TYPE_BOOL: "bool", Field.TYPE_STRING: "string", Field.TYPE_BYTES: "bytes", Field.TYPE_FIXED64: "fixed64", Field.TYPE_FIXED32: "fixed32",
            Field.TYPE_SINT32: "sint32", Field.TYPE_SINT64: "sint64"}
_ELSEWHERE = {"google.protobuf.Timestamp": "https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp",
              "google.protobuf.Duration": "https://protobuf.dev/reference/protobuf/google.protobuf/#duration",
              "google.protobuf.FieldMask": "https://protobuf.dev/reference/protobuf/google.protobuf/#field-mask",
              "google.rpc.Status": "https://cloud.google.com/apis/design/errors#error_model"}
_STATUSES = ("CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
             "INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED").split()
HEAD = "<!-- Made by tools/api from {source}; change the comments there. -->\n"


class Pages:
    def __init__(self, files, scopes):
        """files: of descriptors.load(). scopes: what a caller must be allowed, by "attune.v1.Service/Method"."""
        self._files = files
        self._scopes = scopes
        self._page_of = {}  # name of a type or "Service.Method" -> link target
        for file in files:
            page = page_name(file)
            for kind in file.types:
                self._page_of[kind.name] = f"{page}#{anchor(kind.name)}"
            for service in file.services:
                self._page_of[service.name] = f"{page}#{anchor(service.name)}"
                for method in service.proto.method:
                    self._page_of[method.name] = f"{page}#{anchor(method.name)}"

    def all(self):
        """File names and their text."""
        pages = {page_name(file): self._page(file) for file in self._files}
        pages["README.md"] = self._index()
        return pages

    def _index(self):
        lines = [HEAD.format(source="proto/attune/v1"), "# API reference", "", INTRODUCTION.strip(), "", "## Methods", ""]
        for file in self._files:
            for service in file.services:
                lines += [f"### {service.name}", "", self._inline(service.comment, page_name(file), link_own=False), "", "| method | what it does |", "|---|---|"]
                for method, comment in zip(service.proto.method, service.method_comments):
                    lines.append(f"| [{method.name}]({self._page_of[method.name]}){' (stream)' if method.client_streaming or method.server_streaming else ''} | "
                                 f"{self._inline(first_sentence(comment), '')} |")
                lines.append("")
        lines += ["## Pages", "", "| page | of |", "|---|---|"]
        lines += [f"| [{page_name(file)}]({page_name(file)}) | {self._inline(file.comment, '')} |" for file in self._files]
        return "\n".join([*lines, "| [errors.md](errors.md) | Every status and reason that a call can end with, and what to do. |", ""])

    def _page(self, file):
        page = page_name(file)
        lines = [HEAD.format(source="proto/" + file.name), f"# {title(file)}", "", *self._block(file.comment, page), "",
                 f"Package `{file.package}`, file `{file.name}`. [All pages](README.md), [errors](errors.md).", ""]
        for service in file.services:
            lines += [f"## {service.name}", "", *self._block(service.comment, page), ""]
            for method, comment in zip(service.proto.method, service.method_comments):
                scope = self._scopes.get(f"{file.package}.{service.name}/{method.name}", "admin")
                lines += [f"### {method.name}", "", f"{self._signature(method, page)} (scope `{scope}`)", "", *self._block(comment, page), ""]
                errors = [status for status in _STATUSES if re.search(rf"\b{status}\b", comment)]
                if errors:
                    lines += ["Errors of its own: " + ", ".join(f"[{status}](errors.md#{anchor(status)})" for status in errors) + ".", ""]
        if file.types:
            lines += ["## Types", ""]
        for kind in file.types:
            lines += [f"### {kind.name}", "", *self._block(kind.comment, page), ""]
            lines += self._fields(kind, page) if isinstance(kind, Message) else self._values(kind, page)
            lines.append("")
        return "\n".join(lines).rstrip("\n") + "\n"

    def _signature(self, method, page):
        request, response = (("stream of " if stream else "") + self._type_link(name, page)
                             for stream, name in ((method.client_streaming, method.input_type), (method.server_streaming, method.output_type)))
        return f"{request} → {response}"

    def _fields(self, message, page):
        if not message.proto.field:
            return ["No fields."]
        lines = ["| field | type | meaning |", "|---|---|---|"]
        described = set()
        for field, comment in zip(message.proto.field, message.field_comments):
            meaning = self._inline(comment, page)
            if field.HasField("oneof_index") and not field.proto3_optional:
                oneof = message.proto.oneof_decl[field.oneof_index].name
                if oneof not in described:
                    described.add(oneof)
                    lines.append(f"| *one of* `{oneof}` | | {self._inline(message.oneof_comments[field.oneof_index], page)} At most one of the fields below marked `{oneof}`. |")
                meaning = f"(`{oneof}`) {meaning}"
            lines.append(f"| `{field.name}` = {field.number} | {self._field_type(message, field, page)} | {meaning} |")
        return lines

    def _field_type(self, message, field, page):
        entry = next((n for n in message.proto.nested_type if n.options.map_entry and field.type_name.endswith(f".{message.name.split('.')[-1]}.{n.name}")), None)
        if entry is not None:
            key, value = entry.field
            return f"map of {self._base_type(key, page)} to {self._base_type(value, page)}"
        base = self._base_type(field, page)
        if field.label == Field.LABEL_REPEATED:
            return f"repeated {base}"
        return f"optional {base}" if field.proto3_optional else base

    def _base_type(self, field, page):
        return _SCALARS[field.type] if field.type in _SCALARS else self._type_link(field.type_name, page)

    def _type_link(self, type_name, page):
        name = type_name.removeprefix(".").removeprefix("attune.v1.")
        if name in self._page_of:
            return f"[{name}]({local(self._page_of[name], page)})"
        return f"[{name}]({_ELSEWHERE[name]})" if name in _ELSEWHERE else name

    def _values(self, enum, page):
        lines = ["| value | number | meaning |", "|---|---|---|"]
        return lines + [f"| `{value.name}` | {value.number} | {self._inline(comment, page)} |" for value, comment in zip(enum.proto.value, enum.value_comments)]

    def _block(self, comment, page):
        """A comment as paragraphs; indented lines keep their form."""
        lines, paragraph, literal = [], [], []

        def flush():
            if paragraph:
                lines.append(self._linked(escape(" ".join(paragraph)), page))
                paragraph.clear()
            if literal:
                lines.extend(["```", *literal, "```"])
                literal.clear()
        for line in comment.splitlines():
            if line.startswith("   "):
                if paragraph:
                    flush()
                    lines.append("")
                literal.append(line.strip())
            elif not line.strip():
                if literal or paragraph:
                    flush()
                    lines.append("")
            else:
                if literal:
                    flush()
                    lines.append("")
                paragraph.append(line.strip())
        flush()
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _inline(self, comment, page, link_own=True):
        text = escape(" ".join(line.strip() for line in comment.splitlines() if line.strip()))
        return self._linked(text, page) if link_own else text

    def _linked(self, text, page):
        """Names of types and methods become links; what stands in backticks stays."""
        def link(match):
            name = match.group()
            if name in self._page_of and re.search(r"[a-z][A-Z]", name):
                return f"[{name}]({local(self._page_of[name], page)})"
            return name
        parts = re.split(r"(`[^`]*`)", text)
        return "".join(part if part.startswith("`") else re.sub(r"\b[A-Z][A-Za-z]+(?:\.[A-Z][A-Za-z]+)?\b", link, part) for part in parts)


def page_name(file):
    return file.name.rsplit("/", 1)[1].removesuffix(".proto") + ".md"


def title(file):
    name = file.name.rsplit("/", 1)[1].removesuffix(".proto").replace("_", " ")
    return (name[0].upper() + name[1:]).replace("Fine tuning", "Fine-tuning")


def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def local(target, page):
    return target[len(page):] if page and target.startswith(page + "#") else target


def first_sentence(comment):
    text = " ".join(comment.split())
    return re.split(r"(?<=\.) (?=[A-Z])", text)[0]


def escape(text):
    """What Markdown would take for its own; backticks keep their meaning."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part.replace("|", "\\|") if part.startswith("`") else re.sub(r"([|<>*\[\]])", r"\\\1", part) for part in parts)


INTRODUCTION = """
Attune is called over gRPC: package `attune.v1`, one service for each kind of resource. This reference is made from the comments of `proto/attune/v1`; for stubs in your language, generate them from
there, or ask a running server, which answers reflection and health checks:

    grpcurl -plaintext 127.0.0.1:50051 list
    grpcurl -plaintext 127.0.0.1:50051 describe attune.v1.FineTuningJobService
    grpcurl -plaintext -d '{"name": "fineTuningJobs/j7"}' 127.0.0.1:50051 attune.v1.FineTuningJobService/GetFineTuningJob

With TLS and a token: `grpcurl -cacert ca.pem -H 'authorization: Bearer attune_...' attune.example:50051 list`. Python has a package of its own, [client/python](../../client/python/README.md).

## How the API is built
- **Names.** A resource is called by its name: `uploads/{u}`, `datasets/{d}`, `models/{m}`, `fineTuningJobs/{j}`, `fineTuningJobs/{j}/checkpoints/{step}`, `tokens/{t}`. Whoever creates a dataset or a model may
  choose its id; in place of a checkpoint's step, "best" and "last" are understood.
- **Who calls.** Where the server wants to know, metadata `authorization: Bearer TOKEN` says it, with an API token ([CreateToken](admin.md#createtoken)) or a JWT; or a client certificate. Each method needs
  a scope: `read`, `write`, which includes it, or `admin`, which includes both. Resources belong to projects; those of a project that the caller may not use are answered as if they did not exist.
- **Absent and zero.** A field that is not set has the meaning that its line says, usually a good default. `optional` ones tell absent from zero.
- **Retries.** Calls that create take a `request_id`: the same id with the same payload returns the first answer, with another payload it is ALREADY_EXISTS. What ended with UNAVAILABLE, or with a
  `google.rpc.RetryInfo`, may be tried again after that delay.
- **Pages.** List methods take `page_size` and `page_token`; `next_page_token` is empty on the last page.
- **Streams.** Uploads and downloads go on from an offset; a watch goes on after a sequence number. A cut connection loses nothing.
- **Errors.** Each has a status, and details with a reason that programs can read: [errors.md](errors.md).
- **Stability.** Within `attune.v1`, names and numbers of methods, fields and values stay, and so do the files they are in: `buf breaking` guards that in the project's tests. New fields, methods and values may
  come at any time: ignore what you do not know.
"""
