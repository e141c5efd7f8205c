#!/usr/bin/env python3
"""Writes image files of every format and oddity that is read, and what Pillow and torchvision make of them, for tests/server/images to compare with:

    make_image_goldens.py tests/golden/images

goldens.json lists the cases; references are lossless PNG files (and one PPM file, so that the reader of PNG itself has an independent reference)."""
import io
import json
import os
import shutil
import struct
import sys
import zlib

import numpy
import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, RandAugment, Resize, ToTensor
from torchvision.transforms.autoaugment import _apply_op

OUT = sys.argv[1]
random = numpy.random.default_rng(0)
written = {}  # contents -> name


def picture(width, height, noise=24):
    """Smooth colours with some noise: no two rows or columns alike, all values in use."""
    y, x = numpy.mgrid[0:height, 0:width]
    channels = [127 + 127 * numpy.sin(0.21 * x + 0.13 * y), 255 * x / (width - 1), 255 * ((x * 2 + y * 3) % height) / height]
    rgb = numpy.stack(channels, axis=2) + random.integers(-noise, noise + 1, (height, width, 3))
    return Image.fromarray(rgb.clip(0, 255).astype(numpy.uint8))


def write(name, contents):
    """Identical contents are written once; the name of the file that has them."""
    if contents not in written:
        written[contents] = name
        with open(os.path.join(OUT, name), "wb") as file:
            file.write(contents)
    return written[contents]


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reference(name, image):
    return write(f"references/{name}.png", encoded(image.convert("RGB"), "PNG", optimize=True))


# --- files as they come -----------------------------------------------------------------------------------------------------------------------------------------------

samples = []


def sample(name, contents, channels, expected=None):
    image = Image.open(io.BytesIO(contents))
    if expected is None:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    kind = {"PPM": "PGM/PPM", "WEBP": "WebP"}.get(image.format, image.format)
    samples.append(dict(file=write("samples/" + name, contents), format=kind, channels=channels, width=expected.width, height=expected.height,
                        reference=reference("decoded_" + name.replace(".", "_"), expected)))


