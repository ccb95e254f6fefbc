"""Words that made-up requests, results and tools are filled with."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


FIRST_NAMES = words(
    "Anna Ben Carla David Emma Farid Grace Hugo Ines James Kim Lena Marco Nina Oscar Priya Quinn Rosa Sam Tara "
    "Umar Vera Will Yuki Zoe Tom Sarah Mike Julia Alex Maria Peter Laura Chen Mei Somchai Nok Anong Wei Lin"
)
MORE_NAMES = words(
    "Abdul Aditi Agnes Ahmed Aiko Alan Albert Alice Alina Amara Amir Amy Andre Angela Anja Antonio Aoife Arjun "
    "Astrid Bella Bianca Bjorn Boris Brigitte Bruno Camila Carlos Carmen Cecilia Chloe Claire Clara Connor Cora "
    "Dan Daniel Daria Dario Deepa Denise Dennis Derek Diego Dina Dmitri Dominic Dora Edith Eduardo Eleanor Elena "
    "Eli Elsa Emil Enzo Erik Esther Ethan Eva Fabian Fatima Felix Fiona Flora Francis Freya Gabriel Gemma George "
    "Gita Giulia Gloria Greta Gustav Hana Hannah Harry Hassan Heidi Helen Hiro Ian Ida Igor Imani Irene Iris "
    "Isabel Ivan Ivy Jack Jamal Jan Jana Jasmin Jens Jiho Joan Joe John Jonas Jorge Joy Jude Kai Kamal Karen Karl "
    "Kate Kenji Klaus Lars Layla Leo Liam Lily Linda Lola Louis Lucas Luca Lukas Luna Magda Malik Mara Marie Mark "
    "Marta Mateo Matt Max Maya Megan Mila Miriam Mona Nadine Naomi Nick Nikos Noah Nora Olga Olivia Otto Pablo "
    "Paul Pedro Pia Rafael Rahul Raj Rachel Rita Robert Roger Ruby Ruth Sakura Sandra Sasha Sean Selma Sergio "
    "Simon Sina Stella Stefan Steve Sunil Suda Susan Suzi Tanya Ted Theo Tina Tony Ulrich Ursula Valentina Vikas "
    "Viktor Violet Wanda Wassim William Xenia Yara Yusuf Zara Zainab"
)
# Of no demonstration world, so that names are copied and not known.
STRANGERS = words(
    "Abena Adaeze Adebayo Aidan Ailsa Akira Aleksandra Alejandro Alfie Alma Amina Amos Ananya Anders Anneke Annika "
    "Anton Anwar Archie Ariana Armando Arturo Asha Ashok Atsuko Aurelia Axel Ayesha Azadeh Babak Barnaby Bart Basil "
    "Bea Beatrice Beatriz Bente Bernadette Bernd Bettina Beverley Bhavna Bilal Bjarne Blessing Bo Bogdan Bonnie "
    "Brenda Brett Bryony Caleb Callum Candice Carys Caspar Celeste Chad Chandra Chiara Chidi Chinedu Christoph "
    "Cillian Clarence Claudia Clem Clive Colette Colm Constance Cormac Cosmo Craig Cynthia Dafydd Daisy Damian Dara "
    "Darren Deborah Declan Delia Demetrius Desmond Dev Dilip Dolores Donna Doris Dorothea Dov Duncan Ebba Efua Eilidh "
    "Einar Elio Elke Ella Ellie Elliot Eloise Elspeth Emeka Emre Enrique Erin Ernest Estelle Eugene Eunice Ewan Ezra "
    "Farah Faye Fergus Fern Fernando Finn Fleur Folasade Fran Fraser Frieda Gareth Gavin Geoff Georgia Gerald Gerda "
    "Gideon Gil Ginny Giorgos Giulia Glenn Goran Grant Greta Gudrun Guillermo Gunnar Gwen Hadley Haider Hamza Hanneke "
    "Harriet Hattie Hayley Heath Hedda Hei Heloise Hilary Hiroshi Holly Howard Hyacinth Ianthe Idris Ifeoma Ignacio "
    "Igor Ilaria Imani Imogen Ines Ingmar Iona Ishaan Ismail Ivo Ivy Jacinta Jago Jamal Janet Jarek Jas Jasmine "
    "Javier Jaya Jebediah Jed Jemima Jesper Jethro Jin Joaquin Jocelyn Jodie Joyce Juanita Jude Judith Jyoti Kaito "
    "Kamala Kareem Karthik Kasia Katarzyna Kay Keiko Keith Kelechi Kenji Kerstin Kieran Kirsten Klara Kofi Kwame Kyle "
    "Lachlan Laila Lakshmi Lamar Lars Latisha Laverne Leila Len Leonie Leroy Libby Lidia Lilian Lionel Liv Loretta "
    "Lorna Lotte Lourdes Lucas Ludmila Lynn Mabel Magnus Mairead Malik Mandy Manish Marcel Margaret Margit Marisol "
    "Marlon Matilda Maud Maureen Mehmet Mei Mel Mercy Merlin Mfon Mick Mikkel Milan Millie Mina Miriam Mohan Moira "
    "Monty Morag Morwenna Muriel Mustafa Myra Nadia Nam Nanette Naveen Neha Nell Nerys Neville Ngozi Nia Niall "
    "Nicolai Nikhil Nils Noor Norbert Nuala Obinna Odette Oisin Olaf Olive Olu Omari Ophelia Orla Osman Ottilie "
    "Padraig Paloma Parveen Pat Patrice Pearl Percy Perpetua Petra Phil Philippa Phoebe Piotr Poppy Pradeep Precious "
    "Prudence Quentin Quinn Rafa Raj Ramona Ranjit Rasmus Ravi Reggie Reinhard Renata Rhiannon Rhys Ricky Rita Roisin "
    "Roland Romilly Ronan Rosalind Roxanne Ruben Rufus Rukhsana Ruth Saanvi Sadie Sakura Samir Sandeep Saoirse Sasha "
    "Saul Seamus Selma Senthil Seren Shanice Shaun Sheila Shirin Shreya Sibusiso Sid Siegfried Sigrid Simone Sinead "
    "Siobhan Solveig Soren Spencer Stan Stella Stig Sunil Sunita Sven Svetlana Sylvie Tabitha Tadeusz Takeshi Tamsin "
    "Tanya Tariq Tasha Tatiana Ted Temi Terry Thabo Thandiwe Theresa Thora Tilda Tobias Tomasz Trevor Trudy Tunde "
    "Tyrone Ulla Una Ursula Uwe Vanessa Vera Vernon Vic Vihaan Violet Vivek Vladimir Wally Wanda Warren Wendell "
    "Wilhelm Winifred Winston Xavi Xiaoming Yan Yannick Yasmin Yewande Yolanda Yoshi Yuki Yusuf Yves Yvonne Zahra "
    "Zainab Zane Zelda Zhen Zofia Zoltan Zora Zuzana"
)
ANY_FIRST = FIRST_NAMES + MORE_NAMES + STRANGERS
LAST_NAMES = words(
    "Berg Costa Dubois Evans Fischer Garcia Hansen Ivanov Jones Khan Lopez Meyer Novak Okafor Patel Rossi Silva "
    "Tanaka Weber Young Zhang Suksai Wong Larsen Brown Martin Adams Ahmed Andersen Baker Bauer Becker Bianchi "
    "Carter Clark Cohen Cruz Davies Diaz Eriksson Ferrari Fernandez Flores Gomez Green Gupta Hall Haddad Hoffmann "
    "Hughes Jansen Johnson Kaya Kelly Kim Klein Kowalski Kumar Lee Lewis Lindberg Lim Li Mendes Miller Moreau "
    "Morgan Moretti Murphy Nakamura Nguyen Nielsen Nilsson Novotny Olsen Park Pereira Perez Petrov Popov Ramos "
    "Reed Richter Roberts Romano Sato Schmidt Schneider Shah Singh Smith Sokolov Suzuki Taylor Thompson Torres "
    "Turner Vargas Vogel Wagner Walker Wang White Wilson Wright Wu Yilmaz Zimmermann"
)
# Yearly mean and half the swing between summer and winter, in degrees Celsius; a negative swing is the south.
CLIMATES: dict[str, tuple[int, int]] = {
    "amsterdam": (10, 7), "athens": (18, 9), "auckland": (15, -5), "bangkok": (28, 2), "barcelona": (16, 8),
    "beijing": (12, 15), "bergen": (8, 7), "berlin": (10, 9), "bogota": (14, 1), "boston": (11, 12),
    "buenos aires": (18, -7), "cairo": (22, 8), "cape town": (17, -5), "chiang mai": (26, 4), "chicago": (10, 14),
    "copenhagen": (9, 8), "delhi": (25, 9), "dubai": (28, 8), "dublin": (10, 5), "edinburgh": (9, 6),
    "geneva": (11, 9), "hanoi": (24, 6), "helsinki": (6, 11), "hong kong": (23, 6), "istanbul": (15, 9),
    "jakarta": (27, 1), "kyoto": (16, 12), "lagos": (27, 2), "lima": (19, -4), "lisbon": (17, 6), "london": (11, 6),
    "los angeles": (18, 4), "madrid": (15, 10), "melbourne": (15, -6), "mexico city": (17, 3), "miami": (25, 5),
    "milan": (13, 11), "montreal": (7, 15), "moscow": (6, 14), "mumbai": (27, 3), "munich": (9, 10),
    "nairobi": (19, 1), "new york": (13, 12), "oslo": (6, 11), "paris": (12, 8), "phuket": (28, 1), "prague": (9, 10),
    "reykjavik": (5, 6), "rio de janeiro": (24, -4), "rome": (16, 9), "san francisco": (14, 3), "seattle": (11, 7),
    "seoul": (13, 14), "shanghai": (17, 12), "singapore": (27, 1), "stockholm": (7, 11), "sydney": (18, -5),
    "taipei": (23, 7), "tokyo": (16, 11), "toronto": (9, 13), "vancouver": (11, 7), "vienna": (11, 10),
    "warsaw": (9, 10), "zurich": (10, 9),
}  # fmt: skip
MORE_PLACES = (
    *words(
        "Aarhus Aberdeen Accra Adelaide Almaty Antwerp Atlanta Austin Baku Baltimore Basel Belfast Belgrade Bilbao "
        "Bologna Bordeaux Bratislava Bremen Brisbane Bristol Bruges Brussels Bucharest Budapest Calgary Cambridge "
        "Cardiff Casablanca Cologne Colombo Cork Dakar Dallas Denver Detroit Dresden Dublin Durban Florence Frankfurt "
        "Galway Gdansk Ghent Glasgow Granada Graz Grenoble Guadalajara Hamburg Hanover Havana Honolulu Houston "
        "Innsbruck Izmir Jaipur Kampala Karachi Kathmandu Kiev Krakow Lagos Lausanne Leeds Leipzig Lille Liverpool "
        "Ljubljana Lyon Malaga Manchester Manila Marseille Memphis Minneapolis Nagoya Nantes Naples Nashville Nice "
        "Nuremberg Odessa Orlando Osaka Ottawa Oxford Palermo Perth Philadelphia Phoenix Pisa Porto Portland Pune "
        "Quebec Quito Riga Rotterdam Salzburg Santiago Sapporo Sarajevo Seville Sheffield Skopje Sofia Split "
        "Stuttgart Tallinn Tampere Tbilisi Toulouse Trieste Trondheim Turin Turku Utrecht Valencia Venice Verona "
        "Vilnius Winnipeg York Zagreb Yangon Vientiane Pattaya Hue Penang Cebu Shenzhen Chengdu Kunming Busan Fukuoka "
        "Nara Pokhara Lucknow Kochi Mysore Muscat Doha Riyadh Amman Beirut"
    ),
    "San Diego", "Las Vegas", "New Orleans", "Salt Lake City", "Santa Fe", "St. Gallen", "The Hague",
    "Tel Aviv", "Ho Chi Minh City", "Kuala Lumpur", "Abu Dhabi", "Addis Ababa", "San Jose", "Hua Hin",
    "Koh Samui", "Palo Alto", "Baden-Baden", "New York City", "Cedar Rapids", "Le Havre", "Puerto Rico",
    "Costa Rica", "Sri Lanka", "Scotland", "Iceland", "Tuscany", "the Alps", "Brighton", "Santa Monica",
    "Port Louis", "Fort Worth", "St. Louis",
    *words(
        "Albany Alicante Algiers Anchorage Ankara Arles Asheville Assisi Avignon Bari Bath Bern Bonn Boise Breda Brno "
        "Burgos Cagliari Cairns Canberra Cannes Canterbury Caracas Charleston Chester Chiba Cleveland Coimbra "
        "Columbus Como Cordoba Cusco Dalian Darwin Delft Derby Dijon Dortmund Dover Dundee Eindhoven Essen Exeter "
        "Fargo Faro Ferrara Fes Freiburg Fresno Genoa Girona Goa Gothenburg Groningen Haarlem Halifax Harbin Hobart "
        "Ibiza Inverness Jena Juneau Kanazawa Kiel Kigali Klagenfurt Kobe Kos Kosice Leiden Leuven Lima Linz Lucca "
        "Lucerne Lund Luxor Maastricht Madison Mainz Malmo Mandalay Mannheim Marrakesh Medellin Menton Metz Monaco "
        "Mombasa Nagasaki Newcastle Norwich Omaha Orleans Padua Parma Perugia Pittsburgh Plymouth Portsmouth Potsdam "
        "Reims Rennes Rhodes Richmond Rimini Rostock Sacramento Savannah Siena Sintra Southampton Spokane Stavanger "
        "Strasbourg Swansea Tangier Tampa Tarragona Tromso Tucson Ulm Uppsala Varna Vigo Wellington Winchester "
        "Worcester Wuhan Xian Yokohama Zaragoza Krabi Surabaya Bandung Hiroshima Kandy"
    ),
    "Santa Barbara", "Hong Kong Island", "San Antonio", "Oklahoma City", "Kansas City", "San Sebastian",
    "Da Nang", "Chiang Rai", "New Delhi", "Saint Petersburg", "Gold Coast", "Alice Springs", "Cape Cod", "Long Island",
    "Lake Como", "the Lake District", "Lake Tahoe", "the Black Forest", "Bora Bora", "Punta Cana", "Santo Domingo",
    "Panama City", "La Paz", "Nice", "Bury St Edmunds", "Milton Keynes", "Sicily", "Mallorca", "Bali", "Wales",
    "Cornwall", "Brooklyn", "Hawaii", "Crete", "Malta", "Provence", "Normandy", "Bavaria", "Tyrol", "Lapland",
)  # fmt: skip
TOWNS = words(
    "Aberystwyth Agadir Ajaccio Alicante Amiens Ankara Arles Asheville Asmara Augusta Avignon Ayr Bakewell Bamako "
    "Bari Barnsley Basel Bath Bayonne Bern Biarritz Bilbao Blackpool Bodrum Boise Bolton Bournemouth Bray Bregenz "
    "Brest Bruges Bruneck Bude Burnley Cadiz Caen Cagliari Calais Canterbury Carlisle Catania Chamonix Charleston "
    "Cheltenham Chester Chur Clacton Coimbra Colmar Conwy Corfu Cromer Croydon Cuenca Dakar Darlington Davos Derry "
    "Dieppe Dijon Dinard Doncaster Donegal Dover Dumfries Dundee Ennis Exeter Falkirk Falmouth Faro Fez Folkestone "
    "Galway Ghent Gibraltar Girona Glastonbury Grenoble Grimsby Guildford Hartlepool Harrogate Hastings Haworth "
    "Helston Hexham Hobart Hove Huddersfield Hull Ibiza Inverness Ipswich Jena Kassel Kendal Keswick Kilkenny "
    "Killarney Kirkwall Knaresborough Lagos Lahti Lancaster Lerwick Lille Limerick Lincoln Lourdes Lugano Luton "
    "Macclesfield Malaga Margate Marrakesh Matlock Menton Merano Mons Motherwell Mumbles Narvik Newquay Norwich Oban "
    "Okehampton Oldham Oostende Orkney Padstow Paignton Palermo Penzance Perth Peterborough Pitlochry Plymouth "
    "Pontypridd Poole Portree Preston Pula Quimper Ravenna Redcar Reigate Rochdale Rotherham Rugby Ryde Salisbury "
    "Scarborough Sheffield Shrewsbury Skegness Skye Sligo Southend Splitz Stirling Stockport Stornoway Stroud Swansea "
    "Swindon Taunton Tenby Thurso Torquay Tralee Tromso Truro Turku Ullapool Utrecht Vaduz Ventnor Wakefield Wells "
    "Weymouth Whitby Wick Windsor Wolverhampton Worthing Yeovil Zadar Zermatt Zug"
)
PLACES = tuple(
    sorted({" ".join(word.capitalize() for word in city.split()) for city in CLIMATES} | {*MORE_PLACES, *TOWNS})
)
CLOCK_CITIES = (
    *words(
        "Tokyo London Paris Berlin Madrid Rome Oslo Sydney Singapore Bangkok Beijing Shanghai Dubai Mumbai Delhi "
        "Moscow Istanbul Cairo Nairobi Lagos Toronto Chicago Boston Seattle Miami Vancouver Denver Phoenix Honolulu "
        "Lisbon Dublin Vienna Zurich Stockholm Helsinki Warsaw Prague Athens Seoul Manila Jakarta Melbourne Auckland "
        "Lima Bogota"
    ),
    "New York", "San Francisco", "Los Angeles", "Hong Kong", "Mexico City", "Sao Paulo",
    "Cape Town", "Buenos Aires", "Tel Aviv", "Abu Dhabi",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
SYLLABLES = words(
    "ba be bo bri ca cho da del di dor el fa fen ga gri ha hol il ja ka kel la lin lo ma mer mi na no or pa pen "
    "qui ra rin ro sa sel shi sto ta ten ti tor u va vin wa wen yo za zi"
)
ENDINGS = ("ton", "ville", "burg", "ham", "field", "stad", "grad", "ia", "o", "a", "ford", "dale", "mouth", "")
NOUNS = words(
    "key keys umbrella passport charger laptop camera ticket tickets receipt bike car sofa fridge printer router "
    "drill ladder suitcase jacket helmet wallet lamp plant guitar bottle towel blanket map tent box folder "
    "contract invoice report slides budget plan list recipe cake bread milk coffee tea rice soup cheese apples "
    "tomatoes onions fish chicken garden window door roof boiler filter battery batteries tyre oil bill rent "
    "insurance visa form letter parcel package gift card flowers medicine glasses dog cat hamster book books "
    "homework uniform shoes boots coat trousers shirt rug bins rubbish recycling laundry dishes oven grill heater "
    "alarm meeting party trip hotel train flight taxi bus sugar salt pepper butter honey yoghurt pasta pizza "
    "burger salad sausage bacon egg eggs banana bananas oranges lemon lemons grapes carrots potatoes garlic "
    "mushrooms beans nuts chocolate cookies cereal juice beer wine water soda vinegar flour yeast cinnamon basil "
    "sandwich toast pancakes curry noodles sushi steak shrimp salmon tuna lettuce cucumber pumpkin corn avocado "
    "mango cherry blueberries jam soap shampoo toothpaste toothbrush razor sponge bleach detergent mop broom "
    "bucket candle matches lighter tape glue scissors stapler pen pencil marker notebook paper envelope stamp "
    "stamps calendar magazine newspaper poster frame mirror curtain pillow mattress sheet cushion carpet shelf "
    "drawer wardrobe desk chair stool bench table couch cabinet vase clock bulb socket plug cable adapter speaker "
    "headset microphone tablet screen mouse keyboard monitor server website app account password email photo "
    "photos video song album playlist podcast movie series ticketing game puzzle toy doll ball racket bat skates "
    "skis sled surfboard kayak boat engine brake brakes wheel tank seat belt bumper tractor trailer truck van "
    "scooter gloves scarf hat cap sunglasses watch ring necklace bracelet earrings purse handbag socks slippers "
    "sandals dress skirt blouse jeans shorts hoodie raincoat swimsuit pajamas tie suit pan pot kettle toaster "
    "blender mixer knife knives fork spoon plate bowl mug cup jar lid tray cutlery napkins thermos pills vitamins "
    "bandage thermometer crutches lenses prescription vaccine x-ray loan mortgage deposit tax salary pension "
    "cheque coupon voucher refund fee fine permit licence certificate diploma essay thesis exam lecture seminar "
    "workshop interview presentation speech agenda minutes proposal quote order shipment pallet warehouse shed "
    "attic basement balcony terrace fence gate lawn hedge tree roses tulips seeds soil hose shovel rake hammer "
    "nails screws screwdriver saw paint brush roller tiles wood bricks cement pipe tap sink toilet shower bathtub "
    "radiator thermostat fan vacuum iron dryer washer freezer microwave dishwasher stove chimney cousin nephew "
    "niece grandson puppy kitten parrot goldfish rabbit horse cow sheep chickens ducks bees vet kennel cage leash "
    "collar aquarium luggage backpack itinerary reservation hostel cabin campsite beach museum castle bridge "
    "harbour airport platform ferry tram metro cruise festival concert theatre ballet opera circus parade wedding "
    "anniversary christening graduation funeral reunion barbecue picnic quiz lottery raffle charity donation "
    "volunteer"
)
ADJECTIVES = words(
    "old new blue red green big small spare broken second good cheap heavy black white first last extra yellow "
    "purple orange pink brown grey silver golden dark bright pale wooden plastic metal glass leather cotton "
    "woollen electric digital wireless portable folding round square flat long short tall wide narrow thick thin "
    "soft hard smooth rough sharp dull clean dirty dry wet warm cold hot fresh frozen sweet sour bitter spicy "
    "salty ripe raw empty full open closed loose tight cracked torn lost missing hidden secret expensive free "
    "rare common simple fancy modern antique vintage plain striped quiet loud slow fast early late urgent weekly "
    "monthly annual final next third main upper lower left right inner outer"
)
VISITS = tuple(
    ["call", "ring", "phone", "email", "text", "write to", "visit", "meet", "thank", "ask", "pick up", "pay"]
)
DEEDS = tuple(
    [
        "buy",
        "get",
        "order",
        "pick up",
        "fetch",
        "return",
        "fix",
        "clean",
        "check",
        "wash",
        "pack",
        "sell",
        "move",
        "bring",
        "book",
        "print",
        "sign",
        "find",
        "charge",
        "replace",
        "water",
        "feed",
        "cancel",
        "renew",
        "send",
        "look for",
    ]
)
SPOTS = words("station office airport cafe park gym doctor shop gate")
PEOPLE = ("mum", "dad", "the bank", "the dentist", "grandma", "my boss", "the landlord", "the plumber", "the school",
          "my sister", "the vet", "the office", "the neighbours", "aunt {first}", "uncle {first}", "{first}", "{first}",
          "{first} {last}", "the doctor", "customer service", "the electrician", "my brother")  # fmt: skip

ROLES = ("boss", "sister", "brother", "landlord", "plumber", "dentist", "neighbour", "wife", "husband", "mother",
"father",
         "accountant", "doctor", "manager", "son", "daughter", "roommate", "teacher", "electrician",
         "lawyer")  # fmt: skip


UNIT_FAMILIES = (
    ("km", "kilometers", "kilometres", "miles", "meters", "metres", "feet", "m", "yards"),
    ("cm", "inches", "mm", "feet", "inch", "centimeters", "metres"),
    ("kg", "pounds", "lbs", "kilos", "grams", "ounces", "stone", "oz", "g", "kilograms"),
    ("litres", "liters", "gallons", "ml", "cups", "pints", "tablespoons", "teaspoons", "fluid ounces"),
    ("km/h", "mph", "knots", "m/s", "kph", "miles per hour"),
    ("celsius", "fahrenheit", "C", "F", "degrees fahrenheit", "degrees celsius", "kelvin"),
    ("hours", "minutes", "seconds", "days", "weeks", "years"),
    ("GB", "MB", "gigabytes", "megabytes", "TB"),
    ("acres", "hectares", "square feet", "square metres", "square meters"),
)
# What people put on a shopping list; all of it stands without an article.
GROCERIES = (
    *words(
        "milk bread eggs butter coffee bananas apples onions potatoes rice pasta cheese yoghurt chicken nappies "
        "toothpaste shampoo batteries stamps wine flour sugar juice tomatoes carrots lemons noodles soap candles tape "
        "nails flowers salad ham biscuits ketchup salt aspirin plasters oats honey beer cereal cream lettuce mince"
    ),
    "cat litter", "dog food", "tea bags", "toilet paper", "washing powder", "bin bags", "light bulbs", "olive oil",
    "paper towels", "baby wipes", "ice cream", "orange juice", "almond milk", "peanut butter",
)  # fmt: skip
# One of a measure, and the units in which it may be asked for.
SINGLES = (
    (("mile", "kilometre", "kilometer", "yard", "foot"), ("metres", "meters", "km", "feet", "cm", "inches")),
    (("inch", "foot", "metre", "meter", "yard"), ("cm", "mm", "inches", "centimeters", "feet")),
    (("kilo", "pound", "ounce", "stone", "ton", "kilogram", "tonne"), ("grams", "kg", "pounds", "lbs", "ounces")),
    (
        ("cup", "pint", "gallon", "litre", "liter", "tablespoon", "teaspoon"),
        ("ml", "tablespoons", "teaspoons", "litres", "cups", "fluid ounces", "millilitres"),
    ),
    (("week", "day", "year", "hour"), ("hours", "minutes", "seconds", "days")),
    (("gigabyte", "terabyte", "gig"), ("megabytes", "MB", "GB", "KB")),
    (("hectare", "acre"), ("square metres", "square feet", "square meters", "acres")),
)
MONEY = ("euros", "dollars", "pounds", "yen", "baht", "USD", "EUR", "GBP", "JPY", "THB", "CHF", "swiss francs", "yuan",
         "rupees", "won", "kroner", "SEK", "CAD", "AUD", "us dollars", "sterling", "zloty", "pesos", "bucks",
         "quid", "canadian dollars", "australian dollars", "japanese yen", "thai baht", "british pounds", "CNY", "rmb",
         "danish kroner", "turkish lira", "singapore dollars", "mexican pesos", "indian rupees", "korean won", "DKK",
         "NOK", "PLN", "INR", "KRW", "SGD", "HKD", "hong kong dollars", "lira", "francs", "czech koruna",
         "swedish kronor", "euro", "dollar", "pound", "chinese yuan", "norwegian kroner", "aussie dollars")  # fmt: skip
MORE_ITEMS = (
    "running shorts", "phone charger", "coffee grinder", "hiking boots", "electric toothbrush", "bookshelf",
    "hair dryer", "air fryer", "rice cooker", "washing machine", "wireless mouse", "gaming chair", "camera lens",
    "bike helmet", "swimming goggles", "sleeping bag", "baby monitor", "dog bed", "cat tree", "dinner plates",
    "wine glasses", "bed sheets", "shower curtain", "floor lamp", "picture frame", "alarm clock", "usb cable",
    "memory card", "smart watch", "bluetooth speaker", "vacuum cleaner", "lawn mower", "garden hose",
    "football boots", "tennis racket", "rain jacket", "ski goggles", "wedding dress", "leather belt",
    "jigsaw puzzle", "toy train", "cookbook", "travel guide", "printer ink", "laptop stand", "standing desk",
    "mattress", "duvet", "curtains", "frying pan", "knife set", "bread maker", "electric kettle", "yoga pants",
    "rucksack", "snow boots", "perfume", "face cream", "vitamins", "guitar strings",
)  # fmt: skip
GOODS = (
    "lamp", "curtains", "cushion covers", "duvet", "pillows", "mattress topper", "rug", "doormat", "bath towels",
    "tea towels", "tablecloth", "napkins", "vase", "candle holder", "mirror", "wall clock", "coat rack", "shoe rack",
    "bookcase", "bedside table", "footstool", "deckchair", "parasol", "barbecue", "garden bench", "wheelbarrow",
    "hedge trimmer", "leaf blower", "spade", "secateurs", "wellies", "gardening gloves", "bird feeder",
    "fence paint", "drill bits", "spanner set", "step ladder", "toolbox", "paint roller", "sander", "screwdriver",
    "spirit level", "workbench", "extension lead", "light bulbs", "smoke alarm", "door handle", "padlock",
    "letterbox", "radiator key", "fan heater", "dehumidifier", "electric blanket", "hot water bottle", "iron",
    "ironing board", "laundry basket", "clothes airer", "hoover", "mop", "bin bags", "bread bin", "casserole dish",
    "slow cooker", "wok", "griddle", "cake tin", "mixing bowl", "rolling pin", "kitchen scales", "peeler",
    "corkscrew", "teapot", "mugs", "cafetiere", "espresso machine", "water filter", "lunch box", "flask",
    "picnic blanket", "cool box", "camping stove", "head torch", "walking poles", "compass", "fishing rod",
    "tackle box", "waders", "bait", "saddle", "riding boots", "jodhpurs", "bike lights", "bike pump", "puncture kit",
    "panniers", "helmet", "skateboard", "scooter", "roller skates", "trampoline", "paddling pool", "swing",
    "football", "cricket bat", "shin pads", "goalie gloves", "hockey stick", "boxing gloves", "dumbbells",
    "skipping rope", "resistance bands", "swimsuit", "wetsuit", "snorkel", "surfboard", "golf clubs", "darts",
    "chess set", "card table", "playing cards", "lego set", "doll's house", "teddy", "train set", "colouring pens",
    "paint set", "sketchbook", "easel", "fountain pen", "stapler", "desk tidy", "filing cabinet", "shredder",
    "whiteboard", "label maker", "calculator", "graph paper", "school bag", "blazer", "pinafore", "school shoes",
    "trainers", "ballet shoes", "tutu", "leotard", "slippers", "sandals", "loafers", "brogues", "high heels",
    "ankle boots", "wedding shoes", "bridesmaid dress", "suit", "waistcoat", "bow tie", "shirt", "blouse",
    "cardigan", "jumper", "hoodie", "tracksuit", "leggings", "jeans", "shorts", "skirt", "dungarees", "overalls",
    "scrubs", "apron", "chef's whites", "hi-vis vest", "safety boots", "raincoat", "parka", "poncho", "scarf",
    "mittens", "beanie", "sun hat", "flat cap", "handbag", "purse", "satchel", "holdall", "cufflinks", "earrings",
    "necklace", "bracelet", "engagement ring", "reading glasses", "contact lenses", "hearing aid batteries",
    "walking stick", "nursing bra", "cot", "cot mattress", "pram", "car seat", "high chair", "baby bath", "nappies",
    "bottle steriliser", "stair gate", "dog lead", "dog coat", "cat flap", "scratching post", "litter tray",
    "hamster cage", "fish tank", "rabbit hutch", "chicken coop", "shampoo", "conditioner", "hair straighteners",
    "razor", "electric shaver", "toothbrush heads", "nail polish", "lipstick", "foundation", "aftershave",
    "bath bombs", "sunscreen", "first aid kit", "thermometer", "blood pressure monitor", "kettle", "microwave",
    "toaster oven", "dishwasher", "tumble dryer", "freezer", "soundbar", "record player", "vinyl", "turntable",
    "radio", "speakers", "earbuds", "microphone", "tripod", "webcam", "tablet", "tablet case", "stylus", "e-reader",
    "router", "hard drive", "graphics card", "power bank", "charging cable", "smart plug", "doorbell camera",
    "baby monitor", "projector", "game controller", "console", "strategy game", "puzzle", "cookbook", "atlas",
    "dictionary", "travel cot", "violin strings", "ukulele", "piano stool", "music stand", "drumsticks", "harmonica",
    "sewing machine", "knitting wool", "crochet hooks", "quilt fabric", "sticker book", "greeting cards",
    "wrapping paper", "fairy lights", "christmas tree", "advent calendar", "pumpkin carving kit", "balloon arch",
    "birthday banner", "seeds", "tulip bulbs", "compost", "plant pots", "watering can", "greenhouse shelf",
    "solar lights", "log basket", "fire pit", "chimenea", "hammock",
)  # fmt: skip
