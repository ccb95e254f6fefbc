"""The text of slides, read by the OCR of `moonlet[slides]`: English and Chinese, drawn here, and what it is for."""

import socket
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av", reason="moonlet[article] is not installed")
pytest.importorskip("rapidocr", reason="moonlet[slides] is not installed")

from PIL import Image, ImageDraw, ImageFont
from tests.recordings import Picture, noise, shots, slide, write

from moonlet.article import glossary, media, slides
from moonlet.article.glossary import GlossarySettings, Spoken
from moonlet.article.media import MediaSettings
from moonlet.article.source import from_file
from moonlet.article.stages import do
from moonlet.article.talk import Sentence, Transcript, Word

FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights lie in the package: nothing is fetched."""

    def never(*_: object) -> None:
        raise AssertionError("the OCR asked the network")

    monkeypatch.setattr(socket.socket, "connect", never)


THAI_FONTS = (
    "/usr/share/fonts/truetype/noto/NotoSansThai-Regular.ttf",
    "/usr/share/fonts/truetype/tlwg/Loma.ttf",
    "/System/Library/Fonts/Supplemental/Thonburi.ttc",
)


def drawn(lines: list[str], fonts: tuple[str, ...] = FONTS, size: tuple[int, int] = (960, 540)) -> Picture:
    """A slide in a font of which one is installed. Skips the test where none is."""
    font = next((path for path in fonts if Path(path).is_file()), None)
    if font is None:
        pytest.skip(f"no font for {lines[0]} is installed")
    image = Image.new("RGB", size, (250, 250, 245))
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(lines):
        draw.text((60, 50 + 95 * i), line, font=ImageFont.truetype(font, 52 if i == 0 else 38), fill=(20, 30, 60))
    return np.asarray(image)


def read(picture: Picture, folder: Path) -> list[str]:
    path = folder / "slide.jpg"
    Image.fromarray(picture).save(path, quality=92)
    reader = slides.reader()
    assert reader is not None
    return (reader(path) or "").splitlines()


def _bare(lines: list[str]) -> list[str]:
    return ["".join(sign for sign in line.lower() if sign.isalnum() or sign in "%.") for line in lines]


def test_an_english_slide_is_read_in_its_order(tmp_path: Path) -> None:
    lines = ["Salt water eats copper", "Tested 1,250 boats in 2024", "92% of capacity kept"]
    found = read(slide("Batteries by Miriam Adeyemi", lines, (960, 540)), tmp_path)
    assert _bare(found) == _bare(["Batteries by Miriam Adeyemi", *lines]), found
    assert "Miriam Adeyemi" in found[0]


def test_light_letters_on_a_dark_slide(tmp_path: Path) -> None:
    found = read(slide("Numbers at night", ["8 weeks of life"], (960, 540), paper=20), tmp_path)
    assert _bare(found) == ["numbersatnight", "8weeksoflife"], found


def test_a_chinese_slide_is_read(tmp_path: Path) -> None:
    lines = ["无人机测绘", "一次飞行八十分钟", "覆盖1200公顷", "林雨晴 成都"]
    found = read(drawn(lines), tmp_path)
    assert _bare(found) == _bare(lines), found


def test_of_a_thai_slide_nothing_is_made_up(tmp_path: Path) -> None:
    """It does not know the script, and says so by being unsure."""
    for lines in (["โรงเรียนบ้านเรา", "เสาสัญญาณบนดอยภูคา", "นักเรียนแปดสิบคน"], ["อินเทอร์เน็ตในหมู่บ้าน", "กาแฟ"]):
        assert read(drawn(lines, THAI_FONTS), tmp_path) == []


def test_two_columns_are_read_line_by_line(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((540, 960, 3), 245, np.uint8))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(36)
    for at, text in (
        ((60, 60), "Before"),
        ((560, 64), "After"),
        ((60, 260), "Forty cells"),
        ((560, 256), "Ninety cells"),
    ):
        draw.text(at, text, font=font, fill=(10, 10, 40))
    found = read(np.asarray(image), tmp_path)
    assert found == ["Before", "After", "Forty cells", "Ninety cells"]


def test_where_nothing_is_written_nothing_is_read(tmp_path: Path) -> None:
    for picture in (noise(1, (960, 540)), np.full((540, 960, 3), 240, np.uint8)):
        assert read(picture, tmp_path) == []


def test_figures_have_their_text_and_names_on_slides_are_believed(tmp_path: Path) -> None:
    shown = [(slide("Miriam Adeyemi", ["builds batteries"], (960, 540)), 2.0), (noise(3, (960, 540)), 2.0)]
    path = write(tmp_path / "talk.mp4", shots(shown))
    found = do(media.STAGE, from_file(path), tmp_path / "out", MediaSettings())
    assert [(one.slide_text or "").splitlines()[:1] for one in found.figures] == [["Miriam Adeyemi"], []]
    words = tuple(
        Word(text, i / 2, i / 2 + 0.4, 0.5) for i, text in enumerate(["This", "is", "Miriam", "Adeyemy", "speaking."])
    )
    said = Transcript(
        "en", None, 4.0, (Sentence(0, 0.0, 3.0, "This is Miriam Adeyemy speaking.", words),), 1.0, "recognised"
    )
    unified = glossary.STAGE.run(
        Spoken(said, tuple(one.slide_text for one in found.figures if one.slide_text)),
        tmp_path, GlossarySettings(), lambda done, of: None,
    )  # fmt: skip
    assert unified.sentences[0].text == "This is Miriam Adeyemi speaking."


def test_no_slide_is_read_if_nobody_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slides, "reader", lambda: pytest.fail("the slides were read"))
    path = write(tmp_path / "talk.mp4", shots([(slide("A title"), 1.0)]))
    (figure,) = do(media.STAGE, from_file(path), tmp_path / "out", MediaSettings(ocr=False)).figures
    assert figure.slide_text is None
