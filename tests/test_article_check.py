"""The check of an article: planted false quotes and numbers are all caught, true ones are none of them rejected."""

from collections.abc import Iterator

import pytest

import article_second_set as second_set
from article_talks import EN, GETTYSBURG, HOMETOWN, KENNEDY, TH, ZH, Language, made_up, real, second, talk
from moonlet.article.amounts import amounts
from moonlet.article.check import ToCheck, check
from moonlet.article.claims import Ground
from moonlet.article.piece import Article, Claim, Computed, Finding, Kind, Quote, Section
from moonlet.article.talk import Transcript
from moonlet.article.verbatim import Spoken
from moonlet.article.words import denials, names


def _second(transcript: Transcript, id: int, beginning: str) -> float:
    """When the first word of a quote is said, found apart from the checker: words are gone through one by one."""
    words, text = transcript.sentences[id].words, ""
    place = transcript.sentences[id].text.lower().index(beginning.lower())
    for word in words:
        at = transcript.sentences[id].text.index(word.text.strip(), len(text.rstrip()) if text else 0)
        if at + len(word.text) > place:
            return word.start
        text = transcript.sentences[id].text[: at + len(word.text)]
    raise AssertionError(f"{beginning!r} is not said in sentence {id}")


def _whole() -> Iterator[tuple[Transcript, Quote]]:
    """Each sentence as it is; dressed as printers dress quotes; with its neighbour; up to its first comma."""
    for said in [*made_up().values(), *real()]:
        for one in said.sentences:
            yield said, Quote((one.id,), one.text, one.words[0].start, one.words[-1].end)
            dressed = one.text[0].upper() + one.text[1:].rstrip(".。 ").replace("'", "’").replace(", ", ",  ")
            yield said, Quote((one.id,), f"“{dressed}”", one.words[0].start, one.words[-1].end)
            if one.id:
                before = said.sentences[one.id - 1]
                joint = "" if said.language == "zh" else " "
                text = before.text + joint + one.text
                yield said, Quote((before.id, one.id), text, before.words[0].start, one.words[-1].end)
            first = one.text.replace("，", ",").split(",")[0]
            if len(first) > 12 and first != one.text and not first.startswith("And so"):
                yield said, Quote((one.id,), first, one.words[0].start, one.words[-1].end)


# Pieces of sentences, and numbers written in another way, which say what was said.
PIECES: list[tuple[Language, int, str, str]] = [
    ("en", 0, "I build batteries for fishing boats in Lagos", "I build"),
    ("en", 1, "8 years ago I sold my first battery to a man called Tunde Bakare.", "Eight"),
    ("en", 2, "It lasted 80 days", "It lasted"),
    ("en", 3, "he would never buy from me again", "he would"),
    ("en", 4, "we had not tested a single one in salt water", "we had not"),
    ("en", 4, "We had tested 40 cells in the laboratory", "We had"),
    ("en", 6, "we changed the copper for nickel", "we changed the copper"),
    ("en", 7, "which is 3 kilograms less than the old one", "which"),
    ("en", 8, "only seventeen batteries came back to us", "only"),
    ("en", 9, "every battery is now tested in the lagoon for 6 hours", "every"),
    ("en", 10, "our battery costs him $1.50", "our battery"),
    ("en", 11, "60% of our customers earn less than the minimum wage", "sixty"),
    ("en", 12, "In 2024 the University of Ibadan measured our cells", "In twenty"),
    ("en", 12, "they kept 92 percent of their capacity", "they kept"),
    ("en", 14, "we will answer the phone", "we will"),
    ("th", 1, "โรงเรียนของเรามีนักเรียน 80 คน", "โรงเรียน"),
    ("th", 4, "สูง 350 เมตร", "สูง"),
    ("th", 5, "ค่าอุปกรณ์ทั้งหมด 25,000 บาท", "ค่า"),
    ("th", 7, "อายุ 14 ปี", "อายุ"),
    ("th", 9, "หมู่บ้านเจ็ดแห่งใช้สัญญาณจากเสาของเรา", "หมู่บ้าน"),
    ("th", 11, "แต่มันทำให้เด็กกลับบ้าน", "แต่"),
    ("zh", 2, "第一次飞行只持续了8分钟", "第一次"),
    ("zh", 3, "也没有向银行借一分钱", "也"),
    ("zh", 5, "一次飞行可以持续80分钟，覆盖1200公顷的土地", "一次"),
    ("zh", 6, "我们帮助450户农民量清了土地的边界", "我们"),
    ("zh", 8, "而是为了让他们不必爬到悬崖上去", "而是"),
    ("zh", 9, "王建国师傅今年62岁", "王建国"),
]


