"""Sums as people ask for them: in signs, in words, as a deed or as a story.

Each function returns the words in the request and the expression that they mean; what is said as a sum is copied.
"""

from random import Random

from moonlet.simulate.wording import compile_pattern, expand
from moonlet.simulate.world import World
from moonlet.tools.numbers import SMALL, TENS

STORIES = (  # #1 and #2 are the numbers, #3 a thing
    (
        "(i have|we have|there are) #1 #3 and (buy|get|find) #2 more(. |, )how many (do i have|are there|is that|now)",
        "#1 + #2",
    ),
    (
        "(i had|we had|there were) #1 #3 and (gave away|sold|lost|used|broke) #2(. |, )how many are (left|there now)",
        "#1 - #2",
    ),
    ("i (have|had|earn) #1 (euros|dollars|pounds) and (spend|pay|spent) #2(. |, )(how much|what) is left", "#1 - #2"),
    (
        "(i've got|i had|we've got|she has|we had|i start with) #1( quid| bucks| euros|) and "
        "(spend|pay|lose|give away|owe|need) #2(. |, )(what's left|how much is left|what remains|what do i have then)",
        "#1 - #2",
    ),
    (
        "(i've got|we've got|i have|he has|there's) #1( quid| bucks| euros|) and (get|earn|find|win|add) #2"
        "( more| on top|)(. |, )(what's the total|what do i have then|how much is that|what does that make)",
        "#1 + #2",
    ),
    (
        "(divide|share|split) #1 #3 (by|between|among|into) #2(. |, |... )"
        "(how many each|how many does everyone get|what do i get|how much is that)",
        "#1 / #2",
    ),
    (
        "#1 (euros|dollars|pounds) (for|between|split between|shared by|divided among) #2 people"
        "(. |, )(how much (each|per person|is that each)|what does each pay)",
        "#1 / #2",
    ),
    (
        "the (bill|dinner|taxi|rent|trip) (is|was|comes to) #1 and (we are|there are) #2( of us| people)"
        "(. |, )(how much each|what does everyone pay|how much per person|split it evenly)",
        "#1 / #2",
    ),
    (
        "#1 #3 (at|for) #2 (euros|dollars|pounds) each(. |, )(how much is that|what do i pay|what's the total)",
        "#1 * #2",
    ),
    (
        "i (buy|need|bought|ordered) #1 #3 at #2 (euros|dollars|pounds) (each|apiece|a piece)"
        "(. |, )(how much is that|what do i pay|what's the total)",
        "#1 * #2",
    ),
    ("(i work|we meet) #1 hours a month for #2 months(. |, )how many hours is that", "#1 * #2"),
    ("#1 #3 in boxes of #2(. |, )how many boxes( do i need|)", "#1 / #2"),
    (
        "(what do i pay with|what's the price after|how much is it after|how much do i pay with) #1% off #2",
        "#2 - #1% of #2",
    ),
    ("(what's|how much is|calculate) #1(%| percent) off #2", "#2 - #1% of #2"),
    (
        "#2 (euros|dollars|pounds) with (a |)#1% discount(. |, )(what do i pay|how much is it then|the final price)",
        "#2 - #1% of #2",
    ),
    (
        "it costs #2 (euros|dollars|pounds)( and i get|, minus) #1% off(. |, )(what do i pay|how much is that)",
        "#2 - #1% of #2",
    ),
    ("(what's|how much is) #2 plus (a |)#1% (tip|tax|vat)", "#2 + #1% of #2"),
    (
        "the bill is #2( euros| dollars|)(. |, )(what's the total|how much do i pay|total) with (a |)#1% tip",
        "#2 + #1% of #2",
    ),
    ("the bill is #2( euros| dollars|)(. |, )how much is (a |)#1% tip", "#1% of #2"),
    ("(what should i tip on|how much tip is) #2 at #1%", "#1% of #2"),
    (
        "(we had|there were) #1 (sheep|patients|pupils|guests) and #2 more (arrived|came in|turned up)"
        "(. |, )(what's the head count|how many in all|how many now)",
        "#1 + #2",
    ),
    (
        "#1 (points|coins|gems) from the boss and #2 from the chest"
        "(. |, )(what's my score|what's the total|how many have i got)",
        "#1 + #2",
    ),
    (
        "(i counted|we ordered|they delivered) #1 #3(. |, | but )#2 (are missing|got broken|were stolen)"
        "(. |, )(how many can i still use|how many do i have left|what's left)",
        "#1 - #2",
    ),
    (
        "the (plank|rope|pipe|cable) is #1 (cm|inches|feet) and i cut off #2"
        "(. |, )(how long is the rest|what's left|what remains)",
        "#1 - #2",
    ),
    (
        "the (plank|rope|pipe|cable) is #1 (cm|inches|feet) and has to be cut into #2 equal pieces"
        "(. |, )(how long is each|what length is each one)",
        "#1 / #2",
    ),
    (
        "#1 (tablets|drops|ml|doses) (for|over|spread over) #2 days"
        "(. |, )(how much a day|what's the daily dose|how much is that per day)",
        "#1 / #2",
    ),
    (
        "#1 (litres of milk|kilos of flour) (go|fit) into #2 (cans|tins|buckets)"
        "(. |, )(how much in each|what's in each one)",
        "#1 / #2",
    ),
    (
        "#1 nights at #2 (euros|dollars|pounds)( a night| each|)"
        "(. |, )(what will it cost|what's the bill|how much altogether)",
        "#1 * #2",
    ),
    (
        "(a box|a crate|a sack|one pack) (holds|has|weighs) #1 and (i need|we have|there are) #2 of them"
        "(. |, )(what's the total|how much is that|how many is that)",
        "#1 * #2",
    ),
    (
        "i (save|spend|earn|make) #1 (euros|dollars|pounds) a day"
        "(. |, )(what's that|how much is that|what does it come to) (in|after|over) #2 days",
        "#1 * #2",
    ),
    (
        "(my rent|our fee|the price|my wage) (is|was) #2 and (goes|went) up by #1(%| percent)"
        "(. |, )(what's the new figure|how much is it then)",
        "#2 + #1% of #2",
    ),
    (
        "(my rent|our fee|the price|my wage) (is|was) #2 and (goes|went) down by #1(%| percent)"
        "(. |, )(what's the new figure|how much is it then)",
        "#2 - #1% of #2",
    ),
    (
        "(we raised|i made|the stall took) #2 (euros|dollars|pounds)( and|,) #1(%| percent) "
        "(goes to charity|is tax|is mine|goes to the school)(. |, )how much is that",
        "#1% of #2",
    ),
    (
        "#1(%| percent) of the #2 (pupils|voters|eggs|patients|plants) (were|are) (missing|bad|late|red)"
        "(. |, )how many is that",
        "#1% of #2",
    ),
)


