"""What an article says besides its own text, in the three languages."""

from __future__ import annotations

from dataclasses import dataclass

from moonlet.article.piece import Article, Count, Finding, Kind, Report
from moonlet.article.talk import Transcript


@dataclass(frozen=True, slots=True)
class Labels:
    """Words of a page. Fields in braces are filled in."""

    key_points: str
    byline: str
    byline_extractive: str
    contents: str
    sources: str
    recording: str
    length: str
    spoken: str
    heard: str  # how the transcript was made: recognised
    subtitles: str
    coverage: str
    spellings: str
    check: str
    score: str
    held: str
    quotes: str
    sentences: str
    numbers: str
    names: str
    nothing_found: str
    finding: str
    dropped: str
    marked: str
    only_by_numbers: str
    transcript: str
    open_at: str
    disclosure: str
    disclosure_extractive: str
    doubtful: str
    unsure: str
    kinds: dict[Kind, str]
    languages: dict[str, str]

    def made_how(self, transcript: Transcript) -> str:
        """Where the transcript comes from, and how much of the speech it has."""
        how = self.heard if transcript.source == "recognised" else self.subtitles
        return f"{how} · {self.coverage.format(share=f'{transcript.coverage:.0%}')}"

    def rows(self, report: Report) -> tuple[tuple[str, str], ...]:
        """What was looked at, and how much of it holds."""
        return (
            (self.quotes, self._held_of(report.quotes)),
            (self.sentences, self._held_of(report.sentences)),
            (self.numbers, self._held_of(report.numbers)),
            (self.names, self._held_of(report.names)),
        )

    def _held_of(self, count: Count) -> str:
        return self.held.format(held=count.held, of=count.of) if count.of else "–"

    def found(self, finding: Finding) -> str:
        """What kind of finding it is, and what became of it, up to what was found."""
        became = self.dropped if finding.dropped else self.marked
        return self.finding.format(kind=self.kinds[finding.kind], became=became)

    def disclosed(self, article: Article, model: str) -> str:
        """Who wrote the article. `model` is its name as the file may show it."""
        return self.disclosure_extractive if article.mode == "extractive" else self.disclosure.format(model=model)