def true_quotes() -> list[tuple[Transcript, Quote]]:
    """All of them, with the seconds at which they are said."""
    listed = list(_whole())
    for language, id, text, beginning in PIECES:
        said = made_up()[language]
        listed.append((said, Quote((id,), text, _second(said, id, beginning), said.sentences[id].end)))
    return listed


# What was not said so: the transcript, the sentence it is laid to, the words, and seconds that its time is off.
PLANTED: list[tuple[str, Language, int, str, float]] = [
    (EN, "en", 2, "It lasted eight days, and then it did not start again.", 0),
    (EN, "en", 4, "but we had tested a single one in salt water", 0),
    (EN, "en", 5, "Salt water is kind to copper.", 0),
    (EN, "en", 13, "I can promise you that they will last ten years.", 0),
    (EN, "en", 13, "they will last ten years", 0),
    (EN, "en", 6, "So we changed the seal, and we changed the copper for nickel.", 40),
    (EN, "en", 6, "So we changed the seal, and we changed the copper for nickel.", -1),
    (EN, "en", 3, "Tunde came back to my workshop and said he would buy from me again.", 0),
    (EN, "en", 8, "Last year 1,250 boats went out with it, and only 70 batteries came back to us.", 0),
    (EN, "en", 8, "Last year 1,200 boats went out with it", 0),
    (EN, "en", 7, "The new battery weighs fifty kilograms", 0),
    (EN, "en", 12, "they kept 29% of their capacity", 0),
    (EN, "en", 12, "the University of Lagos measured our cells", 0),
    (EN, "en", 9, "That is luck, because every battery is now tested", 0),
    (EN, "en", 11, "We ask the government for money", 0),
    (EN, "en", 14, "Salt water is not kind to copper.", 0),
    (EN, "en", 0, "We build the best boats in Africa.", 0),
    (TH, "th", 1, "โรงเรียนของเรามีนักเรียนแปดคน", 0),
    (TH, "th", 2, "วันนี้เรามีนักเรียนแปดสิบคน", 0),
    (TH, "th", 5, "ค่าอุปกรณ์ทั้งหมดสองแสนห้าพันบาท", 0),
    (TH, "th", 7, "อายุสี่สิบปี", 0),
    (TH, "th", 8, "ฐานใหม่เคยล้มเลยตั้งแต่ พ.ศ. 2564", 0),
    (TH, "th", 11, "ผมคิดว่าเทคโนโลยีแก้ปัญหาได้ทุกอย่าง", 0),
    (TH, "th", 11, "คิดว่าเทคโนโลยีแก้ปัญหาได้ทุกอย่าง", 0),
    (TH, "th", 12, "ปีหน้าเราจะมีนักเรียนยี่สิบ", 0),
    (TH, "th", 9, "ตอนนี้หมู่บ้านเจ็ดแห่งใช้สัญญาณจากเสาของเรา", 25),
    (ZH, "zh", 2, "第一次飞行只持续了八十分钟", 0),
    (ZH, "zh", 3, "我们放弃，也没有向银行借一分钱。", 0),
    (ZH, "zh", 4, "后来我们把电池的重量减少了百分之十三。", 0),
    (ZH, "zh", 5, "覆盖一千二百万公顷的土地", 0),
    (ZH, "zh", 7, "现在需要十五个小时", 0),
    (ZH, "zh", 9, "王建国师傅今年二十六岁", 0),
    (ZH, "zh", 11, "我知道十年以后会怎样。", 0),
    (ZH, "zh", 11, "知道十年以后会怎样", 0),
    (ZH, "zh", 12, "但是我知道，山里的路不会一直这么难走。", -12),
    (KENNEDY, "en", 0, "ask what your country can do for you", 0),
    (KENNEDY, "en", 2, "All this will be finished in the first one hundred days.", 0),
    (KENNEDY, "en", 3, "it be finished in the first one thousand days", 0),
    (
        GETTYSBURG,
        "en",
        0,
        "Four score and seventy years ago our fathers brought forth on this continent a new nation",
        0,
    ),
    (GETTYSBURG, "en", 5, "we can dedicate, we can consecrate, we can hallow this ground", 0),
    (GETTYSBURG, "en", 3, "We have come to dedicate … a final resting place", 0),
    (HOMETOWN, "zh", 0, "希望是本有所谓有，无所谓无的。", 0),
]


