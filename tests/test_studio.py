"""The library as its users meet it: an open studio, its results, pictures of every source."""

from __future__ import annotations

import gc
import inspect
import io
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import EXAMPLES, draw_face, fails, run
from PIL import Image

import neuralid
from neuralid.api import _options
from neuralid.api import studio as studio_module
from neuralid.latents import latent
from neuralid.latents.latent import load_latent
from neuralid.pictures import png
from neuralid.pictures.images import LATENT_KEY, RECIPE_KEY, to_tensor
from neuralid.pictures.photo import Photo, Source
from neuralid.pictures.quality import psnr

STEPS: dict[str, Any] = {"steps": 2, "align": False}


@pytest.fixture(scope="module")
def studio(tiny: Path) -> neuralid.Studio:
    return neuralid.open(tiny, device="cpu")


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    """One picture in every form."""
    picture = draw_face(np.random.default_rng(5), 60, 60)
    path = tmp_path / "me.png"
    picture.save(path)
    return {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
        "pillow": picture,
        "array": np.asarray(picture),
        "photo": Photo.read(path),
    }


# --- Sources ------------------------------------------------------------------------------------


def test_a_picture_is_the_same_from_every_source(
    studio: neuralid.Studio, sources: dict[str, Source]
) -> None:
    found = studio.invert(list(sources.values()), **STEPS)
    large = studio.upscale([*sources.values()][:3], scale=2, method="cubic")
    assert len(found) == len(sources)
    for name, item in zip(sources, found, strict=True):
        assert np.array_equal(item.target, found[0].target), name
        # A matrix product may round its last rows otherwise than its first ones, more so in bf16.
        assert float((item.latent - found[0].latent).abs().max()) < 1e-3, name
    assert all(np.array_equal(item.image, large[0].image) for item in large)
    assert [item.name for item in found[:2]] == [str(sources["path"])] * 2


def test_one_source_gives_one_result_and_several_a_list(
    studio: neuralid.Studio, sources: dict[str, Source]
) -> None:
    for source in (sources["path"], sources["text"], sources["bytes"], sources["array"]):
        one = studio.invert(source, **STEPS)
        assert isinstance(one, neuralid.Inverted)
        assert isinstance(studio.upscale(source, scale=2, method="nearest"), neuralid.Upscaled)
    (listed,) = studio.invert([sources["path"]], **STEPS)
    assert listed.latent.equal(studio.invert(sources["path"], **STEPS).latent)
    assert len(studio.find_faces(EXAMPLES / "ada.png")) == 1


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(7, np.uint8),
    ],
)
def test_arrays_that_are_not_pictures(studio: neuralid.Studio, array: np.ndarray) -> None:
    with pytest.raises(neuralid.ImageError, match="is not a picture") as caught:
        studio.upscale(array)
    assert "uint8 (H, W, 3)" in (caught.value.hint or "")


def test_sources_that_are_broken_are_told_by_their_names(studio: neuralid.Studio) -> None:
    broken: list[tuple[Source, str]] = [
        (b"not a picture", "the picture is not a picture"),
        (io.BytesIO(b""), "the picture is not a picture"),
        ("missing.png", "missing.png does not exist"),
    ]
    failures: list[str] = []
    for source, words in broken:
        with pytest.raises(neuralid.ImageError, match=words):
            studio.invert(source)
    left = studio.invert(
        [source for source, _ in broken], on_failure=lambda name, error: failures.append(name)
    )
    assert left == [] and failures == ["the picture", "the picture", "missing.png"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_holds_all_that_came_with_it(tmp_path: Path, orientation: int) -> None:
    picture = draw_face(np.random.default_rng(0), 4, 6)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "in.png", exif=exif, icc_profile=b"a profile")
    photo = Photo.read(tmp_path / "in.png")
    assert (photo.orientation, photo.profile, photo.frame_count) == (orientation, b"a profile", 1)
    assert photo.pixels.shape == ((6, 4, 3) if orientation < 5 else (4, 6, 3))
    assert np.array_equal(photo.exact, photo.pixels)


def test_depth_and_alpha_of_arrays_stay() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (4, 5, 4), np.uint16)
    assert Photo.read(deep).exact is deep
    assert Photo.read(png.encode(deep)).exact.tolist() == deep.tolist()
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    assert Photo.read(grey).exact.shape == (3, 4) and Photo.read(grey).pixels.shape == (3, 4, 3)
    clear = np.zeros((2, 2, 4), np.uint8)
    assert (Photo.read(clear).pixels == 255).all()


