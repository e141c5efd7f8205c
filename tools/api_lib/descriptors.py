"""The API's protos as `buf build` sees them, with their comments."""
import dataclasses
import os
import subprocess
import sys

from google.protobuf import descriptor_pb2

BUF = os.path.join(os.path.dirname(sys.executable), "buf")
PUBLIC = "attune/v1"

_FILE_PACKAGE, _FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 2, 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM, _MESSAGE_ONEOF = 2, 3, 4, 8
_ENUM_VALUE, _SERVICE_METHOD = 2, 2


def run_buf(proto, *arguments):
    return subprocess.run([BUF, *arguments], cwd=proto, capture_output=True, text=True)


def build_image(proto, out, source_info=False):
    """Writes a descriptor image of the public API to the file `out`. Raises RuntimeError with what buf says."""
    done = run_buf(proto, "build", "--path", PUBLIC, *([] if source_info else ["--exclude-source-info"]), "-o", out)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)


def read_image(path):
    """The FileDescriptorProtos of an image by their names."""
    image = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as file:
        image.ParseFromString(file.read())
    for file in image.file:
        file.DiscardUnknownFields()  # buf's own notes, such as which files are imports
    return {file.name: file for file in image.file}


@dataclasses.dataclass
class Message:
    name: str  # with the messages around it: "FineTuningJob" or "ImageSpec.Crop"
    comment: str
    proto: descriptor_pb2.DescriptorProto
    field_comments: list
    oneof_comments: list


@dataclasses.dataclass
class Enum:
    name: str
    comment: str
    proto: descriptor_pb2.EnumDescriptorProto
    value_comments: list


@dataclasses.dataclass
class Service:
    name: str
    comment: str
    proto: descriptor_pb2.ServiceDescriptorProto
    method_comments: list


@dataclasses.dataclass
class File:
    """One proto: its types in the order in which they are written, nested ones after the message around them."""
    name: str
    package: str
    comment: str
    services: list
    types: list  # Message and Enum


def load(image):
    """The public files of read_image(..., with source info), sorted by name."""
    return [_file(proto) for name, proto in sorted(image.items()) if name.startswith(PUBLIC + "/")]


def _file(proto):
    comments = {tuple(l.path): l.leading_comments for l in proto.source_code_info.location if l.leading_comments}
    services = [Service(s.name, comments.get((_FILE_SERVICE, i), ""), s, [comments.get((_FILE_SERVICE, i, _SERVICE_METHOD, k), "") for k in range(len(s.method))])
                for i, s in enumerate(proto.service)]
    types = []
    for i, message in enumerate(proto.message_type):
        _add_message(types, comments, message, (_FILE_MESSAGE, i), "")
    for i, enum in enumerate(proto.enum_type):
        types.append(_enum(comments, enum, (_FILE_ENUM, i), ""))
    return File(proto.name, proto.package, comments.get((_FILE_PACKAGE,), ""), services, types)


def _add_message(types, comments, proto, path, outer):
    if proto.options.map_entry:
        return
    name = f"{outer}{proto.name}"
    types.append(Message(name, comments.get(path, ""), proto, [comments.get((*path, _MESSAGE_FIELD, k), "") for k in range(len(proto.field))],
                         [comments.get((*path, _MESSAGE_ONEOF, k), "") for k in range(len(proto.oneof_decl))]))
    for k, enum in enumerate(proto.enum_type):
        types.append(_enum(comments, enum, (*path, _MESSAGE_ENUM, k), name + "."))
    for k, nested in enumerate(proto.nested_type):
        _add_message(types, comments, nested, (*path, _MESSAGE_NESTED, k), name + ".")


def _enum(comments, proto, path, outer):
    return Enum(outer + proto.name, comments.get(path, ""), proto, [comments.get((*path, _ENUM_VALUE, k), "") for k in range(len(proto.value))])