def test_no_true_quote_is_rejected() -> None:
    quotes = true_quotes()
    assert len(quotes) >= 200
    rejected = [(quote.text, told) for said, quote in quotes if (told := Spoken(said).check(quote, "here"))]
    assert not rejected


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted[1]}-{planted[2]}-{planted[3][:24]}")
def test_a_planted_quote_is_caught(planted: tuple[str, Language, int, str, float]) -> None:
    text, language, id, words, off = planted
    said = talk(text, language)
    one = said.sentences[id]
    # Where it could have been said, so that nothing but the words, or else nothing but the second, is wrong.
    try:
        start = _second(said, id, words[:4])
    except (ValueError, AssertionError):
        start = one.start
    finding = Spoken(said).check(Quote((id,), words, start + off, one.end + off), "here")
    assert (
        finding
        and finding.dropped
        and finding.kind == ("time" if off or ("kind to copper" in words and id == 14) else "quote")
    )


TRUE_CLAIMS: list[tuple[Language, tuple[int, ...], str]] = [
    ("en", (0,), "Miriam Adeyemi builds batteries for fishing boats in Lagos."),
    ("en", (1,), "Adeyemi sold her first battery eight years ago, to Tunde Bakare."),
    ("en", (2,), "That battery gave out after 80 days."),
    ("en", (3,), "Bakare vowed never to buy from her again."),
    ("en", (4,), "Forty cells had been tested in the laboratory, none of them in salt water."),
    ("en", (5, 6), "Because salt water attacks copper, the copper was changed for nickel."),
    ("en", (7,), "The new battery weighs 15 kg, 3 kg less than the old one."),
    ("en", (8,), "Twelve hundred and fifty boats went out last year, and only seventeen batteries came back."),
    ("en", (9,), "Every battery now spends six hours being tested in the lagoon."),
    ("en", (10,), "A diesel engine costs about $4 a day; the battery costs $1.50."),
    ("en", (11,), "Sixty percent of the customers earn less than the minimum wage."),
    ("en", (12,), "The cells kept 92 percent of their capacity, the University of Ibadan found in 2024."),
    ("en", (13,), "She does not promise that the batteries will last 10 years."),
    ("th", (0,), "สมชาย ใจดี เป็นครูสอนวิทยาศาสตร์ที่โรงเรียนในจังหวัดน่าน"),
    ("th", (1, 2), "โรงเรียนเคยมีนักเรียน 80 คน วันนี้เหลือ 8 คน"),
    ("th", (4,), "เขาตั้งเสาสัญญาณสูง 350 เมตรบนดอยภูคา"),
    ("th", (5,), "ค่าอุปกรณ์ทั้งหมด 25,000 บาท"),
    ("th", (8,), "ฐานใหม่ไม่เคยล้มตั้งแต่ปี 2021"),
    ("th", (10,), "ครอบครัว 65 เปอร์เซ็นต์ขายกาแฟผ่านโทรศัพท์ได้โดยไม่ต้องมีพ่อค้าคนกลาง"),
    ("th", (12,), "ปีหน้าโรงเรียนจะมีนักเรียน 23 คน"),
    ("zh", (0,), "林雨晴在成都做无人机测绘。"),
    ("zh", (2,), "第一次飞行只有8分钟，无人机就掉进了岷江。"),
    ("zh", (3,), "他们没有放弃，也没有向银行借钱。"),
    ("zh", (4, 5), "电池的重量减少了30%，现在一次飞行可以持续80分钟。"),
    ("zh", (6,), "去年有450户农民量清了土地的边界。"),
    ("zh", (9,), "王建国师傅62岁，从来没有这么安全地工作过。"),
    ("zh", (10,), "2023年，四川省测绘局采用了他们的标准。"),
]