# --- Read once ----------------------------------------------------------------------------------


def test_mix_opens_each_photo_once(
    tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path("other.png")
    other.write_bytes(photo.read_bytes())
    opened: list[str] = []
    real = io.open

    def counted(file: Any, *args: Any, **kwargs: Any) -> Any:
        if Path(str(file)).suffix == ".png" and (not args or "w" not in args[0]):
            opened.append(str(file))
        return real(file, *args, **kwargs)

    monkeypatch.setattr("io.open", counted)
    monkeypatch.setattr("builtins.open", counted)
    words = ("--keep", photo, "--no-align", "--weights", tiny, "-o", "out.jpg")
    assert run("mix", photo, other, photo, *words).exit_code == 0
    # The kept photo's header is looked at before: a JPEG could be too small for it.
    assert sorted(opened) == sorted([str(photo), str(photo), "other.png"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("command", ["mix", "invert", "upscale"])
def test_photos_come_through_pipes(command: str, tiny: Path, photo: Path) -> None:
    pipes = [Path("one.pipe"), Path("two.pipe")][: 2 if command == "mix" else 1]
    for pipe in pipes:
        os.mkfifo(pipe)
    content = photo.read_bytes()
    writers = [threading.Thread(target=pipe.write_bytes, args=(content,)) for pipe in pipes]
    for writer in writers:
        writer.start()
    more = () if command == "upscale" else ("--no-align", "--weights", tiny)
    result = run(command, *pipes, *more, "-o", "out.png")
    for writer in writers:
        writer.join()
    assert result.exit_code == 0, result.stderr


# --- Verbs --------------------------------------------------------------------------------------


def test_results_mix_with_one_another(studio: neuralid.Studio, photo: Path) -> None:
    faces = studio.sample(seeds=[4, 5])
    found = studio.invert(photo, **STEPS)
    by_result = studio.mix([faces[0], faces[1], found], blend="mean")
    wanted = torch.stack([*faces.latents, found.latent]).mean(0)
    torch.testing.assert_close(by_result.latent, wanted)
    by_latent = studio.mix([faces.latents[0], faces.latents[1], found.latent], blend="mean")
    assert by_latent.latent.equal(by_result.latent)
    again = studio.mix([by_result, by_result], blend="mean")
    torch.testing.assert_close(again.latent, by_result.latent)
    with pytest.raises(neuralid.LatentError, match="damaged"):
        studio.mix([torch.zeros(3), faces[0]])


def test_a_result_of_other_weights_is_refused(studio: neuralid.Studio, tiny: Path) -> None:
    tuned = studio.tune(torch.zeros(1, 16), torch.zeros(1, 3, 28, 28), 1).save("w.safetensors")
    face = tuned.sample(seeds=1)[0]
    with pytest.raises(neuralid.LatentError, match="belongs to other weights"):
        studio.mix([face, face])


def test_single_values_will_do_where_lists_are_taken(studio: neuralid.Studio) -> None:
    a, b = studio.sample(seeds=[1, 2])
    assert studio.mix([a, b], weights=0.3).shares == pytest.approx([0.7, 0.3])
    assert studio.sample(seeds=7).seeds == [7]
    one = studio.upscale(a.image, scale=2, method="cubic", filters="unsharp")
    several = studio.upscale(a.image, scale=2, method="cubic", filters=["unsharp"])
    assert np.array_equal(one.image, several.image)
    with pytest.raises(neuralid.ImageError, match=r"ab\.jpg does not exist"):
        studio.mix("ab.jpg")  # not read letter by letter
    assert studio.sample(latents=a.latent).image.shape == (28, 28, 3)


def test_latents_are_drawn_again_from_whatever_holds_them(studio: neuralid.Studio) -> None:
    a, b = studio.sample(seeds=[1, 2])
    files = [a.save("a.png"), studio.mix(b, scale=1).save("b.png")]
    drawn = studio.sample(latents=[*files, a])
    assert np.array_equal(drawn.images, np.stack([a.image, b.image, a.image]))
    assert (drawn.seeds, drawn.names[:2], len(drawn[:2])) == ([], ["a.png", "b.png"], 2)
    assert drawn[1].seed is None and repr(drawn[1]) == "<Face of b.png, 28x28>"
    assert np.array_equal(studio.sample(latents=drawn[1].save("c.png")).image, b.image)
    assert not np.array_equal(studio.sample(latents=a, trunc=0.3).image, a.image)
    with pytest.raises(neuralid.ConfigError, match="is a grid of 3 faces"):
        studio.mix(drawn.save("grid.png"))
    for options in ({"n": 1}, {"seed": 1}, {"seeds": 1}):
        with pytest.raises(neuralid.ConfigError, match="and `latents` exclude each other"):
            studio.sample(latents=a, **options)  # type: ignore[arg-type]
    with pytest.raises(neuralid.ConfigError, match="has no latent"):
        studio.sample(latents=a.image)


def test_the_photo_to_keep_is_named_by_itself_or_its_place(
    studio: neuralid.Studio, photo: Path
) -> None:
    picture, face = Image.open(photo).convert("RGB"), studio.sample(seeds=1)[0]
    by_place = studio.mix([picture, face], keep=0, align=False)
    by_itself = studio.mix([picture, face], keep=picture, align=False)
    assert np.array_equal(by_place.image, by_itself.image)
    assert by_place.image.shape == np.asarray(picture).shape
    for keep, words in ((1, "is not a photo"), (2, "`keep` must be"), ("x.png", "not an input")):
        with pytest.raises(neuralid.ConfigError, match=words):
            studio.mix([picture, face], keep=keep, align=False)


@pytest.mark.parametrize("verb", ["sample", "invert", "mix", "upscale"])
def test_the_functions_are_the_methods(
    verb: str, studio: neuralid.Studio, tiny: Path, photo: Path
) -> None:
    given: dict[str, tuple[Any, dict[str, Any]]] = {
        "sample": (2, {"seed": 3, "trunc": 0.5}),
        "invert": (photo, STEPS),
        "mix": ([photo, photo], {"align": False, "weights": [1, 2]}),
        "upscale": (photo, {"scale": 1.5}),
    }
    argument, options = given[verb]
    method = getattr(studio, verb)(argument, **options)
    model = {} if verb == "upscale" else {"model": tiny}
    function = getattr(neuralid, verb)(argument, **options, **model, device="cpu")
    assert np.array_equal(method.image, function.image)


@pytest.mark.parametrize("verb", ["sample", "invert", "mix", "upscale"])
def test_the_typed_options_are_the_methods_keywords(verb: str) -> None:
    declared = getattr(_options, f"{verb.capitalize()}Options").__annotations__
    parameters = inspect.signature(getattr(neuralid.Studio, verb)).parameters.values()
    assert list(declared) == [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


@pytest.mark.parametrize("verb", ["sample", "invert", "mix", "upscale"])
def test_the_commands_options_have_the_librarys_names(verb: str) -> None:
    """So that what the library says of a parameter becomes the flag of that name."""
    from neuralid import cli

    command = inspect.signature(getattr(cli, verb)).parameters
    library = {*inspect.signature(getattr(neuralid.Studio, verb)).parameters}
    callbacks = {"on_step", "on_face", "on_failure", "on_result"}
    missing = library - {*command} - callbacks - {"self", "together", "keep_results"}
    assert not missing


# --- Results ------------------------------------------------------------------------------------


def kinds(studio: neuralid.Studio, photo: Path) -> dict[str, Any]:
    a, b = studio.sample(seeds=[1, 2])
    return {
        "face": a,
        "grid": studio.sample(3, seed=0),
        "inverted": studio.invert(photo, **STEPS),
        "mix": studio.mix([a, b], scale=1),
        "strip": studio.mix([a, b], strip=3, scale=1),
        "film": studio.mix([a, b], frames=4, scale=1),
        "upscaled": studio.upscale(photo, scale=2, method="cubic"),
        "deep": studio.upscale(np.full((4, 4, 3), 300, np.uint16), scale=2, method="cubic"),
        "grey": studio.upscale(np.zeros((4, 4), np.uint8), scale=2, method="cubic"),
        "sheet": studio.upscale(photo, scale=2, compare=True),
    }


def test_results_show_save_and_describe_themselves(studio: neuralid.Studio, photo: Path) -> None:
    for kind, result in kinds(studio, photo).items():
        shown = np.asarray(Image.open(io.BytesIO(result._repr_png_())))
        assert shown.shape[:2] == result.image.shape[:2], kind
        text = repr(result)
        assert text.startswith(f"<{type(result).__name__}") and len(text) < 120, kind
        path = Path(f"{kind}.gif" if kind == "film" else f"{kind}.png")
        assert result.save(path) == path and path.stat().st_size > 0
        if kind not in ("film", "deep"):
            written = np.asarray(Image.open(path))
            assert np.array_equal(written, result.image), kind
    assert Photo.read("deep.png").exact.dtype == np.uint16
    assert Photo.read("film.gif").frame_count == 4


def test_what_one_face_carries_and_several_do_not(studio: neuralid.Studio, photo: Path) -> None:
    made = kinds(studio, photo)
    for kind in ("face", "grid", "inverted", "mix", "strip"):
        text = Photo.read(made[kind].save(f"{kind}.png")).text
        assert (LATENT_KEY in text) == (kind in ("face", "inverted", "mix")), kind
        assert (RECIPE_KEY in text) == (kind != "inverted"), kind
    z, weights_id = latent.from_text(Photo.read("mix.png").text[LATENT_KEY])
    assert z.equal(made["mix"].latent) and weights_id == studio.weights.id


def test_an_inversion_is_written_as_a_latent_or_as_a_picture(
    studio: neuralid.Studio, photo: Path
) -> None:
    found = studio.invert(photo, **STEPS, show_crop=True)
    stored = load_latent(found.save("me.safetensors"))
    assert stored.latent.equal(found.latent) and stored.weights_id == studio.weights.id
    assert stored.facts["crop"]["face_size"] == 100
    assert studio.mix(["me.safetensors", found]).latent.allclose(found.latent, atol=1e-5)
    assert found.frame is not None and found.frame.shape[0] == 448
    with pytest.raises(neuralid.ImageError, match="unknown suffix"):
        found.save("me.xyz")


def test_tuned_weights_are_the_results_model(studio: neuralid.Studio, photo: Path) -> None:
    found = studio.invert([photo, photo], **STEPS, fidelity="high", together=True)
    tuned = found[0].model
    assert tuned.is_tuned and tuned is found[1].model
    faces = to_tensor(tuned.draw(found[0].latent[None]))
    assert float(psnr(faces, to_tensor(found[0].reconstruction[None]))) > 45
    saved = tuned.save("tuned.safetensors")
    assert not saved.is_tuned and saved.weights.id != studio.weights.id
    assert neuralid.open("tuned.safetensors").weights.id == saved.weights.id
    alone = studio.invert([photo], **STEPS, fidelity="high")
    assert alone[0].model is studio and alone[0].psnr > studio.invert(photo, **STEPS).psnr


# --- Manners ------------------------------------------------------------------------------------


def test_several_threads_share_a_studio(studio: neuralid.Studio, photo: Path) -> None:
    work: list[Callable[[], np.ndarray]] = [
        lambda: studio.sample(3, seed=1).image,
        lambda: studio.invert(photo, **STEPS).reconstruction,
        lambda: studio.mix([photo, photo], align=False).image,
        lambda: studio.upscale(photo, scale=2).image,
    ] * 2
    alone = [do() for do in work]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda do: do(), work))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_processs_state_stays_as_it_was(tiny: Path, photo: Path) -> None:
    os.umask(0o027)
    try:
        torch.manual_seed(3)
        before = torch.get_rng_state(), torch.get_num_threads()
        studio = neuralid.open(tiny)
        studio.mix([studio.invert(photo, **STEPS), photo], align=False).save("out.png")
        studio.upscale(studio.sample(1)[0].image)
        assert torch.get_rng_state().equal(before[0]) and torch.get_num_threads() == before[1]
        assert Path("out.png").stat().st_mode & 0o777 == 0o640
    finally:
        assert os.umask(0o022) == 0o027


def test_no_file_is_written_but_by_save(studio: neuralid.Studio, photo: Path) -> None:
    kinds(studio, photo)
    assert not list(Path().iterdir())


def test_the_package_lists_its_names_without_torch() -> None:
    code = (
        "import sys, neuralid; names = dir(neuralid); assert 'torch' not in sys.modules;"
        "assert {'open', 'train', 'sample', 'invert', 'mix', 'upscale', 'Recipe', 'CropConfig',"
        "'NeuralidError', 'Studio', 'Mixed'} <= set(names), names;"
        "assert all(getattr(neuralid, name).__doc__ for name in names if name[0] != '_')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert neuralid.open is studio_module.open_studio


def test_what_the_library_says_of_parameters_becomes_flags(photo: Path) -> None:
    said = [
        (("invert", photo, "--face-size", 2), "--face-size must be from 8"),
        (("upscale", photo, "-s", 2, "--size", 9), "--scale and --size exclude each other"),
        (("mix", photo, photo, "--matrix", 1, "--strip", 2), "--strip and --matrix exclude"),
        (("upscale", photo, "--compare", "--method", "cubic"), "leave --method out"),
        (("sample", "--seed", 1, "--seeds", 2), "--seed and --seeds exclude each other"),
    ]
    for words, shown in said:
        fails(run(*words), 2, shown)
    with pytest.raises(neuralid.ConfigError, match="`scale` and `size` exclude each other"):
        neuralid.upscale(photo, scale=2, size=9)


def test_the_page_of_the_interface_is_what_the_docstrings_say() -> None:
    script = Path(__file__).parents[1] / "tools" / "write_api.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True)


# --- What people give instead -----------------------------------------------------------------


def test_an_edited_picture_is_not_taken_for_the_one_it_was(studio: neuralid.Studio) -> None:
    """Pillow hands a PNG's text on to what is made of it."""
    path = studio.sample(seeds=1)[0].save("face.png")
    with Image.open(path) as opened:
        dark = opened.point(lambda value: value // 4)
        assert dark.info.get(LATENT_KEY)
        found = studio.invert(dark, **STEPS)
        mixed = studio.mix([dark, dark], align=False)
    assert found.target.mean() < 80
    assert not mixed.latent.allclose(studio.mix([path, path]).latent)


@pytest.mark.parametrize("source", [None, 3, io.StringIO("text")])
def test_what_is_not_a_source_is_named(studio: neuralid.Studio, source: Any) -> None:
    with pytest.raises(neuralid.ImageError, match=f"{type(source).__name__} is not a picture"):
        studio.upscale(source)
    failed: list[str] = []
    studio.invert([source], on_failure=lambda name, error: failed.append(str(error)))
    assert len(failed) == 1


def test_numbers_of_other_libraries_will_do(studio: neuralid.Studio) -> None:
    drawn = studio.sample(seeds=np.arange(3))
    assert drawn.save("grid.png").exists() and drawn.seeds == [0, 1, 2]
    assert studio.sample(seeds=np.int64(3)).seeds == [3]
    for weights in (np.array([0.3, 0.7]), torch.tensor([0.3, 0.7]), [3, 7]):
        assert studio.mix(drawn[:2], weights=weights).shares == pytest.approx([0.3, 0.7])
    assert studio.mix(drawn[:2], weights=np.float32(0.7)).shares == pytest.approx([0.3, 0.7])
    every = studio.mix(drawn, blend="mean").latent
    torch.testing.assert_close(every, drawn.latents.mean(0))
    torch.testing.assert_close(studio.mix(drawn.latents, blend="mean").latent, every)
    large = studio.upscale(drawn[0].image, scale=2, method="cubic")
    assert studio.mix([large, drawn[1]], align=False).image.shape == (112, 112, 3)
    assert len(drawn[1:]) == 2 and drawn[1:].image.shape[0] == 28
    for words, options in (("seeds", {"seeds": []}), ("`n` must", {"n": 0})):
        with pytest.raises(neuralid.ConfigError, match=words):
            studio.sample(**options)
    with pytest.raises(neuralid.ConfigError, match="`weights` is empty"):
        studio.mix(drawn[:2], weights=[])
    with pytest.raises(neuralid.ConfigError, match="not a size"):
        studio.upscale(large.image, size=(1, 2, 3))  # type: ignore[arg-type]


def test_an_enlarged_picture_does_not_hold_the_one_it_came_from(studio: neuralid.Studio) -> None:
    picture = draw_face(np.random.default_rng(0), 20, 20)
    gone = weakref.ref(picture)
    large = studio.upscale(picture, scale=2, method="cubic")
    del picture
    gc.collect()
    assert gone() is None and large.image.shape == (40, 40, 3)


def test_what_cannot_be_is_known_before_weights_are_read(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.weights.load_weights", None)
    for words in (
        ("mix", photo, photo, "--strip", 3, "--matrix", 1),
        ("mix", photo, photo, "--scale", 100),
        ("mix", photo, photo, "--weight", "nan"),
        ("invert", photo, "--steps", 0),
        ("invert", photo, "--face", 0),
        ("invert", photo, "--prior", -1),
        ("sample", "--trunc", 11),
    ):
        fails(run(*words), 2, "error:")


def test_attributes_that_cannot_be_name_no_flags(tiny: Path, photo: Path) -> None:
    words = ("mix", photo, photo, "--no-align", "--weights", tiny, "--attribute")
    fails(run(*words, "scale=1000"), 2, "the attribute scale must be from -100 to 100")
    fails(run(*words, "age=1"), 2, "no attribute 'age'", "train with a list of attributes")
