"""All domains."""

from collections.abc import Mapping

from moonlet.simulate.domains.bank import BANK
from moonlet.simulate.domains.calendar import CALENDAR
from moonlet.simulate.domains.domain import Domain
from moonlet.simulate.domains.files import FILES
from moonlet.simulate.domains.health import HEALTH
from moonlet.simulate.domains.home import HOME
from moonlet.simulate.domains.inventory import INVENTORY
from moonlet.simulate.domains.mail import MAIL
from moonlet.simulate.domains.maps import MAPS
from moonlet.simulate.domains.media import MEDIA
from moonlet.simulate.domains.notes import NOTES
from moonlet.simulate.domains.people import PEOPLE
from moonlet.simulate.domains.restaurants import RESTAURANTS
from moonlet.simulate.domains.school import SCHOOL
from moonlet.simulate.domains.shop import SHOP
from moonlet.simulate.domains.support import SUPPORT
from moonlet.simulate.domains.travel import TRAVEL
from moonlet.simulate.domains.units import UNITS
from moonlet.simulate.domains.weather import WEATHER

DOMAINS: Mapping[str, Domain] = {
    one.name: one
    for one in (
        WEATHER, CALENDAR, MAIL, FILES, NOTES, SHOP, BANK, TRAVEL, RESTAURANTS, HOME, MEDIA, SUPPORT, MAPS, PEOPLE,
        INVENTORY, UNITS, SCHOOL, HEALTH,
    )
}  # fmt: skip
