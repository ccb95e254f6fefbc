"""A second set for the check of articles, written before the checker was tried on it.

It rejected 4 of the 25 true quotes and 3 of the 25 true sentences, let 2 false quotes and 5 false sentences pass, and
was mended; what it still does not see is in `MISSED` and `MISSED_QUOTES`, so that it is known and noticed when it
changes. So this set too is one that the checker was mended with, and says nothing of sentences that it never met.

Four quotes that stood among the false ones were taken off there after the checker had passed them: "five hundred and
sixty-six", which is really said (a wrong label; it stands among the true ones now), and the three of `MISSED_QUOTES`.
"""

from article_talks import Language

TRUE_QUOTES: list[tuple[Language, int, str]] = [
    ("en", 1, "We worked in shifts of 15 minutes because nobody could stay longer."),
    ("en", 2, "Hiroshi Tanaka measured 3.8 sieverts per hour"),
    ("en", 3, "That’s not a number you forget"),
    ("en", 4, "two hours and ten minutes"),
    ("en", 6, "By 2019 we'd removed 566 fuel rods."),
    ("en", 6, "five hundred and sixty-six"),
    ("en", 8, "I wasn't afraid, I was angry"),
    ("en", 9, "none of them quit"),
    ("en", 10, "we won because we measured everything twice"),
    ("en", 7, "It cost about $2.3 billion"),
    ("en", 9, "Only one in four engineers on my team was a woman"),
    ("zh", 1, "水温每升高0.5度，就有四分之一的珊瑚白化"),
    ("zh", 2, "我们种下了13000株珊瑚"),
    ("zh", 3, "而是因为海水太热"),
    ("zh", 4, "大堡礁北部死了67%"),
    ("zh", 5, "我从来不说珊瑚没有救了"),
    ("zh", 6, "他三十年没见过这么多小鱼"),
    ("zh", 7, "明年还要再种2万株"),
    ("zh", 2, "活下来的不到一半"),
    ("th", 0, "เป็นพยาบาลที่โรงพยาบาลเชียงรายมา 27 ปี"),
    ("th", 1, "แต่มีคนไข้สองร้อยสิบคน"),
    ("th", 2, "เครื่องช่วยหายใจมีแค่ 6 เครื่อง"),
    ("th", 3, "ไม่มีพยาบาลคนไหนลาออก"),
    ("th", 5, "ลุงบุญมีไม่ได้กลับบ้านเป็นเวลา 43 วัน"),
    ("th", 6, "วัคซีนลดการเสียชีวิตได้ร้อยละ 90"),
    ("th", 7, "ดิฉันไม่เคยเสียใจที่เลือกอาชีพนี้"),
]
FALSE_QUOTES: list[tuple[Language, int, str]] = [
    ("en", 1, "We worked in shifts of fifty minutes"),
    ("en", 2, "measured 38 sieverts per hour"),
    ("en", 3, "That's a number you forget."),
    ("en", 4, "The first robot stopped after two hours."),
    ("en", 5, "The second one came out."),
    ("en", 6, "five hundred and sixty fuel rods"),
    ("en", 7, "It cost about $2.3 million"),
    ("en", 8, "I was afraid, I was angry"),
    ("en", 8, "I'm afraid"),
    ("en", 9, "Only four engineers on my team"),
    ("en", 10, "We won because we were brave"),
    ("en", 10, "because we were brave"),
    ("en", 0, "I joined the Fukushima cleanup in March 2012"),
    ("zh", 1, "水温每升高五度"),
    ("zh", 1, "就有四分之三的珊瑚白化"),
    ("zh", 2, "活下来的到一半"),
    ("zh", 3, "因为我们种得不好"),
    ("zh", 4, "大堡礁北部死了百分之七十六"),
    ("zh", 5, "珊瑚没有救了"),
    ("zh", 6, "他三十年见过这么多小鱼"),
    ("zh", 7, "再种两千株"),
    ("th", 0, "ยี่สิบปี"),
    ("th", 1, "เรามีเตียงเพียงสิบเตียง"),
    ("th", 1, "สองร้อยคน"),
    ("th", 3, "มีพยาบาลคนไหนลาออก"),
    ("th", 5, "ลุงบุญมีได้กลับบ้านเป็นเวลาสี่สิบสามวัน"),
    ("th", 6, "ร้อยละเก้าสิบเก้า"),
    ("th", 7, "ดิฉันเคยเสียใจที่เลือกอาชีพนี้"),
    ("th", 7, "เสียใจที่เลือกอาชีพนี้"),
]
TRUE_SENTENCES: list[tuple[Language, tuple[int, ...], str]] = [
    ("en", (0,), "The engineer joined the cleanup at Fukushima in March 2011."),
    ("en", (1,), "Nobody could stay longer than 15 minutes."),
    ("en", (2,), "At the door of unit two, Tanaka measured 3.8 sieverts an hour."),
    ("en", (4, 5), "The first robot lasted 2 hours and 10 minutes, and the second never returned."),
    ("en", (6,), "By 2019 the team had removed 566 fuel rods."),
    ("en", (7,), "The work cost roughly $2.3 billion, less than half the plan."),
    ("en", (8,), "She says she was angry rather than afraid."),
    ("en", (9,), "A quarter of the engineers were women, and none of them quit."),
    ("en", (10,), "They won because they measured everything twice, not because they were brave."),
    ("en", (9,), "None of the women on the team quit."),
    ("zh", (1,), "水温升高0.5度，四分之一的珊瑚就会白化。"),
    ("zh", (2,), "他们种下了1.3万株珊瑚，活下来的不到一半。"),
    ("zh", (3,), "原因不是种得不好，而是海水太热。"),
    ("zh", (4,), "2016年，大堡礁北部有67%的珊瑚死亡。"),
    ("zh", (6,), "老张说他三十年没见过这么多小鱼。"),
    ("zh", (7,), "明年他们还要再种20000株。"),
    ("zh", (0,), "陈思远研究珊瑚已有21年。"),
    ("th", (0,), "ปวีณา ศรีสุข เป็นพยาบาลมา 27 ปี"),
    ("th", (1,), "โรงพยาบาลมีเตียง 40 เตียง แต่มีคนไข้ 210 คน"),
    ("th", (2,), "มีเครื่องช่วยหายใจ 6 เครื่อง"),
    ("th", (3,), "พยาบาลไม่ลาออกเลยสักคน"),
    ("th", (4,), "ลุงบุญมีวัย 78 ปีเป็นคนไข้คนแรกที่หาย"),
    ("th", (5,), "เขาไม่ได้กลับบ้าน 43 วัน"),
    ("th", (6,), "หมอบอกว่าวัคซีนลดการเสียชีวิตได้ 90%"),
    ("th", (7,), "เธอไม่เคยเสียใจที่เลือกอาชีพพยาบาล"),
]
FALSE_SENTENCES: list[tuple[Language, tuple[int, ...], str]] = [
    ("en", (1,), "They worked in shifts of fifty minutes."),
    ("en", (3,), "That is a number you forget."),
    ("en", (5,), "The second robot came out."),
    ("en", (6,), "By 2019 the team had removed 556 fuel rods."),
    ("en", (7,), "The work cost roughly $2.3 million."),
    ("en", (8,), "She was afraid."),
    ("en", (9,), "Two of the women quit."),
    ("en", (9,), "Half of the engineers were women."),
    ("en", (2,), "Kenji Tanaka measured 3.8 sieverts."),
    ("en", (4,), "The first robot stopped after ten hours."),
    ("zh", (1,), "水温每升高5度，四分之一的珊瑚白化。"),
    ("zh", (2,), "活下来的有八成。"),
    ("zh", (6,), "老张三年没见过这么多小鱼。"),
    ("zh", (4,), "2006年，大堡礁北部死了67%。"),
    ("th", (1,), "เรามีเตียง 14 เตียง"),
    ("th", (3,), "พยาบาลหลายคนลาออก"),
    ("th", (5,), "ลุงบุญมีได้กลับบ้านหลัง 34 วัน"),
    ("th", (7,), "ดิฉันเสียใจที่เลือกอาชีพนี้"),
    ("th", (6,), "วัคซีนลดการเสียชีวิตได้ร้อยละ 19"),
]
MISSED: list[tuple[Language, tuple[int, ...], str]] = [
    ("zh", (7,), "明年他们不再种珊瑚。"),
]
# A denied reason and a denied report, which were missed until there were rules for them.
ONCE_MISSED: list[tuple[Language, tuple[int, ...], str]] = [
    ("en", (10,), "They won because they were brave."),
    ("zh", (5,), "他说珊瑚没有救了。"),
]
# The doctor says so, not the speaker: true, and marked because the article does not say who says it.
WITHOUT_ITS_SOURCE = ("th", (6,), "วัคซีนลดการเสียชีวิตได้ 90%")
# The first two are said, but the sense is cut off; of the third, 一万三千株 is what was said.
MISSED_QUOTES: list[tuple[Language, int, str]] = [
    ("en", 1, "nobody could stay"),
    ("en", 5, "one never came"),
    ("zh", 2, "我们种下了一万三株珊瑚"),
]