FALSE_CLAIMS: list[tuple[Language, tuple[int, ...], str, Kind]] = [
    ("en", (2,), "The first battery lasted eight days.", "number"),
    ("en", (8,), "Last year 1,250 boats went out and 70 batteries came back.", "number"),
    ("en", (9,), "Every battery is tested in the lagoon for six days.", "number"),
    ("en", (11,), "Six percent of the customers earn less than the minimum wage.", "number"),
    ("en", (12,), "The cells kept 92% of their capacity in 2014.", "number"),
    ("en", (4,), "The cells had been tested in salt water.", "negation"),
    ("en", (5,), "Salt water is kind to copper.", "negation"),
    ("en", (13,), "Miriam Adeyemi promises that the batteries will last ten years.", "negation"),
    ("en", (7,), "The new battery does not weigh less than the old one.", "negation"),
    ("en", (12,), "The University of Lagos measured the cells.", "name"),
    ("en", (1,), "The first battery went to Tunday Bakare.", "name"),
    ("en", (1,), "The first battery was sold to a man called Chinedu Okafor.", "name"),
    ("th", (1,), "โรงเรียนเคยมีนักเรียน 8 พันคน", "number"),
    ("th", (7,), "มะลิอายุ 40 ปีและเป็นคนออกแบบฐานใหม่", "number"),
    ("th", (8,), "ฐานใหม่เคยล้มตั้งแต่ พ.ศ. 2564", "negation"),
    ("th", (0,), "สมชายสอนอยู่กับ Elon Musk ที่โรงเรียนในจังหวัดน่าน", "name"),
    ("zh", (2,), "第一次飞行持续了80分钟。", "number"),
    ("zh", (6,), "去年他们帮助四万五千户农民量清了土地的边界。", "number"),
    ("zh", (3,), "他们放弃了，也向银行借了钱。", "negation"),
    ("zh", (7,), "现在量一块地需要十五个小时。", "negation"),
]


def _ground(said: Transcript, same: bool = True) -> Ground:
    return Ground(said, same, {change.before.lower(): change.after for change in said.changes})


@pytest.mark.parametrize("claim", TRUE_CLAIMS, ids=lambda claim: claim[2][:30])
def test_a_true_sentence_is_supported(claim: tuple[Language, tuple[int, ...], str]) -> None:
    language, ids, text = claim
    assert _ground(made_up()[language]).look(Claim(text, ids)).faults == ()


@pytest.mark.parametrize("claim", FALSE_CLAIMS, ids=lambda claim: claim[2][:30])
def test_a_false_sentence_is_caught(claim: tuple[Language, tuple[int, ...], str, Kind]) -> None:
    language, ids, text, kind = claim
    faults = _ground(made_up()[language]).look(Claim(text, ids)).faults
    assert any(fault.kind == kind and fault.false for fault in faults), faults


def test_between_languages_numbers_and_names_are_compared() -> None:
    ground = _ground(made_up()["en"], same=False)
    assert not ground.look(Claim("แบตเตอรี่ก้อนแรกของ Tunde Bakare ใช้ได้ 80 วัน", (1, 2))).faults
    assert not ground.look(Claim("新电池重十五公斤，比旧的轻3公斤。", (7,))).faults
    assert not ground.look(Claim("ในปี พ.ศ. 2567 เซลล์ยังเก็บไฟได้ร้อยละ 92", (12,))).faults
    for text, ids, kind in (
        ("แบตเตอรี่ก้อนแรกใช้ได้แปดวัน", (2,), "number"),
        ("新电池重五十公斤。", (7,), "number"),
        ("第一块电池卖给了 Chinedu Okafor。", (1,), "name"),
        ("盐水对铜很友好。", (5,), "negation"),
    ):
        assert kind in {fault.kind for fault in ground.look(Claim(text, ids)).faults}, text


