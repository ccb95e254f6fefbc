"""Sentences whose words were said and whose sense is another: conditions, other people's claims, questions and denied
reasons told as facts; roles, numbers and comparisons exchanged; words and deeds laid to the wrong person. With true
sentences beside them, from talks that were made up for this. The rules were mended with the first set; the second was
written before they met it.
"""

from article_talks import Language

FARM = """My name is Clara Weiss and I grow potatoes near Cusco.
If it rains in May, the whole harvest rots in the ground.
My neighbour Pablo Quispe says that the soil is poisoned.
In the contest of 2019, Chinchero beat Ollantaytambo by 40 sacks.
I planted 300 varieties on two hectares, and 12 farmers copied me.
People say that blue potatoes cause headaches, but nobody has ever measured it.
We replaced the pesticides with beetles.
We do not know whether the beetles survive the winter.
A hectare of potatoes needs more water than a hectare of quinoa.
The bank will lend us the money unless the price of a sack falls below $9.
I thought the frost would kill half of the plants.
Pablo sold me his tractor in 2021.
The harvest did not fail because of the frost, it failed because the seed was old.
According to the ministry, yields will double within five years.
As long as the spring runs, every family gets forty litres a day.
My doctor told me that I should rest in the city, and I went back to the field."""
PADDY = """ผมชื่อ สมศักดิ์ มีชัย เป็นชาวนาที่จังหวัดสุรินทร์
ถ้าฝนไม่ตกในเดือนสิงหาคม ข้าวจะตายทั้งนา
เพื่อนบ้านบอกว่าน้ำในคลองมีพิษ
ปีที่แล้วทีมสุรินทร์ชนะทีมบุรีรัมย์ในการแข่งควาย
หลายคนเชื่อว่าข้าวสีม่วงรักษาโรคเบาหวาน แต่ไม่เคยมีใครพิสูจน์
เราไม่รู้ว่าเป็ดจะกินหอยเชอรี่หมดหรือไม่
ข้าวหอมมะลิราคาสูงกว่าข้าวเหนียว
ธนาคารจะให้ชาวนากู้เงินต่อเมื่อมีโฉนดที่ดิน"""
COFFEE = """我叫赵敏，在云南种咖啡。
如果四月不下雨，咖啡花就会全部落掉。
邻居告诉我，那口井的水有毒。
去年保山队战胜了普洱队。
很多人认为咖啡会伤害心脏，可是没有人证明过。
我们不知道这种树能否活过冬天。
阿拉比卡的价格比罗布斯塔高。
只有拿到合作社的证明，银行才会借钱给农户。
我以为霜冻会毁掉一半的树苗。"""
FIRST: dict[Language, str] = {"en": FARM, "th": PADDY, "zh": COFFEE}

