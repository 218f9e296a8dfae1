"""The public object: weights read once, with the verbs as its methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack, overload

from ..core.errors import ConfigError
from ..faces.config import CropConfig
from ..latents.config import InvertConfig, first_to_tune
from ..pictures.photo import Source, as_list, is_single
from . import _invert, _mix, _sample, _upscale
from ._framing import FRAME_FIRST, Framing, find_all
from ._layout import Blending, Layout
from ._model import Failure, Model, Report, Say, quiet
from ._options import InvertOptions, UpscaleOptions
from ._people import Input, Inputs, Shares, list_inputs, list_shares
from ._sample import Seeds
from ._upscale import Size
from .results import Found, Inverted, Mixed, Sampled, Upscaled


def open_studio(
    model: str | Path | None = None, *, device: str = "auto", on_message: Say = quiet
) -> Studio:
    """Read weights once, and make them ready to draw.

    ``model`` is a weights file, a trained run's name or folder; None means the weights that ship.
    ``device`` is ``auto`` (an accelerator if there is one), ``cpu``, ``cuda``, ``cuda:N`` or
    ``mps``. ``on_message`` is called with lines worth showing, here and by the studio's methods.

    Raises `DeviceError`, `WeightsError` or `ConfigError`.
    """
    return Studio.load(model, device, on_message)


class Studio(Model):
    """Weights on a device, and what can be done with them. `neuralid.open` makes one.

    Photos are paths, the bytes of a file, open files, Pillow pictures or uint8 arrays
    ``(H, W, 3)``. A single photo gives a single result, a list gives a list. Results hold arrays
    and latents, and show themselves in a notebook. Only their ``save`` writes files. Several
    threads may share a studio.

    >>> import neuralid
    >>> studio = neuralid.open(device="cpu")
    >>> faces = studio.sample(2, seed=0)
    >>> faces.images.shape, faces.latents.shape
    ((2, 112, 112, 3), torch.Size([2, 10, 400]))
    >>> a, b = studio.invert([face.image for face in faces], fidelity="fast")
    >>> face = studio.mix([a, b], weights=[0.7, 0.3], attributes={"age": 1.5})
    >>> face
    <Mixed of 2, 448x448>
    >>> studio.upscale(face.image, scale=2)
    <Upscaled the array, 2x to 896x896>
    """

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int | None = None,
        seeds: Seeds | None = None,
        latents: Inputs | None = None,
        trunc: float | None = None,
        scale: float = 1.0,
        precision: str = "fp32",
        on_step: Report | None = None,
    ) -> Sampled:
        """Draw faces of people who do not exist.

        ``seeds`` (a number, several, or text such as "0,1,4-6") gives one seed per face. Otherwise
        ``n`` faces (16) are drawn, from ``seed`` on, or from a random seed, which ``on_message`` is
        told. The same seed gives the same face. ``latents`` are drawn instead of seeds: latent
        files, pictures that carry a latent, results, or tensors ``(*L)``. ``trunc`` moves the
        latents towards their mean: the nearer to 0, the more alike and the more average the faces.
        None means what suits the architecture, 1 for the paper's and for ``latents``. ``scale``
        enlarges the faces 1 to 64 times. ``precision`` is "fp32", "bf16", which many machines draw
        several times as fast, to about a level of 255, or "auto", the faster one on this machine.
        ``on_step(done, total)`` is called for each face.

        Raises `ConfigError`, for ``latents`` also `LatentError` or `ImageError`.
        """
        several = None if latents is None else list_inputs(latents, self.latent_shape)
        return _sample.sample(self, n, seed, seeds, several, trunc, scale, precision, on_step)

    @overload
    def invert(  # type: ignore[overload-overlap]  # text is a sequence of text
        self,
        photos: Source,
        **options: Unpack[InvertOptions],
    ) -> Inverted: ...

    @overload
    def invert(
        self,
        photos: Sequence[Source],
        **options: Unpack[InvertOptions],
    ) -> list[Inverted]: ...

    def invert(
        self,
        photos: Source | Sequence[Source],
        *,
        fidelity: str = InvertConfig.fidelity,
        steps: int | None = None,
        prior: float = InvertConfig.prior,
        face_size: int | None = None,
        delta_i: int = 0,
        delta_j: int = 0,
        rotation: float = 0.0,
        align: bool = True,
        face: int | None = None,
        show_crop: bool = False,
        together: bool = False,
        on_step: Report | None = None,
        on_failure: Failure | None = None,
        on_result: Callable[[Inverted], None] | None = None,
        keep_results: bool = True,
    ) -> Inverted | list[Inverted]:
        """Find the latent behind each photo of a face (paper, section 3.3).

        The most prominent face in a photo (large, whole, near the middle), or the ``face``-th from
        the left, is framed like the weights' training faces. ``on_message`` is told which one if
        that is in doubt. With ``align=False`` the paper's square in the middle is used instead (108
        for CelebA's 178x218 pictures, 54 at half that size, else the largest). To frame by hand,
        give any of the paper's four numbers: ``face_size``, ``delta_i``, ``delta_j`` (pixels) and
        ``rotation`` (degrees). With ``show_crop`` each result has a ``frame``, a picture of the
        crop in the photo.

        ``fidelity`` is "fast" (the encoder's guess and a few steps), "balanced", or "high". "high"
        also tunes the generator to each photo, and so does "balanced" for weights of the style
        architecture. With ``together``, one generator is tuned to all photos; it is then the
        results' ``model``. ``steps`` overrides the fidelity's number of evaluations per face.
        ``prior`` is the weight of the latent's squared length, 0 for the paper's own objective.

        A photo that fails raises, or, with ``on_failure(name, error)``, is left out of the list.
        ``on_result`` is called with each result as soon as it is found. Each may hold a generator:
        with ``keep_results=False`` a list gives an empty one, in constant memory.
        Raises `ImageError` or `ConfigError`.
        """
        config = InvertConfig(fidelity, steps, prior=prior)
        if together and not config.effort(self.inverting).tuning:
            hint = f"add `fidelity='{first_to_tune(self.inverting)}'`"
            raise ConfigError("`together` is for tuning", hint=hint)
        crop = CropConfig(face_size, delta_i, delta_j, rotation)
        framing = Framing(crop, align, face, show_crop)
        failed = None if is_single(photos) else on_failure
        found = _invert.invert(
            self,
            as_list(photos),
            framing,
            config,
            together,
            on_step,
            failed,
            on_result,
            keep_results or is_single(photos),
        )
        return found[0] if is_single(photos) else found

    def find_faces(
        self, photos: Source | Sequence[Source], *, on_failure: Failure | None = None
    ) -> list[Found]:
        """Find the faces in each photo, left to right, and how to frame them for these weights.

        A photo that fails or shows no face raises `ImageError`, or, with
        ``on_failure(name, error)``, is skipped.
        """
        return find_all(as_list(photos), self.frame, on_failure)

    def mix(
        self,
        inputs: Inputs,
        *,
        weights: Shares | None = None,
        blend: str | None = None,
        style: Input | int | None = None,
        attributes: Mapping[str, float] | None = None,
        strip: int | None = None,
        matrix: int | None = None,
        frames: int | None = None,
        keep: Input | int | None = None,
        html: bool = False,
        scale: float = 4.0,
        face_size: int | None = None,
        delta_i: int = 0,
        delta_j: int = 0,
        rotation: float = 0.0,
        align: bool = True,
        face: int | None = None,
        show_crop: bool = False,
        fidelity: str = InvertConfig.fidelity,
        on_step: Report | None = None,
        on_face: Report | None = None,
    ) -> Mixed:
        """Make one face of one or more, by averaging their latents (paper, section 5).

        ``blend`` is "mean", the paper's plain average, "rescaled", that average made as long as the
        latents, or "slerp", along the arc between them. None is what the architecture does best:
        the mean for weights of the style architecture, else rescaled.

        Each input is a photo, a picture drawn by this program (which carries its latent), a latent
        file, a latent, or a result of this studio. Photos are framed as in `invert`; the four
        numbers that frame by hand are for a single photo among the inputs.
        ``weights`` holds one number per input, or, for two inputs, the second's share alone.
        ``attributes`` moves the result along directions of the weights, in standard deviations of
        the training faces: ``{"age": 1.5}``. A single input is drawn as it is, or as that changes
        it.
        ``style``, one of the inputs or its index, gives the mix its colours and skin. Pose and
        shape still come from everyone, in the shares of ``weights``, and attributes change all of
        it. That takes weights of the style architecture, whose latents have layers for each.

        Instead of one face, ``strip`` draws N faces on the way through the inputs; ``matrix``
        crosses the first N inputs, as rows, with the rest, as columns; ``frames`` makes a film of
        N frames; ``keep``, one of the photos or its index, puts the mix back into that photo.
        ``html`` also draws a page to drag faces on, `Mixed.page`, of up to 8 people.
        ``scale`` enlarges the faces. ``fidelity`` is as in `invert`; where the generator is tuned,
        it is tuned to all photos together, and draws the mix. ``on_step(done, total)`` is called as
        photos are searched for, then ``on_face(done, total)`` for each face that is drawn.

        Raises `ConfigError`, `ImageError` or `LatentError`.
        """
        several = list_inputs(inputs, self.latent_shape)
        shares = list_shares(weights)
        crop = CropConfig(face_size, delta_i, delta_j, rotation)
        return _mix.mix(
            self,
            several,
            Layout(strip, matrix, frames, keep),
            Blending(shares, blend, attributes or {}, style),
            scale,
            Framing(crop, align, face, show_crop, FRAME_FIRST),
            InvertConfig(fidelity),
            on_step,
            on_face,
            html,
        )

    @overload
    def upscale(  # type: ignore[overload-overlap]
        self,
        pictures: Source,
        **options: Unpack[UpscaleOptions],
    ) -> Upscaled: ...

    @overload
    def upscale(
        self,
        pictures: Sequence[Source],
        **options: Unpack[UpscaleOptions],
    ) -> list[Upscaled]: ...

    def upscale(
        self,
        pictures: Source | Sequence[Source],
        *,
        scale: float | None = None,
        size: Size | None = None,
        method: str | None = None,
        filters: str | Sequence[str] = (),
        consistent: bool = False,
        compare: bool = False,
        on_step: Report | None = None,
        on_failure: Failure | None = None,
    ) -> Upscaled | list[Upscaled]:
        """Enlarge pictures (paper, section 2.2).

        Pictures become ``scale`` times as large (4), or as large as fits into ``size``: "512x384",
        (512, 384), or one number for a square. ``neuralid upscale --help`` lists the names for
        ``method`` and for ``filters``, each ``NAME`` or ``NAME=AMOUNT``. Filters run in order.
        With ``consistent``, shrinking the result by box averaging gives the picture back, up to
        rounding. ``compare`` makes a sheet of all methods instead of a picture.

        Greyscale stays grey and 16 bits stay 16. Alpha and colour profiles are kept, EXIF
        orientation is applied, and animated GIF, WebP and PNG stay animated.

        A picture that fails raises, or, with ``on_failure(name, error)``, is left out of the list.
        Raises `ImageError` or `ConfigError`.
        """
        return _upscale.upscale(
            pictures,
            scale=scale,
            size=size,
            method=method,
            filters=filters,
            consistent=consistent,
            compare=compare,
            device=self.device,
            on_message=self.say,
            on_step=on_step,
            on_failure=on_failure,
        )

    def __repr__(self) -> str:
        kind = self.weights.description.model.architecture
        return f"<Studio {self.weights.path.stem}: {kind}, {self.size} pixels, {self.device}>"