def in_words(number: int) -> str:
    """A number below 100 in words: "seven", "twenty one"."""
    if number < len(SMALL):
        return SMALL[number]
    return TENS[number // 10 - 2] + (f" {SMALL[number % 10]}" if number % 10 else "")


def same(text: str) -> tuple[str, str]:
    """Words that stand for themselves."""
    return text, text


def expression(rng: Random, world: World | None = None) -> tuple[str, str]:
    a, b, c = rng.randrange(2, 200), rng.randrange(2, 100), rng.randrange(2, 20)
    x, y = round(rng.uniform(1, 100), 1), round(rng.uniform(1, 100), 2)
    big = rng.randrange(1000, 99_999)
    sign = rng.choice(
        ("+", "-", "*", "/", "x", "×", "÷", "plus", "minus", "times", "divided by", "+", "*", "multiplied by")
    )
    other = rng.choice(("+", "-", "*", "/"))
    tight = rng.choice(("", " "))
    plain = f"{a}{tight}{sign}{tight}{b}" if not sign.isalpha() or len(sign) == 1 else f"{a} {sign} {b}"
    if sign in ("divided by", "multiplied by"):
        plain = f"{a} {sign} {b}"
    if rng.random() < 0.12:
        name = rng.choice(("plus", "minus", "times", "divided by", "times", "plus", "multiplied by"))
        return same(rng.choice((f"{in_words(a % 100)} {name} {in_words(b)}", f"{in_words(c)} squared",
                                f"{in_words(c)} {name} {in_words(b % 10 + 1)}", f"half of {in_words(b)}",
                                f"{in_words(c)} percent of {b}")))  # fmt: skip
    return same(rng.choice((
        f"{a} {sign} {b} {other} {c}", f"√{c * c}", f"{c} to the power {rng.randrange(2, 9)}", f"{a} over {c}",
        f"{x}% of {big}", f"({a} {other} {b}) / {c}", f"{a} plus {b} plus {c}", f"{a} minus {b} minus {c}",
        f"{y} + {x} + {b}", f"square root of {c * c}", f"{a} + {b} + {c} + {c + 3}", f"-{c} {other} {b}",
        plain, plain, plain, plain, plain, f"{x} {sign} {y}", f"{big} {sign} {c}", f"({a} + {b}) {other} {c}",
        f"{a} {other} ({b} + {c})", f"{a} + {b} {other} {c}", f"{c}% of {a}", f"{b} percent of {big}", f"{b}% of {a}",
        f"the square root of {c * c}", f"sqrt({a})", f"{c}^{rng.randrange(2, 6)}", f"{c} squared", f"{c} cubed",
        f"{a}{other}{b}{other}{c}", f"{c} to the power of {rng.randrange(2, 9)}", f"{big:,} {sign} {b}",
        f"half of {a}", f"{x}{other}{c}", f"{b} * {b} * {b}", f"{c} times {a} plus {b}",
    )))  # fmt: skip


def spoken_sum(rng: Random, world: World | None = None) -> tuple[str, str]:
    """A sum told as a deed: the argument writes its numbers with a sign between them."""
    a, b = rng.choice((rng.randrange(2, 1000), round(rng.uniform(1, 300), 2))), rng.randrange(2, 60)
    words, sign, turned = rng.choice((
        ("multiply {} (by|with) {}", "*", False), ("divide {} by {}", "/", False), ("add {} (and|to) {}", "+", False),
        ("subtract {} from {}", "-", True), ("take {} (away from|off|from) {}", "-", True),
        ("times {} by {}", "*", False), ("sum up {} and {}", "+", False), ("add up {} and {}", "+", False),
        ("put {} and {} together", "+", False), ("add {} on top of {}", "+", False),
        ("reduce {} by {}", "-", False), ("lower {} by {}", "-", False), ("increase {} by {}", "+", False),
        ("knock {} off {}", "-", True), ("remove {} from {}", "-", True), ("raise {} by {}", "+", False),
        ("divide {} (among|between) {}( people| friends| kids|)", "/", False),
        ("split {} (between|among|over) {}", "/", False),
        ("split {} {} ways", "/", False), ("cut {} into {} (parts|equal parts|pieces)", "/", False),
        ("share {} (between|among) {}( people| friends| kids)", "/", False),
        ("split {} between {} people", "/", False),
        ("split {} by {}", "/", False), ("share {} among {} of us", "/", False), ("deduct {} from {}", "-", True),
    ))  # fmt: skip
    first, second = (b, a) if turned else (a, b)
    surface = expand(compile_pattern(words), rng).format(first, second)
    return surface, f"{a} {sign} {b}"


def share(rng: Random, world: World | None = None) -> tuple[str, str]:
    """A sum told as a thing: "the sum of 3 and 4", "a 15% tip on 60"."""
    if rng.random() < 0.4:
        a, b = rng.randrange(2, 1000), rng.randrange(2, 100)
        name, sign = rng.choice(
            (
                ("sum of", "+"),
                ("result of adding", "+"),
                ("result of multiplying", "*"),
                ("sum of", "+"),
                ("difference between", "-"),
                ("product of", "*"),
                ("quotient of", "/"),
                ("total of", "+"),
            )
        )
        return f"the {name} {a} and {b}", f"{a} {sign} {b}"
    part, whole = (
        rng.choice((5, 8, 10, 12, 15, 18, 20, 25, 30)),
        rng.choice((rng.randrange(10, 500), round(rng.uniform(5, 200), 2))),
    )
    surface = rng.choice(
        (
            "a {}% tip on {}",
            "{}% tip for {}",
            "{} percent tip on {}",
            "{}% tax on {}",
            "{}% interest on {}",
            "{}% of a bill of {}",
            "a tip of {}% on {}",
            "{}% commission on {}",
            "{}% VAT on {}",
            "a {} percent tip on a {} bill",
            "a {}% raise on {}",
            "a {}% discount on {}",
        )
    )
    return surface.format(part, whole), f"{part}% of {whole}"


def story(rng: Random, world: World | None = None) -> tuple[str, str]:
    """A sum told as something that happens, with its question; the numbers keep their order but for shares."""
    a, b = rng.randrange(20, 900), rng.randrange(2, 20)
    part, whole = rng.choice((5, 10, 12, 15, 18, 20, 25, 30, 40, 50)), rng.randrange(10, 900)
    words, sign = rng.choice(STORIES)
    first, second = (part, whole) if "%" in sign else (a, b)
    surface = expand(compile_pattern(words), rng)
    surface = surface.replace("#1", str(first)).replace("#2", str(second))
    noun = rng.choice(("apples", "books", "eggs", "stickers", "tickets", "chairs", "bottles", "shirts"))
    return surface.replace("#3", noun), sign.replace("#1", str(first)).replace("#2", str(second))