FALSE: list[tuple[Language, int, str]] = [
    ("en", 1, "The whole harvest rots in the ground."),
    ("en", 3, "Ollantaytambo beat Chinchero by 40 sacks."),
    ("en", 3, "Chinchero was beaten by Ollantaytambo in the contest of 2019."),
    ("en", 4, "Clara Weiss planted 12 varieties, and 300 farmers copied her."),
    ("en", 4, "Pablo Quispe planted 300 varieties on two hectares."),
    ("en", 5, "Blue potatoes cause headaches."),
    ("en", 5, "Pablo Quispe says that blue potatoes cause headaches."),
    ("en", 6, "They replaced the beetles with pesticides."),
    ("en", 7, "The beetles survive the winter."),
    ("en", 8, "A hectare of quinoa needs more water than a hectare of potatoes."),
    ("en", 8, "A hectare of potatoes needs less water than a hectare of quinoa."),
    ("en", 9, "The bank will lend them the money."),
    ("en", 10, "The frost killed half of the plants."),
    ("en", 11, "Clara Weiss sold Pablo his tractor in 2021."),
    ("en", 12, "The harvest failed because of the frost."),
    ("en", 14, "Every family gets forty litres a day."),
    ("en", 15, "Pablo Quispe told her that she should rest in the city."),
    ("th", 1, "ข้าวตายทั้งนา"),
    ("th", 3, "ปีที่แล้วทีมบุรีรัมย์ชนะทีมสุรินทร์ในการแข่งควาย"),
    ("th", 4, "ข้าวสีม่วงรักษาโรคเบาหวาน"),
    ("th", 5, "เป็ดกินหอยเชอรี่หมด"),
    ("th", 6, "ข้าวเหนียวราคาสูงกว่าข้าวหอมมะลิ"),
    ("th", 7, "ธนาคารจะให้ชาวนากู้เงิน"),
    ("zh", 1, "咖啡花全部落掉了。"),
    ("zh", 3, "去年普洱队战胜了保山队。"),
    ("zh", 4, "咖啡会伤害心脏。"),
    ("zh", 5, "这种树能活过冬天。"),
    ("zh", 6, "罗布斯塔的价格比阿拉比卡高。"),
    ("zh", 7, "银行会借钱给农户。"),
    ("zh", 8, "霜冻毁掉了一半的树苗。"),
]
# What a known person said, told as a fact: marked, not dropped.
MARKED: list[tuple[Language, int, str]] = [
    ("en", 2, "The soil is poisoned."),
    ("en", 13, "Yields will double within five years."),
    ("th", 2, "น้ำในคลองมีพิษ"),
    ("zh", 2, "那口井的水有毒。"),
]
TRUE: list[tuple[Language, int, str]] = [
    ("en", 0, "Clara Weiss grows potatoes near Cusco."),
    ("en", 1, "If it rains in May, the harvest rots."),
    ("en", 1, "Rain in May makes the whole harvest rot in the ground."),
    ("en", 1, "The whole harvest rots in the ground when May is wet."),
    ("en", 2, "Her neighbour Pablo Quispe believes that the soil is poisoned."),
    ("en", 2, "Quispe, her neighbour, says the soil is poisoned."),
    ("en", 3, "Chinchero beat Ollantaytambo by 40 sacks in 2019."),
    ("en", 3, "Ollantaytambo was beaten by Chinchero."),
    ("en", 4, "She planted 300 varieties on two hectares; 12 farmers copied her."),
    ("en", 4, "Twelve farmers copied Clara Weiss, who had planted 300 varieties."),
    ("en", 4, "Weiss planted 300 varieties on two hectares."),
    ("en", 5, "Some people say that blue potatoes cause headaches."),
    ("en", 5, "That blue potatoes cause headaches is a rumour nobody has ever measured."),
    ("en", 6, "Beetles replaced the pesticides."),
    ("en", 6, "The pesticides were replaced with beetles."),
    ("en", 7, "Whether the beetles survive the winter is unknown."),
    ("en", 7, "Nobody knows yet if the beetles will survive the winter."),
    ("en", 8, "A hectare of quinoa needs less water than a hectare of potatoes."),
    ("en", 8, "Potatoes need more water per hectare than quinoa."),
    ("en", 9, "The bank will lend them the money unless a sack falls below $9."),
    ("en", 10, "She feared that the frost would kill half of the plants."),
    ("en", 11, "Pablo sold her his tractor in 2021."),
    ("en", 11, "In 2021 Pablo sold Weiss his tractor."),
    ("en", 12, "The harvest failed because the seed was old, not because of the frost."),
    ("en", 12, "The seed was old, and so the harvest failed."),
    ("en", 13, "The ministry expects yields to double within five years."),
    ("en", 14, "While the spring runs, each family gets 40 litres a day."),
    ("en", 15, "Her doctor told her that she should rest in the city."),
    ("en", 15, "She went back to the field although her doctor wanted her to rest."),
    ("th", 1, "ถ้าฝนไม่ตกในเดือนสิงหาคม ข้าวจะตายทั้งนา"),
    ("th", 1, "เมื่อฝนไม่ตกในเดือนสิงหาคม ข้าวก็ตายทั้งนา"),
    ("th", 2, "เพื่อนบ้านของเขาบอกว่าน้ำในคลองมีพิษ"),
    ("th", 3, "ทีมสุรินทร์ชนะทีมบุรีรัมย์ในการแข่งควายปีที่แล้ว"),
    ("th", 3, "ทีมบุรีรัมย์แพ้ทีมสุรินทร์ในการแข่งควาย"),
    ("th", 4, "มีคนเชื่อว่าข้าวสีม่วงรักษาโรคเบาหวาน แต่ไม่เคยมีใครพิสูจน์"),
    ("th", 5, "ยังไม่รู้ว่าเป็ดจะกินหอยเชอรี่หมดหรือไม่"),
    ("th", 6, "ราคาข้าวหอมมะลิสูงกว่าข้าวเหนียว"),
    ("th", 6, "ข้าวเหนียวราคาต่ำกว่าข้าวหอมมะลิ"),
    ("th", 7, "ธนาคารจะให้ชาวนากู้เงินเมื่อมีโฉนดที่ดิน"),
    ("zh", 1, "如果四月不下雨，咖啡花就会全部落掉。"),
    ("zh", 1, "四月不下雨的话，咖啡花会全部落掉。"),
    ("zh", 2, "邻居说那口井的水有毒。"),
    ("zh", 3, "保山队去年战胜了普洱队。"),
    ("zh", 3, "普洱队去年被保山队战胜了。"),
    ("zh", 4, "很多人认为咖啡会伤害心脏，但没有人证明过。"),
    ("zh", 5, "这种树能否活过冬天，他们还不知道。"),
    ("zh", 6, "阿拉比卡比罗布斯塔价格高。"),
    ("zh", 7, "拿到合作社的证明以后，银行才会借钱给农户。"),
    ("zh", 8, "她曾以为霜冻会毁掉一半的树苗。"),
]