_EN = Labels(
    key_points="Key points",
    byline="Written by a language model from a recording, checked: {score} of 100",
    byline_extractive="Put together from the speaker's own sentences, by a program",
    contents="Contents",
    sources="Source",
    recording="Recording",
    length="Length",
    spoken="Spoken in",
    heard="Transcript made by speech recognition",
    subtitles="Transcript taken from subtitles",
    coverage="{share} of the speech has words",
    spellings="Spellings made one",
    check="How this was checked",
    score="{score} of 100: the share of all that was looked at that holds",
    held="{held} of {of}",
    quotes="Quotes, word for word and to the second",
    sentences="Sentences, against what was said",
    numbers="Numbers",
    names="Names",
    nothing_found="Nothing was found wrong.",
    finding="{kind}, {became}: ",
    dropped="left out",
    marked="marked",
    only_by_numbers="Article and talk are of different languages: sentences were compared by their numbers and names, not word by word.",
    transcript="Transcript",
    open_at="Watch at {time}",
    disclosure="This article was written by a language model ({model}) from a recording. Quotes and times were put in from the transcript, and everything was checked against it by a program; it can still be wrong. Times lead to the second of the recording that a sentence rests on.",
    disclosure_extractive="This article was put together by a program from sentences of a recording, as a machine heard them. No model wrote any of it, and nobody rephrased it. It can be wrong where the machine misheard. Times lead to the second of the recording.",
    doubtful="heard unclearly",
    unsure="not shown by the recording",
    kinds={
        "quote": "quote",
        "time": "time of a quote",
        "number": "number",
        "negation": "negation",
        "name": "name",
        "sense": "sense",
        "support": "support",
    },
    languages={"en": "English", "th": "Thai", "zh": "Chinese"},
)
_TH = Labels(
    key_points="ประเด็นสำคัญ",
    byline="เขียนโดยแบบจำลองภาษาจากบันทึก ตรวจสอบแล้ว {score} จาก 100",
    byline_extractive="เรียบเรียงจากประโยคของผู้พูดโดยโปรแกรม",
    contents="สารบัญ",
    sources="แหล่งที่มา",
    recording="บันทึกต้นฉบับ",
    length="ความยาว",
    spoken="ภาษาที่พูด",
    heard="บทถอดเสียงจากการรู้จำเสียงพูด",
    subtitles="บทถอดเสียงจากคำบรรยาย",
    coverage="ถอดเสียงพูดได้ {share}",
    spellings="คำที่ปรับตัวสะกดให้ตรงกัน",
    check="การตรวจสอบบทความนี้",
    score="{score} จาก 100 คือสัดส่วนของสิ่งที่ตรวจแล้วถูกต้อง",
    held="{held} จาก {of}",
    quotes="คำพูดอ้างอิง ตรงทุกคำและตรงวินาที",
    sentences="ประโยค เทียบกับสิ่งที่พูดจริง",
    numbers="ตัวเลข",
    names="ชื่อ",
    nothing_found="ไม่พบข้อผิดพลาด",
    finding="{kind} {became}: ",
    dropped="ตัดออก",
    marked="ทำเครื่องหมายไว้",
    only_by_numbers="บทความกับการบรรยายใช้คนละภาษา จึงเทียบประโยคด้วยตัวเลขและชื่อ ไม่ใช่คำต่อคำ",
    transcript="บทถอดเสียง",
    open_at="ดูที่ {time}",
    disclosure="บทความนี้เขียนโดยแบบจำลองภาษา ({model}) จากบันทึกเสียงหรือวิดีโอ คำพูดอ้างอิงและเวลานำมาจากบทถอดเสียงโดยตรง และโปรแกรมได้ตรวจทุกส่วนเทียบกับบทถอดเสียงแล้ว แต่ก็ยังผิดพลาดได้ เวลาที่กำกับไว้จะพาไปยังวินาทีที่ประโยคนั้นอ้างถึง",
    disclosure_extractive="โปรแกรมเรียบเรียงบทความนี้จากประโยคในบันทึกตามที่เครื่องได้ยิน ไม่มีแบบจำลองใดเขียนเนื้อหา และไม่มีการเรียบเรียงถ้อยคำใหม่ อาจผิดได้ในจุดที่เครื่องฟังผิด เวลาที่กำกับไว้จะพาไปยังวินาทีนั้นในบันทึก",
    doubtful="ได้ยินไม่ชัด",
    unsure="ไม่มีในบันทึก",
    kinds={
        "quote": "คำพูดอ้างอิง",
        "time": "เวลาของคำพูด",
        "number": "ตัวเลข",
        "negation": "การปฏิเสธ",
        "name": "ชื่อ",
        "sense": "ความหมาย",
        "support": "หลักฐานรองรับ",
    },
    languages={"en": "อังกฤษ", "th": "ไทย", "zh": "จีน"},
)
_ZH = Labels(
    key_points="要点",
    byline="由语言模型根据录音录像写成，核对得分 {score}（满分 100）",
    byline_extractive="由程序摘取讲话人的原句编排而成",
    contents="目录",
    sources="来源",
    recording="录音录像",
    length="时长",
    spoken="讲话语言",
    heard="文字稿由语音识别生成",
    subtitles="文字稿取自字幕",
    coverage="语音的 {share} 有文字",
    spellings="统一过的写法",
    check="本文如何核对",
    score="{score} 分（满分 100）：核对过的内容中成立的比例",
    held="{of} 处中 {held} 处成立",
    quotes="引语，逐字逐秒核对",
    sentences="句子，与原话比对",
    numbers="数字",
    names="名称",
    nothing_found="没有发现错误。",
    finding="{kind}，{became}：",
    dropped="已删去",
    marked="已标出",
    only_by_numbers="文章与讲话语言不同：句子按数字和名称比对，没有逐字比对。",
    transcript="文字稿",
    open_at="从 {time} 观看",
    disclosure="本文由语言模型（{model}）根据录音录像写成。引语和时间直接取自文字稿，全文由程序与文字稿核对过，但仍可能有误。句后的时间指向录音录像中该句所依据的那一秒。",
    disclosure_extractive="本文由程序从录音录像中摘取原句编排而成，句子是机器听到的样子，没有任何模型写作或改写。机器听错之处可能有误。句后的时间指向录音录像中的那一秒。",
    doubtful="听不清",
    unsure="录音录像中没有依据",
    kinds={
        "quote": "引语",
        "time": "引语时间",
        "number": "数字",
        "negation": "否定",
        "name": "名称",
        "sense": "意思",
        "support": "依据",
    },
    languages={"en": "英语", "th": "泰语", "zh": "中文"},
)


def labels(language: str) -> Labels:
    """Those of a language; of one that has none, the English ones."""
    return {"th": _TH, "zh": _ZH}.get(language, _EN)