# Each row is one number as it is said in English, Thai and Chinese; behind the bar, what it is not.
ONE_NUMBER = (
    "more than 200,000 people came; over two hundred thousand people | twenty people; two million people",
    "มีคนมา 200,000 กว่าคน; มีคนมาสองแสนกว่าคน | มีคนมายี่สิบคน",
    "来了二十多万人。; 来了20多万人。 | 来了二十多人。; 来了二百多万人。",
    "It has 120 million users.; It has 120,000,000 users. | It has 20 million users.; It has 100 million users.",
    "มีผู้ใช้ 120 ล้านคน; มีผู้ใช้หนึ่งร้อยยี่สิบล้านคน | มีผู้ใช้ 20 ล้านคน",
    "有1亿2000万用户。; 有一亿两千万用户。; 有1.2亿用户。 | 有2000万用户。; 有1亿用户。",
    "over twenty million baht; 20-odd million baht | 20 baht; 20,000 baht",
    "20 กว่าล้านบาท; ยี่สิบกว่าล้านบาท | 20 กว่าบาท",
    "两千多万泰铢; 2000多万泰铢 | 二十多泰铢",
    "two dozen boats; 24 boats; 2 dozen boats | two boats; a dozen boats",
    "เรือ 24 ลำ; เรือสองโหล | เรือ 2 ลำ; เรือ 12 ลำ",
    "24条船; 二十四条船 | 2条船; 12条船",
    "half a million trees; 500,000 trees | a million trees; half the trees",
    "ต้นไม้ครึ่งล้านต้น; ต้นไม้ 5 แสนต้น | ต้นไม้หนึ่งล้านต้น",
    "五十万棵树; 50万棵树 | 一百万棵树",
    "2.5 to 3 million people; 2.5 million to 3 million people | 2.5 people; 2.5 to 3 thousand people",
    "2.5 ถึง 3 ล้านคน; 2.5 ล้านถึง 3 ล้านคน | 2.5 คน",
    "250万到300万人 | 250到300人",
    "two or three weeks; 2 to 3 weeks | 23 weeks; two or three days",
    "สองสามสัปดาห์; 2-3 สัปดาห์ | ยี่สิบสามสัปดาห์",
    "两三周; 2到3周 | 二十三周; 两三天",
    "It was minus five degrees.; It was -5 degrees.; It was 5 degrees below zero. | It was 5 degrees.",
    "อุณหภูมิลบห้าองศา; อุณหภูมิ -5 องศา; อุณหภูมิติดลบ 5 องศา | อุณหภูมิ 5 องศา",
    "气温是零下五度。; 气温-5度。; 气温是零下5度。 | 气温是五度。",
    "20 to 30 degrees below zero; minus 20 to minus 30 degrees | 20 to 30 degrees",
    "ลบ 20 ถึงลบ 30 องศา | 20 ถึง 30 องศา",
    "零下二十到三十度; 零下20度到零下30度 | 二十到三十度",
    "It took an hour.; It took one hour.; It took 60 minutes. | It took two hours.; It took half an hour.",
    "ใช้เวลาหนึ่งชั่วโมง; ใช้เวลา 60 นาที | ใช้เวลาครึ่งชั่วโมง",
    "花了一个小时。; 花了一小时。; 花了60分钟。 | 花了半小时。; 花了两个小时。",
    "It took half an hour.; It took 30 minutes. | It took an hour.",
    "ใช้เวลาครึ่งชั่วโมง; ใช้เวลา 30 นาที | ใช้เวลาหนึ่งชั่วโมง",
    "花了半小时。; 花了半个小时。; 花了三十分钟。 | 花了一个小时。",
    "He came back a year later.; He came back one year later. | He came back ten years later.",
    "เขากลับมาหนึ่งปีต่อมา; เขากลับมา 1 ปีต่อมา | เขากลับมาสิบปีต่อมา",
    "他一年后回来了。; 他1年以后回来了。 | 他十年后回来了。",
    "She drove at 60 miles an hour.; She drove at 60 miles per hour. | She drove at 80 miles an hour.",
    "เธอขับ 60 ไมล์ต่อชั่วโมง; เธอขับชั่วโมงละ 60 ไมล์ | เธอขับ 80 ไมล์ต่อชั่วโมง",
    "她开每小时60英里。; 她开一小时60英里。 | 她开每小时80英里。",
    "The second boat sank. | The third boat sank.",
    "เรือลำที่สองจม; เรือลำที่ 2 จม | เรือลำที่สามจม",
    "第二艘船沉了。; 第2艘船沉了。 | 第三艘船沉了。",
    "Both boats sank, twice.; Two boats sank. | Five boats sank.",
    "เรือทั้งสองลำจม; เรือ 2 ลำจม | เรือห้าลำจม",
    "两艘船都沉了。; 2艘船沉了。 | 五艘船沉了。",
    "It rained in May.; It rained last May. | It rained in June.; It rained since March.",
    "ฝนตกในเดือนพฤษภาคม; ฝนตกเดือนพฤษภา | ฝนตกในเดือนมิถุนายน",
    "五月下雨了。; 5月下雨了。 | 六月下雨了。; 12月下雨了。",
)


