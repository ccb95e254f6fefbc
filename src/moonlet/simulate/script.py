"""Chinese text in traditional and in simplified characters: those that the wordings use."""

import re

SIMPLIFIED = (
    "万与专业东丢两个为丽举么义乌乐习书买于云亚产亩亲从仑仪们价优会伞伟传伦体余储儿兑兰关养内冈写冲况冻净准凉减几击划刘刚创删别剧办动势医华单卖卢卧卫厅历压厌厕厘厦厨参双发变号后吗吨听启吴员周响喽团园围国图"
    "圆圣场坏块垦垫声壳壶处备复够头奖奥妈孙学宁宝宠审对导将尔层屉岛币师帐帘带帮干广庆库应开张弹强当录彻态总恋恒悦愿懒户扫扰抛抢护报拨挂损换据掷搅摄撑数无旧时显晒术机条来杨杰柜标样梦检楼槟欢欧毕气汇汉汤没洁"
    "浇测济浏涂涨温游湿满滨灭灯灵炉炖点烂烦烧热爱爷状猫现电画盐盘着矶码确礼离积笔筝签简篮粮系紧红约纪纳纸纽线练绍经绒结给络绝统绩续绳维绿编缴网罗联胀脑腾节苏苹荐药莲营萨蓝装见视览觉计订认讨让训议讯记讲许论"
    "设证评诉诊词译试诗话诞询该语误说诶请读课谁调谈谜谢谱负账货质购贵费赎赛赢赵赶踪车转轮轻载较输边达过迈运还这进远连迟适选递邮邻郑酱释里针钟钢钥钱铁铃铢银销锁锅错锡键镑镜长门闭问闲间闷闹闻阁队阳阴阵陆陈险"
    "随难雾静韩顷项顺须顾顿颁预频题颜额风飞饭饮饿馆马验骑鱼鲁鸡黄齐龙"
)
TRADITIONAL = (
    "萬與專業東丟兩個為麗舉麼義烏樂習書買於雲亞產畝親從侖儀們價優會傘偉傳倫體餘儲兒兌蘭關養內岡寫衝況凍淨準涼減幾擊劃劉剛創刪別劇辦動勢醫華單賣盧臥衛廳歷壓厭廁釐廈廚參雙發變號後嗎噸聽啟吳員週響嘍團園圍國圖"
    "圓聖場壞塊墾墊聲殼壺處備復夠頭獎奧媽孫學寧寶寵審對導將爾層屜島幣師帳簾帶幫乾廣慶庫應開張彈強當錄徹態總戀恆悅願懶戶掃擾拋搶護報撥掛損換據擲攪攝撐數無舊時顯曬術機條來楊傑櫃標樣夢檢樓檳歡歐畢氣匯漢湯沒潔"
    "澆測濟瀏塗漲溫遊溼滿濱滅燈靈爐燉點爛煩燒熱愛爺狀貓現電畫鹽盤著磯碼確禮離積筆箏簽簡籃糧繫緊紅約紀納紙紐線練紹經絨結給絡絕統績續繩維綠編繳網羅聯脹腦騰節蘇蘋薦藥蓮營薩藍裝見視覽覺計訂認討讓訓議訊記講許論"
    "設證評訴診詞譯試詩話誕詢該語誤說誒請讀課誰調談謎謝譜負賬貨質購貴費贖賽贏趙趕蹤車轉輪輕載較輸邊達過邁運還這進遠連遲適選遞郵鄰鄭醬釋裡針鐘鋼鑰錢鐵鈴銖銀銷鎖鍋錯錫鍵鎊鏡長門閉問閒間悶鬧聞閣隊陽陰陣陸陳險"
    "隨難霧靜韓頃項順須顧頓頒預頻題顏額風飛飯飲餓館馬驗騎魚魯雞黃齊龍"
)
# Where one simplified character stands for two traditional ones, the words with the rarer one.
PHRASES = {
    "公里": "公里", "英里": "英里", "千里": "千里", "理发": "理髮", "剪头发": "剪頭髮", "面包": "麵包", "煮面": "煮麵", "拉面": "拉麵", "泡面": "泡麵",
    "日历": "日曆", "复习": "複習", "关系": "關係", "干净": "乾淨", "干嘛": "幹嘛", "干什么": "幹什麼", "干些": "幹些",
    "手表": "手錶", "我的表": "我的錶", "联系": "聯繫", "周杰": "周杰", "老周": "老周", "周经理": "周經理",
}  # fmt: skip
TO_TRADITIONAL = str.maketrans(SIMPLIFIED, TRADITIONAL)
TO_SIMPLIFIED = str.maketrans(TRADITIONAL + "裏臺聯係麵髮曆複錶幹鍾檯", SIMPLIFIED + "里台联系面发历复表干钟台")
LONGEST_FIRST = re.compile("|".join(sorted(PHRASES, key=len, reverse=True)))


def traditional(text: str) -> str:
    """The text in traditional characters, of one length with it."""
    parts = LONGEST_FIRST.split(text)
    found = [PHRASES[phrase] for phrase in LONGEST_FIRST.findall(text)] + [""]
    return "".join(part.translate(TO_TRADITIONAL) + phrase for part, phrase in zip(parts, found))


def simplified(text: str) -> str:
    """The text in simplified characters."""
    return text if text.isascii() else text.translate(TO_SIMPLIFIED)