BRIDGE = """Good morning, I'm Tomas Lind, and I have inspected bridges for thirty-one years.
The Karlsund bridge will close if the third pillar sinks another 4 millimetres.
The contractor claims that the cracks are harmless.
Sensors found the rust before the divers did.
My colleague Greta Olsen welded the hinges in 1998.
Steel expands faster than concrete when it gets hot.
The mayor believes the repair costs 2 million euros.
We moved the traffic from the bridge to the tunnel.
I wonder whether the cables will hold until spring.
Unless the council pays, the ferry stops in October.
Last year 90 trucks crossed without a permit, and 6 drivers were fined.
I never said that the bridge is beautiful.
Olsen trained me, and later I trained her son.
Some engineers assumed that salt does not reach the bearings.
When the wind is stronger than 25 metres per second, we close the left lane.
The city bought the tunnel from the railway in 2007."""
BEES = """我叫周立新，养蜂养了十八年。
蜂王一旦死亡，整群蜜蜂会在三周内散掉。
镇长说新的公路明年通车。
意大利蜂赶走了中华蜂。
农药公司声称这种药对蜜蜂无害。
我想知道蜂群是否记得去年的花田。
油菜蜜比槐花蜜便宜。
除非气温超过十二度，工蜂不会出巢。
我把蜂箱从山谷搬到了高原。"""
BOATS = """ดิฉันชื่อ มาลี แสงทอง เป็นช่างต่อเรือที่ระนอง
หากไม้เปียกเกินไป เรือจะรั่วภายในหนึ่งปี
นายอำเภอเชื่อว่าท่าเรือใหม่จะสร้างงาน
เรือไม้แข็งแรงกว่าเรือไฟเบอร์
ชาวประมงขายปลาให้โรงงาน
ไม่มีใครรู้ว่าพายุจะมาถึงวันศุกร์หรือไม่
คนมักบอกว่าเรือสีแดงนำโชคร้าย"""
SECOND: dict[Language, str] = {"en": BRIDGE, "th": BOATS, "zh": BEES}
FRESH_FALSE: list[tuple[Language, int, str]] = [
    ("en", 1, "The Karlsund bridge will close."),
    ("en", 2, "The cracks are harmless."),
    ("en", 3, "Divers found the rust before the sensors did."),
    ("en", 4, "Tomas Lind welded the hinges in 1998."),
    ("en", 5, "Concrete expands faster than steel when it gets hot."),
    ("en", 6, "The repair costs 2 million euros."),
    ("en", 7, "They moved the traffic from the tunnel to the bridge."),
    ("en", 8, "The cables will hold until spring."),
    ("en", 9, "The ferry stops in October."),
    ("en", 10, "Last year 6 trucks crossed without a permit, and 90 drivers were fined."),
    ("en", 11, "Lind says that the bridge is beautiful."),
    ("en", 12, "Lind trained Olsen."),
    ("en", 13, "Salt does not reach the bearings."),
    ("en", 15, "The railway bought the tunnel from the city in 2007."),
    ("zh", 1, "整群蜜蜂会在三周内散掉。"),
    ("zh", 3, "中华蜂赶走了意大利蜂。"),
    ("zh", 4, "这种药对蜜蜂无害。"),
    ("zh", 5, "蜂群记得去年的花田。"),
    ("zh", 6, "槐花蜜比油菜蜜便宜。"),
    ("zh", 7, "工蜂不会出巢。"),
    ("zh", 8, "他把蜂箱从高原搬到了山谷。"),
    ("th", 1, "เรือจะรั่วภายในหนึ่งปี"),
    ("th", 2, "ท่าเรือใหม่จะสร้างงาน"),
    ("th", 3, "เรือไฟเบอร์แข็งแรงกว่าเรือไม้"),
    ("th", 4, "โรงงานขายปลาให้ชาวประมง"),
    ("th", 5, "พายุจะมาถึงวันศุกร์"),
    ("th", 6, "เรือสีแดงนำโชคร้าย"),
]
FRESH_TRUE: list[tuple[Language, int, str]] = [
    ("en", 0, "Tomas Lind has inspected bridges for 31 years."),
    ("en", 1, "Another 4 millimetres under the third pillar, and the Karlsund bridge will close."),
    ("en", 1, "If its third pillar sinks 4 millimetres more, the bridge will close."),
    ("en", 2, "The cracks are harmless, the contractor claims."),
    ("en", 2, "In the contractor's view the cracks are harmless."),
    ("en", 3, "The rust was found by sensors before the divers found it."),
    ("en", 3, "Sensors found the rust first."),
    ("en", 4, "Greta Olsen welded the hinges in 1998."),
    ("en", 4, "The hinges were welded by Greta Olsen in 1998."),
    ("en", 5, "Hot steel expands faster than concrete."),
    ("en", 5, "Concrete expands slower than steel."),
    ("en", 6, "The mayor puts the cost of the repair at 2 million euros."),
    ("en", 6, "The repair, the mayor believes, costs 2 million euros."),
    ("en", 7, "The traffic was moved from the bridge to the tunnel."),
    ("en", 7, "The tunnel took over the traffic of the bridge."),
    ("en", 8, "Lind is not sure that the cables will hold until spring."),
    ("en", 9, "The ferry stops in October unless the council pays."),
    ("en", 9, "Without money from the council, the ferry stops in October."),
    ("en", 10, "Ninety trucks crossed without a permit last year; six drivers were fined."),
    ("en", 11, "Lind never said that the bridge is beautiful."),
    ("en", 12, "Olsen trained Lind, who later trained her son."),
    ("en", 13, "Engineers once assumed that salt does not reach the bearings."),
    ("en", 14, "In winds above 25 metres per second they close the left lane."),
    ("en", 15, "The city bought the tunnel from the railway in 2007."),
    ("en", 15, "In 2007 the railway sold the tunnel to the city."),
    ("zh", 0, "周立新养蜂已有18年。"),
    ("zh", 1, "蜂王死后，整群蜜蜂会在三周内散掉。"),
    ("zh", 2, "镇长说，新的公路明年通车。"),
    ("zh", 3, "中华蜂被意大利蜂赶走了。"),
    ("zh", 4, "据农药公司的说法，这种药对蜜蜂无害。"),
    ("zh", 5, "他想知道，蜂群是否记得去年的花田。"),
    ("zh", 6, "油菜蜜的价格比槐花蜜便宜。"),
    ("zh", 7, "气温不超过十二度，工蜂不会出巢。"),
    ("zh", 8, "蜂箱从山谷搬到了高原。"),
    ("th", 0, "มาลี แสงทอง เป็นช่างต่อเรือที่ระนอง"),
    ("th", 1, "ไม้ที่เปียกเกินไปทำให้เรือรั่วภายในหนึ่งปี"),
    ("th", 2, "นายอำเภอเชื่อว่าท่าเรือใหม่จะสร้างงาน"),
    ("th", 3, "เรือไฟเบอร์แข็งแรงน้อยกว่าเรือไม้"),
    ("th", 4, "โรงงานซื้อปลาจากชาวประมง"),
    ("th", 5, "ยังไม่มีใครรู้ว่าพายุจะมาถึงวันศุกร์หรือไม่"),
    ("th", 6, "มีความเชื่อว่าเรือสีแดงนำโชคร้าย"),
]
# What is not seen: "when" is mostly a time and no condition.
MISSED: list[tuple[Language, int, str]] = [("en", 14, "They close the left lane.")]