def _numbers_at_fault(said: str, language: Language, told: str) -> bool:
    faults = _ground(talk(said, language), same=False).look(Claim(told, (0,))).faults
    return any(fault.kind == "number" for fault in faults)


def test_one_number_in_three_languages() -> None:
    """What is said in one is true in each of the others, and nothing else is."""
    languages: tuple[Language, ...] = ("en", "th", "zh")
    for at in range(0, len(ONE_NUMBER), 3):
        cut = [[each.strip().split("; ") for each in row.split("|")] for row in ONE_NUMBER[at : at + 3]]
        for language, (said, _) in zip(languages, cut):
            for one in said:
                for true, false in cut:
                    assert not [told for told in true if _numbers_at_fault(one, language, told)], one
                    assert not [told for told in false if not _numbers_at_fault(one, language, told)], one


def test_a_number_is_no_piece_of_another_in_a_quote() -> None:
    said = talk("It was minus five degrees.\nWe built two dozen boats.\nIt has 1 million 200 thousand users.", "en")
    for id, true, false in (
        (0, "It was -5 degrees", "five degrees"),
        (1, "24 boats", "dozen boats"),
        (2, "1.2 million", "200 thousand"),
    ):
        start, end = said.sentences[id].start, said.sentences[id].end
        begin = {place.start for place in Spoken(said).find(true)}.pop()
        assert Spoken(said).check(Quote((id,), true, begin, end), "here") is None
        assert Spoken(said).check(Quote((id,), false, start, end), "here")


def test_a_computed_number_is_recomputed() -> None:
    ground = _ground(made_up()["en"])
    claim = "The old battery weighed 18 kilograms."
    assert [fault.kind for fault in ground.look(Claim(claim, (7,))).faults] == ["number"]
    assert not ground.look(Claim(claim, (7,), (Computed("18", "sum", ("15", "3")),))).faults
    for wrong in (
        Computed("18", "sum", ("14", "4")),  # of numbers that nobody said
        Computed("18", "difference", ("15", "3")),
        Computed("18", "ratio", ("15", "0")),
        Computed("18", "sum", ("fifteen", "three")),
        Computed("1e9", "sum", ("15", "3")),
    ):
        assert [fault.kind for fault in ground.look(Claim(claim, (7,), (wrong,))).faults] == ["number"]
    about = "Diesel costs over twice as much: $4 a day against roughly $1.5."
    assert not ground.look(Claim(about, (10,))).faults


def _article(said: Transcript, claims: tuple[Claim, ...], quotes: tuple[Quote, ...] = ()) -> Article:
    section = Section("On the water", 0.0, (claims,), quotes=quotes)
    return Article("en", None, said.language, "written", "scripted", "A battery", (), (), (section,))


