"""The tables of methods and filters: a line of help each, and where the function is.

Adding one is a file with the function, and an entry here. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_METHOD = "face"
LARGEST_SCALE = 64


@dataclass(frozen=True)
class Requirement:
    """An optional package that a method cannot do without."""

    package: str
    module: str  # what is imported to see that it works
    extra: str  # of neuralid, that installs it
    instead: str  # what to choose without it


@dataclass(frozen=True)
class MethodInfo:
    """A way of enlarging.

    The function takes float32 ``(H, W, C)`` in [0, 1], C 1 to 4 (2 and 4: alpha last), colours
    multiplied by alpha, and the height and width of the result, which it returns in the same form.
    """

    summary: str  # a line of help
    function: str  # "module:function", imported on first use; ".module" is one of this package
    # Whether the function also takes ``device=`` and ``on_part=``; if not, it needs the CPU.
    on_device: bool = False
    requires: Requirement | None = None
    memory: float = 9.0  # bytes per value of the result, measured at the peak
    # The same to within a level for uint8 ``(H, W)`` or ``(H, W, C)`` without alpha, several times
    # as fast. None: there is no such form.
    in_bytes: str | None = None
    reach: int | None = None  # how far a large pixel looks, small pixels; None: further, or unknown


@dataclass(frozen=True)
class FilterInfo:
    """A filter after the enlargement.

    The function takes float32 ``(H, W, C)`` in [0, 1], C 1 or 3, without alpha, the amount, above
    0, and how many times the picture was enlarged. It returns the same shape.
    """

    summary: str  # a line of help
    usual: float | None  # amount if none is given; None: takes no amount
    most: float = 1.0  # largest amount
    function: str | None = None  # as a method's; `AUTO` has none
    memory: float = 0.0  # as a method's


PYAV = Requirement("av", "av.filter", extra="hqx", instead="scale2x or scale3x")

METHODS: dict[str, MethodInfo] = {
    "face": MethodInfo(
        "a network trained on faces", ".face:face", on_device=True, memory=24, reach=24
    ),
    "face-sharp": MethodInfo(
        "the same, taught to look sharp", ".face:face_sharp", on_device=True, memory=24, reach=24
    ),
    "cubic": MethodInfo(
        "bicubic interpolation, the paper's choice",
        ".opencv:cubic",
        in_bytes=".opencv:cubic_bytes",
        reach=4,
    ),
    "lanczos": MethodInfo(
        "Lanczos interpolation over 8x8 pixels",
        ".opencv:lanczos",
        in_bytes=".opencv:lanczos_bytes",
        reach=6,
    ),
    "linear": MethodInfo(
        "bilinear interpolation", ".opencv:linear", in_bytes=".opencv:linear_bytes", reach=2
    ),
    "nearest": MethodInfo(
        "the nearest pixel", ".opencv:nearest", in_bytes=".opencv:nearest_bytes", reach=2
    ),
    "area": MethodInfo("box sampling", ".area:area", reach=2),
    "fourier": MethodInfo(
        "the spectrum padded with zeros, borders mirrored", ".fourier:fourier", memory=54
    ),
    "dcci": MethodInfo("directional cubic convolution, along edges", ".dcci:dcci", memory=21),
    "scale2x": MethodInfo("for drawings of few colours, by twos", ".pixelart:scale2x", memory=19),
    "scale3x": MethodInfo("for drawings of few colours, by threes", ".pixelart:scale3x"),
    "hqx": MethodInfo(
        "for drawings, with soft edges; needs the package av", ".hqx:hqx", requires=PYAV, memory=40
    ),
}

AUTO = "auto"  # not a filter of its own: `auto.resolve` replaces it by those a picture needs

FILTERS: dict[str, FilterInfo] = {
    "unsharp": FilterInfo(
        "steeper edges, without halos", 0.5, most=5.0, function=".filters:unsharp", memory=28
    ),
    "bilateral": FilterInfo(
        "smooths what differs little from its surroundings",
        0.5,
        function=".filters:bilateral",
        memory=20,
    ),
    "denoise": FilterInfo(
        "takes away the noise measured in the picture",
        1.0,
        function=".denoise:denoise",
        memory=23,
    ),
    "edge": FilterInfo("smooths texture and keeps edges", 0.5, function=".filters:edge", memory=33),
    "contrast": FilterInfo(
        "stretches the range from dark to light", 0.5, function=".filters:contrast", memory=16
    ),
    AUTO: FilterInfo("picks from these what the picture needs, often nothing", None),
}


def methods_on_device() -> list[str]:
    """The names of the methods that run on the device chosen; the others need the CPU only."""
    return [name for name, method in METHODS.items() if method.on_device]
