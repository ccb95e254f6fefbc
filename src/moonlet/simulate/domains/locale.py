"""Names and words of the worlds in English, Thai and Chinese. They are lists of our own and not a generator's: a recorded
trajectory has to find the same world again, whatever is installed by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Language = Literal["en", "th", "zh"]
LANGUAGES: Sequence[Language] = ("en", "th", "zh")

# Pool -> entries for English, Thai and Chinese worlds, separated by commas.
POOLS: Mapping[str, tuple[str, str, str]] = {
    "people": (
        "Emma Clark,Liam Baker,Olivia Reed,Noah Price,Ava Hughes,Lucas Ward,Mia Foster,Ethan Cole,Grace Porter,Jack Lowe,Nora Quinn,Owen Shaw",
        "สมชาย ใจดี,สมหญิง แสงทอง,อนันต์ ศรีสุข,วิภา ทองดี,ธนกร วงศ์ไทย,ปิยะ สุขใจ,มาลี รักษ์ดี,กมล พงษ์ดี,นภา สายทอง,ชัยวัฒน์ บุญมา,ดวงใจ มีสุข,พิมพ์ วัฒนา",
        "王伟,李娜,张敏,刘洋,陈静,杨帆,赵磊,黄丽,周杰,吴婷,徐明,孙悦",
    ),
    "cities": (
        "Oslo,Lisbon,Dublin,Vienna,Prague,Leeds,Boston,Denver,Seattle,Porto,Lyon,Ghent",
        "กรุงเทพ,เชียงใหม่,ภูเก็ต,ขอนแก่น,หาดใหญ่,อยุธยา,พัทยา,เชียงราย,อุดรธานี,ระยอง,สุราษฎร์ธานี,นครราชสีมา",
        "北京,上海,广州,深圳,成都,杭州,西安,南京,武汉,重庆,苏州,厦门",
    ),
    "skies": (
        "sunny,cloudy,light rain,heavy rain,foggy,thunderstorms",
        "แดดจัด,เมฆมาก,ฝนปรอย,ฝนตกหนัก,หมอก,พายุฝน",
        "晴,多云,小雨,大雨,有雾,雷阵雨",
    ),
    "events": (
        "dentist,team lunch,yoga class,haircut,budget review,piano lesson,car service,book club,job interview,football practice,parents evening,vet visit",
        "หมอฟัน,ประชุมทีม,คลาสโยคะ,ตัดผม,ทบทวนงบ,เรียนเปียโน,เช็ครถ,ชมรมหนังสือ,สัมภาษณ์งาน,ซ้อมบอล,ประชุมผู้ปกครอง,พาแมวหาหมอ",
        "看牙医,团队聚餐,瑜伽课,理发,预算评审,钢琴课,汽车保养,读书会,面试,足球训练,家长会,带猫看医生",
    ),
    "subjects": (
        "Quarterly report,Invoice for March,Holiday plans,Office party,Broken printer,New contract,Travel expenses,Lost keys,Meeting notes,Price offer",
        "รายงานไตรมาส,ใบแจ้งหนี้มีนาคม,แผนวันหยุด,งานเลี้ยงบริษัท,เครื่องพิมพ์เสีย,สัญญาใหม่,ค่าเดินทาง,กุญแจหาย,บันทึกการประชุม,ใบเสนอราคา",
        "季度报告,三月发票,假期计划,公司聚会,打印机坏了,新合同,差旅费,钥匙丢了,会议纪要,报价单",
    ),
    "messages": (
        "I will be ten minutes late,Please send me the figures,The keys are at reception,Thanks for your help yesterday,Can we meet next week,The parcel has arrived",
        "จะไปช้าสิบนาที,ช่วยส่งตัวเลขให้หน่อย,กุญแจอยู่ที่ประชาสัมพันธ์,ขอบคุณที่ช่วยเมื่อวาน,นัดเจอกันสัปดาห์หน้าได้ไหม,พัสดุมาถึงแล้ว",
        "我会晚到十分钟,请把数据发给我,钥匙在前台,谢谢你昨天的帮忙,下周能见面吗,包裹已经到了",
    ),
    "files": (
        "budget.xlsx,holiday.jpg,thesis.docx,logo.png,contract.pdf,recipes.txt,backup.zip,slides.pptx,invoice.pdf,notes.md,song.mp3,plan.docx",
        "งบประมาณ.xlsx,เที่ยวทะเล.jpg,วิทยานิพนธ์.docx,โลโก้.png,สัญญา.pdf,สูตรอาหาร.txt,สำรอง.zip,สไลด์.pptx,ใบเสร็จ.pdf,บันทึก.md,เพลง.mp3,แผนงาน.docx",
        "预算.xlsx,度假.jpg,论文.docx,标志.png,合同.pdf,菜谱.txt,备份.zip,幻灯片.pptx,发票.pdf,笔记.md,歌曲.mp3,计划.docx",
    ),
    "folders": (
        "Documents,Pictures,Archive,Projects,Shared,Desktop",
        "เอกสาร,รูปภาพ,คลังเก็บ,โครงการ,ที่แชร์,เดสก์ท็อป",
        "文档,图片,归档,项目,共享,桌面",
    ),
    "notes": (
        "shopping list,gift ideas,wifi password,reading list,packing list,garden jobs,car papers,film tips,bike lock code,birthday plan",
        "รายการซื้อของ,ไอเดียของขวัญ,รหัสไวไฟ,หนังสือน่าอ่าน,ของที่ต้องแพ็ก,งานสวน,เอกสารรถ,หนังน่าดู,รหัสล็อกจักรยาน,แผนวันเกิด",
        "购物清单,礼物想法,无线密码,书单,行李清单,花园活儿,车辆文件,电影推荐,车锁密码,生日计划",
    ),
    "lines": (
        "milk and eggs,ask Nora first,top drawer on the left,before the end of May,two tickets are enough,blue is better than green",
        "นมกับไข่,ถามน้องก่อน,ลิ้นชักบนซ้าย,ก่อนสิ้นเดือนพฤษภาคม,ตั๋วสองใบพอ,สีฟ้าดีกว่าสีเขียว",
        "牛奶和鸡蛋,先问一下妹妹,左边最上面的抽屉,五月底之前,两张票就够,蓝色比绿色好",
    ),
    "products": (
        "headphones,desk lamp,running shoes,keyboard,backpack,blender,yoga mat,office chair,monitor,tent,toaster,rain jacket",
        "หูฟัง,โคมไฟตั้งโต๊ะ,รองเท้าวิ่ง,คีย์บอร์ด,กระเป๋าเป้,เครื่องปั่น,เสื่อโยคะ,เก้าอี้ทำงาน,จอคอม,เต็นท์,เครื่องปิ้งขนมปัง,เสื้อกันฝน",
        "耳机,台灯,跑鞋,键盘,背包,搅拌机,瑜伽垫,办公椅,显示器,帐篷,烤面包机,雨衣",
    ),
    "streets": (
        "12 Mill Lane,7 Harbour Road,45 Oak Street,3 Station Square,88 Hill View,21 Garden Row",
        "12 ถนนสุขุมวิท,7 ถนนพระราม 4,45 ซอยอารีย์,3 ถนนนิมมาน,88 ถนนสีลม,21 ถนนเจริญกรุง",
        "人民路12号,中山路7号,建国街45号,和平里3号,长安街88号,花园路21号",
    ),
    "accounts": (
        "savings account,everyday account,holiday fund,business account,house fund",
        "บัญชีออมทรัพย์,บัญชีรายวัน,กองทุนเที่ยว,บัญชีธุรกิจ,กองทุนบ้าน",
        "储蓄账户,日常账户,旅游基金,企业账户,购房基金",
    ),
    "payees": (
        "City Power,Green Water,North Gym,Blue Telecom,Corner Nursery,Metro Cards",
        "การไฟฟ้า,การประปา,ยิมเหนือ,ทรูบลู,เนอสเซอรี่มุม,บัตรเมโทร",
        "城市电力,绿水公司,北方健身,蓝色电信,街角幼儿园,地铁卡",
    ),
    "hotels": (
        "Harbour Inn,Grand Oak,Riverside Lodge,The Old Mill,Park Palace,Seaview",
        "โรงแรมริมน้ำ,แกรนด์ไทย,บ้านสวน,โรงแรมดอยงาม,พาเลซพาร์ค,ซีวิว",
        "江畔酒店,金橡大酒店,老磨坊客栈,公园宫酒店,海景宾馆,云山酒店",
    ),
    "restaurants": (
        "Blue Olive,Noodle House,La Piazza,Spice Garden,The Anchor,Green Fork,Sakura,Old Tavern",
        "ครัวบ้านยาย,ก๋วยเตี๋ยวเรือทอง,ส้มตำแซ่บ,ครัวทะเล,สเต็กลุงดำ,มังสวิรัติใบเขียว,ซากุระ,ข้าวต้มดึก",
        "老北京饭店,川味小馆,江南春,海鲜楼,绿叶素食,樱花寿司,面馆一号,火锅城",
    ),
    "cuisines": (
        "Italian,Thai,seafood,vegetarian,Japanese,Indian",
        "อีสาน,ซีฟู้ด,มังสวิรัติ,ญี่ปุ่น,อิตาเลียน,จีน",
        "川菜,粤菜,海鲜,素食,日料,火锅",
    ),
    "rooms": (
        "kitchen,bedroom,living room,bathroom,office,hallway,garage",
        "ครัว,ห้องนอน,ห้องนั่งเล่น,ห้องน้ำ,ห้องทำงาน,โถงทางเดิน,โรงรถ",
        "厨房,卧室,客厅,浴室,书房,走廊,车库",
    ),
    "songs": (
        "Silver Rain,Midnight Train,Paper Boats,Long Summer,Open Road,Little Star,Cold Coffee,Northern Lights",
        "ฝนสีเงิน,รถไฟเที่ยงคืน,เรือกระดาษ,ฤดูร้อนยาวนาน,ทางเปิด,ดาวดวงน้อย,กาแฟเย็น,แสงเหนือ",
        "银色的雨,午夜列车,纸船,漫长的夏天,开阔的路,小星星,冷咖啡,北极光",
    ),
    "playlists": (
        "Morning run,Dinner jazz,Focus,Road trip,Party,Sleep",
        "วิ่งตอนเช้า,แจ๊สมื้อเย็น,ตั้งใจทำงาน,ขับรถเที่ยว,ปาร์ตี้,ก่อนนอน",
        "晨跑,晚餐爵士,专注,自驾游,派对,睡前",
    ),
    "problems": (
        "screen flickers,cannot log in,wrong invoice,slow internet,app crashes,missing parcel,printer jam,no sound",
        "จอกะพริบ,เข้าสู่ระบบไม่ได้,บิลผิด,เน็ตช้า,แอปเด้ง,พัสดุหาย,กระดาษติด,ไม่มีเสียง",
        "屏幕闪烁,无法登录,发票有误,网速慢,应用闪退,包裹丢失,打印机卡纸,没有声音",
    ),
    "places": (
        "Central Station,City Museum,Botanic Garden,Town Hall,North Market,University,Harbour,Old Castle",
        "สถานีกลาง,พิพิธภัณฑ์เมือง,สวนพฤกษศาสตร์,ศาลากลาง,ตลาดเหนือ,มหาวิทยาลัย,ท่าเรือ,ปราสาทเก่า",
        "中央车站,市博物馆,植物园,市政厅,北市场,大学,港口,古堡",
    ),
    "teams": (
        "Sales,Design,Finance,Support,Research,Logistics",
        "ฝ่ายขาย,ฝ่ายออกแบบ,ฝ่ายการเงิน,ฝ่ายสนับสนุน,ฝ่ายวิจัย,ฝ่ายขนส่ง",
        "销售部,设计部,财务部,客服部,研发部,物流部",
    ),
    "jobs": (
        "accountant,designer,engineer,team lead,analyst,driver",
        "นักบัญชี,นักออกแบบ,วิศวกร,หัวหน้าทีม,นักวิเคราะห์,คนขับรถ",
        "会计,设计师,工程师,组长,分析师,司机",
    ),
    "parts": (
        "steel bolts,copper wire,paper rolls,glass jars,wooden pallets,paint cans,light bulbs,rubber seals",
        "น็อตเหล็ก,ลวดทองแดง,ม้วนกระดาษ,โหลแก้ว,พาเลทไม้,กระป๋องสี,หลอดไฟ,ซีลยาง",
        "钢螺栓,铜线,纸卷,玻璃罐,木托盘,油漆桶,灯泡,橡胶圈",
    ),
    "courses": (
        "Spanish for beginners,Linear algebra,Watercolour,Public speaking,Modern history,Cooking basics",
        "สเปนเบื้องต้น,พีชคณิตเชิงเส้น,สีน้ำ,การพูดในที่ชุมชน,ประวัติศาสตร์สมัยใหม่,ทำอาหารเบื้องต้น",
        "西班牙语入门,线性代数,水彩画,公众演讲,近代史,烹饪基础",
    ),
    "medicines": (
        "ibuprofen,vitamin D,cough syrup,allergy tablets,eye drops,iron tablets",
        "ไอบูโพรเฟน,วิตามินดี,ยาแก้ไอ,ยาแก้แพ้,ยาหยอดตา,ธาตุเหล็ก",
        "布洛芬,维生素D,止咳糖浆,抗过敏药,眼药水,铁片",
    ),
    "tasks": (
        "update the website,call the supplier,fix the login page,write the summary,order new badges,test the backup",
        "อัปเดตเว็บไซต์,โทรหาซัพพลายเออร์,แก้หน้าเข้าสู่ระบบ,เขียนสรุป,สั่งป้ายชื่อใหม่,ทดสอบสำรองข้อมูล",
        "更新网站,联系供应商,修复登录页,写总结,订购新工牌,测试备份",
    ),
}
ROMAN = dict(
    zip(
        [name for language in POOLS["people"] for name in language.split(",")],
        [
            "emma.clark",
            "liam.baker",
            "olivia.reed",
            "noah.price",
            "ava.hughes",
            "lucas.ward",
            "mia.foster",
            "ethan.cole",
            "grace.porter",
            "jack.lowe",
            "nora.quinn",
            "owen.shaw",
            "somchai.jaidee",
            "somying.saengthong",
            "anan.srisuk",
            "wipa.thongdee",
            "thanakorn.wongthai",
            "piya.sukjai",
            "malee.rakdee",
            "kamon.pongdee",
            "napa.saithong",
            "chaiwat.boonma",
            "duangjai.meesuk",
            "pim.wattana",
            "wang.wei",
            "li.na",
            "zhang.min",
            "liu.yang",
            "chen.jing",
            "yang.fan",
            "zhao.lei",
            "huang.li",
            "zhou.jie",
            "wu.ting",
            "xu.ming",
            "sun.yue",
        ],
    )
)
# Closed values as people say them: English, Thai, Chinese; further words after a comma are understood as well.
SAID: Mapping[str, tuple[str, str, str]] = {
    "processing": ("processing,being processed", "กำลังดำเนินการ", "处理中"), "shipped": ("shipped", "จัดส่งแล้ว,ส่งแล้ว", "已发货"),
    "delivered": ("delivered", "ส่งถึงแล้ว", "已送达"), "cancelled": ("cancelled,canceled", "ยกเลิกแล้ว,ยกเลิก", "已取消,取消"),
    "returned": ("returned", "คืนแล้ว,คืน", "已退货"), "open": ("open", "เปิดอยู่,เปิด", "未处理,打开"), "closed": ("closed", "ปิดแล้ว,ปิด", "已关闭,关闭"),
    "low": ("low", "ต่ำ", "低"), "normal": ("normal", "ปกติ", "普通"), "high": ("high", "สูง", "高"), "urgent": ("urgent", "ด่วน", "紧急"),
    "on": ("on", "เปิด", "开"), "off": ("off", "ปิด", "关"), "locked": ("locked", "ล็อก,ล็อค", "锁上,锁定"), "unlocked": ("unlocked", "ปลดล็อก,ปลดล็อค", "解锁"),
    "read": ("read", "อ่านแล้ว", "已读"), "unread": ("unread", "ยังไม่อ่าน", "未读"), "confirmed": ("confirmed", "ยืนยันแล้ว,ยืนยัน", "已确认"),
    "active": ("active", "ใช้งานอยู่", "有效"), "frozen": ("frozen", "ระงับ,อายัด", "冻结"), "pending": ("pending", "รอดำเนินการ", "待处理"),
    "paid": ("paid", "จ่ายแล้ว,ชำระแล้ว", "已付"), "economy": ("economy", "ชั้นประหยัด", "经济舱"), "business": ("business", "ชั้นธุรกิจ", "商务舱"),
    "private": ("private", "ส่วนตัว", "私密"), "public": ("public", "สาธารณะ", "公开"), "walk": ("on foot,walk", "เดิน", "步行"), "drive": ("by car,drive", "ขับรถ", "开车"),
    "cycle": ("by bike,cycle", "ปั่นจักรยาน", "骑车"), "morning": ("morning", "เช้า", "早上"), "noon": ("noon", "เที่ยง", "中午"), "evening": ("evening", "เย็น", "晚上"),
    "annual": ("annual", "ลาพักร้อน", "年假"), "sick": ("sick", "ลาป่วย", "病假"), "approved": ("approved", "อนุมัติแล้ว,อนุมัติ", "已批准,批准"),
    "enrolled": ("enrolled", "ลงทะเบียนแล้ว", "已报名"), "available": ("available", "ว่าง", "可用"), "todo": ("to do", "ต้องทำ", "待办"), "done": ("done", "เสร็จแล้ว", "完成"),
    "celsius": ("celsius", "เซลเซียส", "摄氏"), "fahrenheit": ("fahrenheit", "ฟาเรนไฮต์", "华氏"), "kg": ("kilograms,kg", "กิโลกรัม", "公斤"), "pounds": ("pounds", "ปอนด์", "磅"),
    "km": ("kilometres,km", "กิโลเมตร", "公里"), "miles": ("miles", "ไมล์", "英里"),
}  # fmt: skip
# What fields are called.
FIELDS: Mapping[str, tuple[str, str, str]] = {
    "status": ("status", "สถานะ", "状态"), "arrives": ("arrival date", "วันที่ถึง", "到货日期"), "address": ("address", "ที่อยู่", "地址"), "price": ("price", "ราคา", "价格"),
    "day": ("date", "วันที่", "日期"), "time": ("time", "เวลา", "时间"), "title": ("title", "ชื่อ", "标题"), "place": ("place", "สถานที่", "地点"), "item": ("item", "สินค้า", "商品"),
    "name": ("name", "ชื่อ", "名字"), "phone": ("phone number", "เบอร์โทร", "电话"), "email": ("email", "อีเมล", "邮箱"), "city": ("city", "เมือง", "城市"), "sky": ("sky", "ท้องฟ้า", "天气"),
    "high_c": ("high in °C", "อุณหภูมิสูงสุด", "最高温度"), "low_c": ("low in °C", "อุณหภูมิต่ำสุด", "最低温度"), "rain_percent": ("chance of rain", "โอกาสฝนตก", "降雨概率"), "wind_kmh": ("wind in km/h", "ความเร็วลม", "风速"),
    "subject": ("subject", "หัวเรื่อง", "主题"), "sender": ("sender", "ผู้ส่ง", "发件人"), "to": ("recipient", "ผู้รับ", "收件人"), "body": ("text", "ข้อความ", "正文"), "folder": ("folder", "โฟลเดอร์", "文件夹"), "size_kb": ("size in kB", "ขนาด", "大小"),
    "sharing": ("sharing", "การแชร์", "共享"), "text": ("text", "เนื้อหา", "内容"), "balance": ("balance", "ยอดเงิน", "余额"), "amount": ("amount", "จำนวนเงิน", "金额"), "payee": ("payee", "ผู้รับเงิน", "收款方"), "due": ("due date", "วันครบกำหนด", "到期日"),
    "start": ("origin", "ต้นทาง", "出发地"), "end": ("destination", "ปลายทาง", "目的地"), "seats": ("free seats", "ที่นั่งว่าง", "剩余座位"), "cabin": ("class", "ชั้นโดยสาร", "舱位"), "nights": ("number of nights", "จำนวนคืน", "几晚"), "passenger": ("passenger", "ผู้โดยสาร", "乘客"),
    "cuisine": ("cuisine", "ประเภทอาหาร", "菜系"), "rating": ("rating", "คะแนน", "评分"), "guests": ("number of guests", "จำนวนคน", "人数"), "light": ("light", "ไฟ", "灯"), "degrees": ("temperature", "อุณหภูมิ", "温度"), "door": ("door", "ประตู", "门"), "brightness": ("brightness", "ความสว่าง", "亮度"),
    "artist": ("artist", "ศิลปิน", "歌手"), "minutes": ("length in minutes", "ความยาว (นาที)", "时长（分钟）"), "song": ("song", "เพลง", "歌曲"), "priority": ("priority", "ความสำคัญ", "优先级"), "problem": ("problem", "ปัญหา", "问题"), "agent": ("agent", "เจ้าหน้าที่", "负责人"), "comment": ("comment", "ความเห็น", "备注"),
    "opens": ("opening time", "เวลาเปิด", "开门时间"), "closes": ("closing time", "เวลาปิด", "关门时间"), "km": ("distance in km", "ระยะทาง", "距离"), "by": ("way of travel", "วิธีเดินทาง", "出行方式"), "team": ("team", "ทีม", "部门"), "job": ("job", "ตำแหน่ง", "职位"),
    "kind": ("kind", "ประเภท", "类型"), "days": ("number of days", "จำนวนวัน", "天数"), "stock": ("stock", "จำนวนในคลัง", "库存"), "quantity": ("quantity", "จำนวน", "数量"), "shelf": ("shelf", "ชั้นวาง", "货架"), "minimum": ("minimum stock", "จำนวนขั้นต่ำ", "最低库存"),
    "teacher": ("teacher", "ผู้สอน", "老师"), "places": ("free places", "ที่ว่าง", "名额"), "medicine": ("medicine", "ยา", "药"), "dose_mg": ("dose in mg", "ขนาดยา (มก.)", "剂量（毫克）"), "part": ("time of day", "ช่วงเวลา", "时段"), "doctor": ("doctor", "แพทย์", "医生"), "left": ("tablets left", "ยาที่เหลือ", "剩余片数"),
    "owner": ("person responsible", "ผู้รับผิดชอบ", "负责人"), "result": ("result", "ผลลัพธ์", "结果"), "value": ("value", "ค่า", "数值"), "percent": ("percentage", "เปอร์เซ็นต์", "百分比"), "bill": ("bill", "ยอดบิล", "账单"), "share": ("share of each", "คนละ", "每人"), "width": ("width", "ความกว้าง", "宽"), "height": ("height", "ความสูง", "高"),
    "area": ("area", "พื้นที่", "面积"), "people": ("number of people", "จำนวนคน", "人数"), "unit": ("unit", "หน่วย", "单位"), "target": ("target unit", "หน่วยปลายทาง", "目标单位"), "reason": ("reason", "เหตุผล", "原因"), "query": ("search words", "คำค้นหา", "搜索词"), "from": ("source", "ต้นทาง", "来源"),
}  # fmt: skip


def pool(name: str, language: Language) -> list[str]:
    """The entries of a pool."""
    return POOLS[name][LANGUAGES.index(language)].split(",")


def said(value: str, language: Language) -> list[str]:
    """How a closed value is said, the usual way first; the value itself if it has no words of its own."""
    return SAID[value][LANGUAGES.index(language)].split(",") if value in SAID else [value]


def field(name: str, language: Language) -> str:
    """What a field is called."""
    return FIELDS[name][LANGUAGES.index(language)] if name in FIELDS else name.replace("_", " ")


def roman(name: str) -> str:
    """A person's name in letters that an address can hold."""
    return ROMAN.get(name, name.lower().replace(" ", "."))