def test_the_check_drops_marks_and_reports() -> None:
    said = made_up()["en"]
    claims = (
        Claim("The first battery lasted eighty days.", (2,)),
        Claim("The first battery lasted eight days.", (2,)),
        Claim("It was painted in cheerful colours by schoolchildren.", (2,)),
        Claim("She said “we never tested anything at all” to him.", (4,)),
        Claim("A sentence that rests on nothing.", (99,)),
    )
    true = Quote((5,), "Salt water is not kind to copper.", said.sentences[5].start, said.sentences[5].end)
    false = Quote((5,), "Salt water is kind to copper.", said.sentences[5].start, said.sentences[5].end)
    checked = check(ToCheck(said, _article(said, claims, (true, false))))
    (section,) = checked.article.sections
    assert [claim.text for claim in section.paragraphs[0]] == [claims[0].text, claims[2].text]
    assert section.paragraphs[0][1].flagged and section.quotes == (true,)
    report = checked.report
    assert (report.quotes.held, report.quotes.of) == (1, 3) and (report.sentences.held, report.sentences.of) == (1, 5)
    assert report.by_words and 0 < report.score < 60
    assert sorted(one.kind for one in report.findings) == ["number", "quote", "quote", "support", "support"]
    marked = check(ToCheck(said, _article(said, claims)), "flag").article.sections[0].paragraphs[0]
    assert len(marked) == 5 and sum(claim.flagged is not None for claim in marked) == 4


def test_a_heading_with_a_wrong_number_gives_way() -> None:
    said = made_up()["en"]
    article = _article(said, (Claim("The first battery lasted eighty days.", (2,)),))
    section = article.sections[0]
    wrong = Article("en", None, "en", "written", "m", "Eight Hundred Boats Went Out", (), (), (section,))
    checked = check(ToCheck(said, wrong))
    assert checked.article.title != wrong.title and checked.report.findings[0].kind == "number"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("one of them, no one, eighty and eight", ["80", "8"]),
        ("nineteen eighty-four, twenty twenty-four, nineteen oh five", ["1984", "2024", "1905"]),
        ("two and a half million, half a million, three point one four", ["2500000", "500000", "157/50"]),
        ("a third, two thirds, three quarters, the third, twenty-first", ["1/3", "2/3", "3/4", "3", "21"]),
        ("1,234.5 and 10k, v2.1.3, H2O", ["2469/2", "10000"]),
        ("สามารถ ห้ามเข้า ศูนย์วิจัย สัมพันธ์ เรียบร้อย เก้าอี้", []),
        ("แปดสิบเอ็ด สองล้านห้าแสน สามจุดห้า ๘๐ พ.ศ. 2564", ["81", "2500000", "7/2", "80", "2021"]),
        ("สองชั่วโมงครึ่ง", ["9000"]),
        ("万一 十分 百度 四川 一些 千万不要", []),
        (
            "三百五十万 一万二 二零二四年 三分之一 百分之八十 八成 3.5万",
            ["3500000", "12000", "2024", "1/3", "80", "80", "35000"],
        ),
        ("两个半小时", ["9000"]),
        (
            "二十多万 十几万 1亿2000万 1万2 1万零500 3个半小时",
            ["200000", "100000", "120000000", "12000", "10500", "12600"],
        ),
        (
            "两三百万 七八个人 三四十 十二三岁 二零二四",
            ["2000000", "3000000", "7", "8", "30", "40", "12", "13", "2024"],
        ),
        ("几百万 数十人 乱七八糟 数以百万计 หลายสิบล้าน several dozen, 5 billionaires", ["5"]),
        ("20 กว่าล้าน, ยี่สิบกว่าล้าน, 2 ล้าน 5 แสน, ครึ่งล้าน, สองโหล", ["20000000", "20000000", "2500000", "500000", "24"]),
        ("สองสามวัน ชั่วโมงครึ่ง ปี 2564", ["2", "3", "5400", "2021"]),
        ("two dozen, a dozen, half a dozen, 3 and a half million, half an hour", ["24", "12", "6", "3500000", "1800"]),
        ("1 million 200 thousand, 5 million 3 years ago, twenty-odd thousand", ["1200000", "5000000", "3", "20000"]),
        (
            "2.5 to 3 million, $2 to $3 million, 200 to 3 million",
            ["2500000", "3000000", "2000000", "3000000", "200", "3000000"],
        ),
        ("between one hundred and two hundred, between 3 and 5 hours", ["100", "200", "10800", "18000"]),
        ("it was -5, minus five, −5 and -$5, five degrees below zero", ["-5", "-5", "-5", "-5", "-5"]),
        ("ลบห้า, ติดลบ 5 องศา, ต่ำกว่าศูนย์ 5 องศา, ลบ 5 ไฟล์, โควิด-19", ["-5", "-5", "-5", "5", "19"]),
        ("零下五到十度 负五 气温-5℃ 背负5万 新冠-19", ["-5", "-10", "-5", "-5", "50000", "19"]),
        ("3-5, mid-5, 2024-05-06, ten minus five, page 3 -5", ["3", "5", "5", "2024", "5", "6", "10", "5", "3", "5"]),
        ("an hour later, for a year, an hour and a half, 60 miles an hour", ["3600", "1", "5400", "60"]),
        ("wait a second, the second boat, one second, on the first day, both, twice", []),
        (
            "in May, you may, we march, March 2011, 5月 十二月 พฤษภาคม ธ.ค. 2011",
            ["5", "3", "2011", "5", "12", "5", "12", "2011"],
        ),
    ],
)
def test_numbers_as_they_are_said(text: str, values: list[str]) -> None:
    assert [str(amount.value) for amount in amounts(text)] == values