def png(width, height, bits, color, rows, interlaced=False, extra=b""):
    """A PNG file of packed rows; for what Pillow cannot write."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) + chunk(b"IEND", b"")


def bmp(width, height, bits, lines, palette=b"", os2=False, masks=b""):
    lines = b"".join(line + b"\0" * (-len(line) % 4) for line in lines)
    if os2:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 3 if masks else 0, len(lines), 2835, 2835, 0, 0) + masks
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(lines), 0, 0, at) + info + palette + lines


def make_samples():
    rgb = picture(21, 17)
    values = numpy.asarray(rgb)
    grey = rgb.convert("L")
    alpha = Image.fromarray(random.integers(0, 256, (17, 21), dtype=numpy.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    palette = rgb.quantize(200)
    few = rgb.quantize(13)
    orientation = Image.Exif()

    # PPM first: the pixels in plain sight, so that this file is the reference of every other lossless one.
    with open(os.path.join(OUT, "references/picture.ppm"), "wb") as file:
        file.write(encoded(rgb, "PPM"))
    sample("comment.ppm", b"P6 # a comment\n# and a line of it\n21\t17\n255\n" + rgb.tobytes(), 3)
    sample("grey.pgm", encoded(grey, "PPM"), 1)
    sample("maximum_100.pgm", b"P5 21 17 100\n" + (numpy.asarray(grey) % 101).tobytes(), 1)
    sample("maximum_1000.ppm", b"P6 21 17 1000\n" + (values.astype(">u2") * 4 % 1001).astype(">u2").tobytes(), 3)

    for name, options in {"420": dict(subsampling=2), "422": dict(subsampling=1), "444": dict(subsampling=0), "progressive": dict(progressive=True),
                          "restarts": dict(restart_marker_rows=1), "coarse": dict(quality=10)}.items():
        sample(name + ".jpg", encoded(rgb, "JPEG", **{"quality": 85, **options}), 3)
    sample("grey.jpg", encoded(grey, "JPEG"), 1)
    inks = encoded(rgb.convert("CMYK"), "JPEG", quality=90)
    sample("cmyk.jpg", inks, 4)
    adobe = inks.index(b"Adobe") + 11
    sample("ycck.jpg", inks[:adobe] + b"\x02" + inks[adobe + 1:], 4)
    for value in range(1, 9):
        orientation[0x0112] = value
        sample(f"orientation_{value}.jpg", encoded(rgb, "JPEG", quality=75, exif=orientation), 3)
    orientation[0x0112] = 6
    big_endian = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x02" + struct.pack(">HHIHH", 0x010F, 2, 1, 0, 0) + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    sample("big_endian.jpg", encoded(rgb, "JPEG", exif=big_endian), 3)

    sample("rgb.png", encoded(rgb, "PNG"), 3)
    sample("orientation.png", encoded(rgb, "PNG", exif=orientation), 3)
    sample("rgba.png", encoded(rgba, "PNG"), 4)
    sample("grey.png", encoded(grey, "PNG"), 1)
    sample("grey_alpha.png", encoded(rgba.convert("LA"), "PNG"), 2)
    sample("palette.png", encoded(palette, "PNG"), 3)
    sample("palette_transparent.png", encoded(palette, "PNG", transparency=3), 3)
    sample("palette_4_bits.png", encoded(few, "PNG", bits=4), 3)
    sample("transparent_color.png", encoded(rgb, "PNG", transparency=(255, 0, 0)), 3)
    sample("1_bit.png", encoded(rgb.convert("1"), "PNG"), 1)
    quarter = numpy.asarray(grey) >> 6
    packed = numpy.pad(quarter, ((0, 0), (0, 3)))
    sample("grey_2_bits.png", png(21, 17, 2, 0, [bytes(row[0::4] << 6 | row[1::4] << 4 | row[2::4] << 2 | row[3::4]) for row in packed]), 1)
    deep = values.astype(numpy.uint32) * 257 // 2 + 100
    sample("rgb_16_bits.png", png(21, 17, 16, 2, [row.astype(">u2").tobytes() for row in deep]), 3)
    # Pillow would cut grey values off at 255 and leave a white image.
    sample("grey_16_bits.png", png(21, 17, 16, 0, [row.astype(">u2").tobytes() for row in deep[:, :, 0]]), 1,
           expected=Image.fromarray((deep[:, :, 0] >> 8).astype(numpy.uint8)).convert("RGB"))
    adam7 = [values[y::dy, x::dx] for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))]
    sample("interlaced.png", png(21, 17, 8, 2, [row.tobytes() for part in adam7 for row in part], interlaced=True), 3)

    sample("lossy.webp", encoded(rgb, "WEBP", quality=80), 3)
    sample("lossless.webp", encoded(rgb, "WEBP", lossless=True), 3)
    sample("lossy_alpha.webp", encoded(rgba, "WEBP", quality=80), 4)
    sample("lossless_alpha.webp", encoded(rgba, "WEBP", lossless=True, exact=True), 4)
    sample("orientation.webp", encoded(rgb, "WEBP", lossless=True, exif=orientation), 3)

    sample("24_bits.bmp", encoded(rgb, "BMP"), 3)
    sample("32_bits.bmp", encoded(rgba, "BMP"), 4, expected=rgb)
    sample("8_bits.bmp", encoded(palette, "BMP"), 3)
    sample("1_bit.bmp", encoded(rgb.convert("1"), "BMP"), 3)
    bgr = values[:, :, ::-1]
    sample("top_down.bmp", bmp(21, -17, 24, [row.tobytes() for row in bgr]), 3)
    sample("os2.bmp", bmp(21, 17, 24, [row.tobytes() for row in bgr[::-1]], os2=True), 3)
    colors = bytes(few.getpalette())
    nibbles = numpy.pad(numpy.asarray(few), ((0, 0), (0, 1)))[::-1]
    sample("4_bits.bmp", bmp(21, 17, 4, [bytes(row[0::2] << 4 | row[1::2]) for row in nibbles],
                             palette=b"".join(colors[i:i + 3][::-1].ljust(4, b"\0") for i in range(0, 48, 3))), 3)
    fourth = numpy.zeros((17, 21, 1), numpy.uint8)
    sample("bit_fields.bmp", bmp(21, 17, 32, [row.tobytes() for row in numpy.concatenate([fourth, bgr], axis=2)[::-1]],
                                 masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)), 4)


# --- resizing ---------------------------------------------------------------------------------------------------------------------------------------------------------

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def make_resizes():
    source = picture(37, 29, noise=60)
    cases = []
    boxes = [(0, 0, 37, 29)] * 5 + [(5, 3, 20, 25), (30, 11, 3, 2)]
    sizes = [(16, 12), (7, 5), (50, 41), (37, 13), (1, 1), (9, 11), (14, 10)]
    for (x, y, width, height), size in zip(boxes, sizes):
        for name, resample in FILTERS.items():
            resized = source.crop((x, y, x + width, y + height)).resize(size, resample)
            cases.append(dict(box=[x, y, width, height], size=size, filter=name, reference=reference(f"resized_{len(cases)}", resized)))
    return dict(source=reference("resize_source", source), cases=cases)


# --- augmentation -----------------------------------------------------------------------------------------------------------------------------------------------------


def make_operations():
    source = picture(24, 18)
    # Less than the full range, so that autocontrast has something to do.
    source = source.point([30 + v * 3 // 4 for v in range(256)] * 3)
    cases = []

    def case(operation, argument, image):
        cases.append(dict(operation=operation, argument=argument, reference=reference(f"operation_{operation}_{len(cases)}", image)))

    for factor in (0.0, 0.35, 1.6):
        case("brightness", factor, ImageEnhance.Brightness(source).enhance(factor))
        case("contrast", factor, ImageEnhance.Contrast(source).enhance(factor))
        case("saturation", factor, ImageEnhance.Color(source).enhance(factor))
        case("sharpness", factor, ImageEnhance.Sharpness(source).enhance(factor))
    for shift in (-0.5, -0.13, 0.2, 0.5):
        case("hue", shift, F.adjust_hue(source, shift))
    for bits in (1, 4, 8):
        case("posterize", bits, ImageOps.posterize(source, bits))
    for threshold in (0.0, 128.0, 178.5):
        case("solarize", threshold, ImageOps.solarize(source, threshold))
    case("autocontrast", 0, ImageOps.autocontrast(source))
    case("equalize", 0, ImageOps.equalize(source))
    case("flip", 0, F.hflip(source))
    for name, operation, arguments in (("shear_x", "ShearX", (0.17, -0.3)), ("shear_y", "ShearY", (0.17, -0.3)), ("translate_x", "TranslateX", (4.7, -7.0)),
                                       ("translate_y", "TranslateY", (4.7, -7.0)), ("rotate", "Rotate", (9.0, -30.0))):
        for argument in arguments:
            case(name, argument, _apply_op(source, operation, argument, InterpolationMode.NEAREST, None))
    return dict(source=reference("operation_source", source), cases=cases)


def make_magnitudes():
    space = RandAugment()._augmentation_space(31, (180, 240))  # height, width
    return [dict(operation=i, name=name, signed=signed, values=values.expand(31).tolist()) for i, (name, (values, signed)) in enumerate(space.items())]


# --- views ------------------------------------------------------------------------------------------------------------------------------------------------------------


def make_views():
    cases = []
    files = [("view_wide.jpg", encoded(picture(67, 41, noise=8), "JPEG", quality=90), 0.0),
             ("view_tall.png", encoded(picture(31, 47, noise=8), "PNG", optimize=True), 0.0),
             ("view_large.jpg", encoded(picture(160, 132, noise=2), "JPEG", quality=80), 0.02)]  # decoded at half its size, so not to the bit
    for name, contents, tolerance in files:
        for filter_name, mode in (("bilinear", InterpolationMode.BILINEAR), ("bicubic", InterpolationMode.BICUBIC)):
            resize, crop = 30, 24
            mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            transform = Compose([Resize(resize, interpolation=mode), CenterCrop(crop), ToTensor(), Normalize(mean, deviation)])
            tensor = transform(Image.open(io.BytesIO(contents)).convert("RGB"))
            # What is normalised are bytes, so these are kept, and what normalisation makes of each of the 256 values.
            bytes_ = (tensor * torch.tensor(deviation)[:, None, None] + torch.tensor(mean)[:, None, None]).mul(255).round().to(torch.uint8)
            exact = Normalize(mean, deviation)(bytes_.float().div(255))
            assert torch.equal(exact, tensor)
            view = Image.fromarray(bytes_.permute(1, 2, 0).numpy())
            cases.append(dict(file=write("samples/" + name, contents), resize=resize, crop=crop, filter=filter_name, tolerance=tolerance,
                              reference=reference(f"{name.split('.')[0]}_{filter_name}", view)))
    levels = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(torch.arange(256).float().div(255).expand(3, 1, 256))
    return dict(cases=cases, levels=levels.reshape(3, 256).tolist())


def main():
    for folder in ("samples", "references"):
        shutil.rmtree(os.path.join(OUT, folder), ignore_errors=True)
        os.makedirs(os.path.join(OUT, folder))
    make_samples()
    goldens = dict(samples=samples, resizes=make_resizes(), operations=make_operations(), magnitudes=make_magnitudes(), views=make_views())
    with open(os.path.join(OUT, "goldens.json"), "w") as file:
        json.dump(goldens, file)
        file.write("\n")


main()
