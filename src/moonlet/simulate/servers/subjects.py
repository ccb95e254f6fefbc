"""What made-up servers are about: a whole, and the things in it with their fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from moonlet.simulate.servers.values import noun
from moonlet.simulate.words import ADJECTIVES, words


@dataclass(frozen=True, slots=True)
class Thing:
    one: str
    many: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    whole: str
    things: tuple[Thing, ...]


# whole: thing(fields) thing(fields) ... ; "_" stands for a space.
SUBJECTS = """
stopwatch: stopwatch(lap_count,total_seconds,state) lap(number,seconds) interval_timer(work_seconds,rest_seconds,rounds)
recipe box: recipe(servings,prep_minutes,cuisine) ingredient(quantity,unit) meal_plan(week_start,diet) cookbook(author,pages)
parcel tracker: parcel(weight,status,destination) shipment(carrier,due_date) pickup(address,time) depot(city,capacity)
log archive: log_file(size_bytes,modified) log_entry(severity,message,timestamp) retention_rule(days,pattern) log_stream(owner)
photo library: photo(width,height,taken_at) album(photo_count,owner) face(name,confidence_percent) camera(lens,serial_code)
spreadsheet: sheet(row_count,column_count) cell(range,value) formula(range,text) chart(title,range) pivot_table(range,sheet_name)
issue board: issue(status,assignee,priority) sprint(start_date,end_date) label(colour) milestone(due_date,percent) comment(author,text)
bookmark keeper: bookmark(url,title) reading_list(count) tag(colour) highlight(text,page)
plant journal: plant(species,height,location) watering(amount,date) seedling(tray,sown_date) greenhouse(temperature,city)
music library: track(artist,seconds) playlist(track_count,owner) album(artist,year) lyric(language,text) radio_station(city,url)
podcast desk: episode(title,minutes,status) show(host_name,language) guest(email,topic) transcript(words_count,language)
tide tables: tide(time,height) harbour(location,zone) buoy(temperature,wind_speed) sailing_window(start,end)
museum catalog: artifact(year,origin,weight) exhibition(start_date,end_date,room) loan(recipient,due_date) gallery(floor,capacity)
car garage: vehicle(owner,year,colour) repair(price,status) spare_part(stock_count,price) inspection(date,result)
chess club: game(winner,moves_count,date) opening(code,name) player(rating,city) tournament(rounds,start_date)
weather station: sensor(location,unit,value) reading(value,timestamp) alert(severity,text) forecast_run(created_at,state)
ticket office: ticket(price,seat_label,status) venue(city,seats) performance(date,start_time) booking(guest,count)
bee yard: hive(location,queen_year) harvest(amount,date) swarm(place,date) treatment(product,date)
print shop: print_job(copies,format,status) printer(location,state) paper_stock(size,count) proof(version,approved)
translation memory: segment(source_text,language) glossary(language,term_count) term(language,note) translator(email,language)
map editor: marker(label,colour,location) route(distance,minutes) layer(visible,colour) region(name,area_size) waypoint(code)
ferry timetable: crossing(origin,destination,start_time) vessel(capacity,speed) berth(number,state) delay(minutes,reason)
shift roster: shift(start_time,end_time,owner) swap(status,reason) absence(start_date,end_date) team(size,city)
sound studio: recording(seconds,format) mixer_channel(level,label) preset(author) microphone(state,serial_code)
seed bank: seed_lot(species,count,harvest_year) germination_test(percent,date) vault_shelf(temperature,floor) donor(city,email)
feed reader: feed(url,title) article(author,created_at) subscription(url,status) folder_rule(query,label)
wiki: page(title,author,modified) revision(version,author,message) attachment(filename,size_bytes) category(page_count)
model railway: locomotive(colour,speed) turnout(state,number) timetable(departure_time,station) block_section(length,state)
library desk: loan(due_date,recipient) reservation(guest,date) catalog_card(author,year,code) reading_room(seats,floor)
family tree: ancestor(birthday,place) marriage(date,place) census_record(year,city) photograph(year,note)
clinic desk: appointment(date,time,status) referral(reason,recipient) waiting_room(seats,state) lab_sample(code,collected_at)
kiln control: firing(temperature,hours,state) glaze(colour,recipe_code) shelf(height,load_weight) thermocouple(value,location)
film archive: reel(minutes,year,format) scene(number,location,summary) restoration(status,cost) projectionist(email)
brewery: batch(volume_size,state,start_date) hop(amount,origin) fermenter(temperature,capacity) keg(serial_code,location)
observatory: exposure(seconds,filter_name) target(constellation,magnitude_number) telescope(state,location) night_log(date,summary)
workshop inventory: tool_chest(location,drawers_count) screw_box(size,quantity) loaned_tool(recipient,due_date) blade(condition,width)
tournament bracket: team(city,seed_number) fixture(date,place,status) referee(email,level) score_sheet(points,winner)
text adventure: room(description,exits_count) item(weight,location) character(name,mood) save_game(created_at,score)
newsletter: issue(number,subject,status) subscriber(email,language) template(format,version) campaign(sent_count,open_percent)
flight school: lesson(date,teacher,minutes) aircraft(hours,state,code) logbook(pilot_name,total_hours) runway(length,surface)
vineyard: row(number,grape_name) barrel(volume_size,year) tasting(score,note) pruning(date,owner)
diagram canvas: box(label,colour,x_number) arrow(start_box,end_box,label) stencil(category_name) snapshot(created_at,author)
build farm: build(status,hash,seconds) runner(state,platform) artifact(filename,size_bytes) pipeline(branch_name,owner)
database studio: table(row_count,owner) saved_query(text,author) index(column_name,unique) migration(version,status)
mail room: letter(sender,recipient,date) stamp_roll(price,count) pigeonhole(number,owner) franking_run(count,cost)
toy library: toy(age,condition,location) puzzle(pieces_count,missing_count) borrower(email,city) donation(date,count)
climbing wall: climb(grade_code,colour,setter_name) hold(size,colour) belay_test(date,result) rope(length,year)
aquarium: tank(volume_size,temperature) fish(species,age) feeding(amount,time) water_test(value,date)
podium timing: runner(bib_number,city) split(seconds,distance) start_wave(time,count) finish_gate(location,state)
quilt planner: quilt(width,height,pattern_name) fabric(colour,length) block(size,count) thread_spool(colour,weight)
snippet store: snippet(language,text,author) collection(owner,count) fork(version,author) gist(url,filename)
config registry: setting(value,modified) profile(owner,version) environment(region_name,state) secret_reference(path,owner)
radio schedule: programme(start_time,zone,host_name) slot(start,end) jingle(seconds,format) presenter(email,language)
greenhouse robot: bed(location,moisture_percent) task_run(state,started_at) nozzle(state,number) camera_shot(path,timestamp)
coin collection: coin(year,country_name,price) mint(city,founded_year) grade_card(score,date) wish_list(count,owner)
marina: boat(owner,length) mooring(number,price) fuel_sale(amount,price) visitor(arrival_date,origin)
"""

# Parts of names of things that were never heard of: "tulip ledger", "sponge order".
RECORDS = words(
    "list log entry record card order job batch template snapshot channel profile rule queue report plan request ticket "
    "sample kit set map tray table series collection group pack bundle review draft event item slot form label scan "
    "registry schedule budget ledger"
)
WHOLES = words(
    "store shop archive tracker manager desk board box vault registry catalog planner journal hub book room office lab "
    "keeper monitor index service"
)
FIELDS = (
    "status", "owner", "created at", "size bytes", "location", "price", "note", "path", "url", "time zone", "version",
    "colour", "priority", "count", "rating", "author", "email", "hash", "weight", "title", "due date", "start time",
    "language", "modified", "quantity", "description", "assignee", "label", "level", "distance", "code", "summary",
    "city", "duration seconds", "state", "width", "height", "page count", "balance", "contact", "temperature", "unit",
)  # fmt: skip


@lru_cache(maxsize=1)
def written() -> tuple[Subject, ...]:
    """Those of the table."""
    found = []
    for line in SUBJECTS.strip().splitlines():
        whole, _, rest = line.partition(": ")
        things = []
        for part in rest.split():
            name, _, fields = part.rstrip(")").partition("(")
            one = name.replace("_", " ")
            things.append(Thing(one, plural(one), tuple(field.replace("_", " ") for field in fields.split(","))))
        found.append(Subject(whole, tuple(things)))
    return tuple(found)


def subject(rng: Random) -> Subject:
    """One of the table, or one made up."""
    if rng.random() < 0.6:
        return rng.choice(written())
    first = rng.choice((noun(rng), noun(rng), f"{rng.choice(ADJECTIVES)} {noun(rng)}"))
    things = []
    for record in rng.sample(RECORDS, 3):
        one = rng.choice((f"{noun(rng)} {record}", f"{first} {record}", record, noun(rng)))
        things.append(Thing(one, plural(one), tuple(rng.sample(FIELDS, 3))))
    return Subject(f"{first} {rng.choice(WHOLES)}", tuple({thing.one: thing for thing in things}.values()))


def plural(one: str) -> str:
    """More than one of it."""
    if one.endswith("s") and not one.endswith("ss"):
        return one
    if one.endswith(("ss", "x", "sh", "ch")):
        return f"{one}es"
    if one.endswith("y") and one[-2:-1] not in "aeiou":
        return f"{one[:-1]}ies"
    return f"{one}s"