def test_denials_and_names() -> None:
    assert denials("it is not so") and denials("I can't") and denials("เขาไม่มา") and denials("我没有去")
    assert (
        not denials("not only that, no doubt")
        and not denials("อย่างไรก็ตาม ไม่ว่าจะเป็น")
        and not denials("非常特别，不仅不同")
    )
    assert names("Yesterday Ada Lovelace met iPhone users at NASA.") == ["Ada", "Lovelace", "iPhone", "NASA"]
    assert names("เขาทำงานที่ Google มาก่อน") == ["Google"]


def _second_quote(language: Language, id: int, text: str) -> Finding | None:
    said = second()[language]
    found = [place for place in Spoken(said).find(text) if place.sentences[0] == id]
    start = found[0].start if found else said.sentences[id].start
    return Spoken(said).check(Quote((id,), text, start, said.sentences[id].end), "here")


def test_numbers_that_nobody_says_are_no_work() -> None:
    for text in (
        "9" * 1000,
        "5" + " million" * 1000,
        "2" + "亿" * 1000,
        "三" * 1000,
        "三分之" + "三" * 1000,
        "สาม" * 1000,
        "three point " + "five " * 1000,
        "point ".join(["zero "] * 1000),
    ):
        assert all(abs(amount.value) < 10**300 for amount in amounts(text)), text[:20]
    huge = talk("It has 2" + " trillion" * 3 + " stars.", "en")
    assert _ground(huge).look(Claim("It has about 3 stars.", (0,))).faults
    ground = _ground(made_up()["en"])
    for number in ("1e999999999", "1e-999999999", "-1E99999999", "NaN", "9" * 4000):
        claim = Claim("There are 18 of them.", (7,), (Computed("18", "sum", (number, "3")),))
        assert ground.look(claim).faults


def test_the_second_set() -> None:
    assert not [one for one in second_set.TRUE_QUOTES if _second_quote(*one)]
    assert not [one for one in second_set.FALSE_QUOTES if not _second_quote(*one)]
    grounds = {language: _ground(said) for language, said in second().items()}
    for language, ids, text in second_set.TRUE_SENTENCES:
        assert grounds[language].look(Claim(text, ids)).faults == (), text
    language, ids, text = second_set.WITHOUT_ITS_SOURCE
    assert [fault.false for fault in grounds["th"].look(Claim(text, ids)).faults] == [False]
    for language, ids, text in second_set.FALSE_SENTENCES:
        assert any(fault.false for fault in grounds[language].look(Claim(text, ids)).faults), text


@pytest.mark.parametrize("claim", second_set.MISSED, ids=lambda claim: claim[2][:20])
@pytest.mark.xfail(strict=True, reason="the checker compares words and denials; these turn the sense in another way")
def test_what_is_not_seen(claim: tuple[Language, tuple[int, ...], str]) -> None:
    language, ids, text = claim
    assert any(fault.false for fault in _ground(second()[language]).look(Claim(text, ids)).faults)


@pytest.mark.parametrize("quote", second_set.MISSED_QUOTES, ids=lambda quote: quote[2][:20])
@pytest.mark.xfail(
    strict=True, reason="a run of what was said whose sense is cut, and a number read as another's short form"
)
def test_which_quotes_are_let_through(quote: tuple[Language, int, str]) -> None:
    assert _second_quote(*quote)
