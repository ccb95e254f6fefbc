"""Chinese and Thai names of what the world holds, beside the English ones: its rooms, the things in its shop, parents."""

ROOM_NAMES = {
    other: room
    for room, others in {
        "living room": "lounge 客厅 大厅 ห้องนั่งเล่น ห้องรับแขก",
        "hallway": "hall 走廊 过道 玄关 โถงทางเดิน ทางเดิน โถง",
        "office": "study 书房 办公室 工作室 ห้องทำงาน ออฟฟิศ",
        "bathroom": "bath 浴室 洗手间 卫生间 厕所 ห้องน้ำ ห้องอาบน้ำ",
        "kitchen": "厨房 ห้องครัว ครัว",
        "bedroom": "卧室 主卧 睡房 ห้องนอน ห้องนอนใหญ่",
        "garage": "车库 โรงรถ โรงจอดรถ",
        "all": "all 所有 全部 ทั้งหมด ทุกห้อง",
    }.items()
    for other in others.split()
}
ITEM_NAMES = {
    other: item
    for item, others in {
        "headphones": "耳机 หูฟัง", "running shoes": "跑鞋 跑步鞋 รองเท้าวิ่ง", "coffee maker": "咖啡机 เครื่องชงกาแฟ",
        "desk lamp": "台灯 โคมไฟ โคมไฟตั้งโต๊ะ", "winter jacket": "羽绒服 冬装外套 เสื้อกันหนาว แจ็คเก็ต",
        "phone case": "手机壳 เคสมือถือ เคสโทรศัพท์", "keyboard": "键盘 คีย์บอร์ด",
        "backpack": "背包 双肩包 กระเป๋าเป้ เป้", "blender": "搅拌机 榨汁机 เครื่องปั่น", "yoga mat": "瑜伽垫 เสื่อโยคะ",
        "water bottle": "水杯 水壶 ขวดน้ำ กระบอกน้ำ", "office chair": "办公椅 椅子 เก้าอี้ทำงาน เก้าอี้",
        "novel": "小说 นิยาย", "monitor": "显示器 屏幕 จอมอนิเตอร์ จอคอม", "tent": "帐篷 เต็นท์",
        "toaster": "烤面包机 เครื่องปิ้งขนมปัง", "sweater": "毛衣 เสื้อไหมพรม สเวตเตอร์", "board game": "桌游 บอร์ดเกม",
        "watch": "手表 นาฬิกา นาฬิกาข้อมือ", "sunglasses": "墨镜 太阳镜 แว่นกันแดด",
    }.items()
    for other in others.split()
}  # fmt: skip
PARENTS = {
    other: parent
    for parent, others in {
        "mum": "mom mother 妈妈 老妈 妈 แม่ คุณแม่",
        "dad": "father 爸爸 老爸 爸 พ่อ คุณพ่อ",
    }.items()
    for other in others.split()
}
