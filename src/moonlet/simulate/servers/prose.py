"""What authors of servers write: names and descriptions of parameters, and the sentences after the first.

Patterns in the notation of the wordings; {t}, {ts}, {w}, {k} and {f} are the thing, more of it, the whole, what a thing
is known by, and a field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moonlet.simulate.servers.values import FORMATS, STATES


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter before it is declared. `says` are the ways in which a request mentions one that can be left out."""

    names: tuple[str, ...]
    about: tuple[str, ...]
    kind: str = "string"
    choices: tuple[str, ...] = ()
    says: tuple[str, ...] = ()


SLOTS: Mapping[str, Slot] = {
    "key": Slot((), ("{k} of the {t}", "the {k} of the {t} to (look at|work on|use)", "exact {k} (as the list gives it|)",
                     "which {t}, by its {k}", "unique (identifier|{k}) of the {t}", "the {t}'s {k}")),
    "keys": Slot((), ("{k}s of the {ts}", "an array of {k}s", "list of {k}s to (open|fetch|look up)",
                      "the {ts} wanted, by {k}")),
    "path": Slot(("path", "path", "file path", "{t} path", "file", "file name", "target file"),
                 ("(absolute |full |)path (of|to) the {t}( file|)", "path, relative to the {w}", "the {t} file",
                  "which file to (read|use)"), says=("(to|into) {v}", "save it (to|as) {v}")),
    "folder": Slot(("path", "folder", "directory", "folder path", "directory path", "root", "base dir", "location"),
                   ("(absolute |)path of the (folder|directory)", "the (folder|directory) to (list|scan|look into)",
                    "where to look", "(folder|directory) inside the {w}")),
    "query": Slot(("query", "query", "q", "text", "search term", "keyword", "pattern", "term", "search", "phrase"),
                  ("(search|query) (text|string)( to match against names and notes|)", "what to (search|look) for",
                   "words that must (occur|be found) in the {t}", "the (term|phrase|text) to look for")),
    "name": Slot(("name", "{t} name", "title", "label"), ("(name|title) (of|for) the new {t}", "what to call the {t}",
                                                         "a (short|human-readable) name")),
    "field": Slot(("field", "property", "attribute", "field name", "key"),
                  ("(name of the |which )field( to change|)", "the (property|attribute) (to set|that changes)")),
    "new": Slot(("new name", "name", "to", "new title", "new {t} name"),
                ("(the |)new name( of the {t}|)", "what it is called from now on")),
    "source": Slot(("source", "from", "source path", "src", "from path", "old path"),
                   ("(where it is now|current path|path of the {t})", "(source|original) path")),
    "target": Slot(("destination", "to", "target", "destination path", "dest", "new path"),
                   ("(where it goes|new path|destination path)", "path to put the {t} at")),
    "items": Slot((), ("(an |)array of {ts}( to add|)", "the {ts} to (create|add|insert)", "one entry for each {t}")),
    "texts": Slot(("notes", "remarks", "comments", "lines", "contents", "texts"),
                  ("(an array of |)(notes|lines|remarks) to add", "what to (note|write down)", "the texts, in order"),
                  "array"),
    "tags": Slot(("tags", "labels", "keywords"), ("(tags|labels|keywords)( to set| to add|)", "words to file it under"),
                 "array", says=("tagged {v}", "with the (tags|labels|keywords) {v}", "(tags|labels) {v}")),
    "one": Slot(("from", "source", "first", "{t}", "subject", "start"), ("where the link begins", "the first {t}",
                                                                       "(name|{k}) of the one {t}")),
    "other": Slot(("to", "target", "second", "other", "object", "end"), ("where the link ends", "the second {t}",
                                                                      "(name|{k}) of the other {t}")),
    "relation": Slot(("relation", "kind", "type", "link type", "role", "relation type"),
                     ("how they (belong together|are related)", "(kind|type) of the link")),
    "text": Slot(("text", "message", "content", "line", "words", "input", "body", "value"),
                 ("(the |)(text|message|words) to (print|show|announce|write)", "what is to be said",
                  "any text, (at most|up to) (200|500|1000) characters")),
    "to": Slot(("to", "recipient", "channel", "audience"), ("(who|for whom) it is for", "name of the recipient"),
               says=("(for|to) {v}", "and send it to {v}")),
    "url": Slot(("url", "url", "address", "link", "page url", "uri"),
                ("(full |)(url|address) of the page", "the (url|link) to (check|load|open)",
                 "must begin with http:// or https://")),
    "zone": Slot(("timezone", "zone", "tz", "time zone", "target zone"),
                 ("IANA (time zone|timezone) name( such as Region/City|)", "(time zone|timezone) to use",
                  "zone name from the tz database")),
    "clock": Slot(("time", "start", "start time", "at", "local time", "hour"),
                  ("(start|time of day) (in 24-hour form |)(HH:MM|as HH:MM)", "when it (starts|begins), HH:MM",
                   "local time in the first zone")),
    "from_zone": Slot(("from zone", "home zone", "from tz", "studio zone", "origin timezone", "sender zone"),
                      ("(zone|time zone) in which the time is meant", "IANA zone of the (start|sender)")),
    "to_zone": Slot(("to zone", "listener zone", "to tz", "viewer zone", "destination timezone", "receiver zone"),
                    ("(zone|time zone) of those who (listen|watch|join)", "IANA zone that is asked for")),
    "origin": Slot(("origin", "from", "start", "from place", "start point"), ("where it (starts|begins)",
                                                                              "place of departure")),
    "destination": Slot(("destination", "to", "end", "to place", "end point"), ("where it ends", "place of arrival")),
    "a": Slot(("a", "x", "first", "num1", "left", "value1", "number a"), ("(the |)first (number|value|reading)",), "number"),
    "b": Slot(("b", "y", "second", "num2", "right", "value2", "number b"), ("(the |)second (number|value|reading)",),
              "number"),
    "format": Slot(("format", "output format", "type", "file format"), ("(output |file |)format", "how to write it"),
                   choices=tuple(FORMATS), says=("as {v}", "in {v}", "format {v}", "in {v} format")),
    "limit": Slot(("limit", "max results", "count", "max", "page size", "top", "max items"),
                  ("(maximum|largest) number of (results|{ts})( to return|)", "(at most|no more than) so many",
                   "how many to return (per page|)"), "integer",
                  says=("(only|at most|just|no more than|up to) {v}", "the first {v}( of them|)", "limit {v}", "{v} at most",
                        "max {v}", "not more than {v}( of them|)")),
    "status": Slot(("status", "state", "filter status", "with status"), ("(only |filter by |)(status|state)",
                                                                         "only {ts} in this state"),
                   choices=tuple(STATES), says=("(with|in) (the |)(status|state) {v}", "that are {v}", "only the {v} ones",
                                                "status {v}", "which are {v}")),
    "owner": Slot(("owner", "author", "user", "created by", "assignee"), ("only those of this person",
                                                                          "(filter by |name of the )owner"),
                  says=("(of|by|from|owned by|made by) {v}", "that belong to {v}", "that {v} made")),
    "sort": Slot(("sort by", "order by", "sort", "order"), ("(order|field to sort by)", "how the {ts} are sorted"),
                 choices=("name", "date", "size", "created", "modified", "priority", "title", "owner"),
                 says=("(sorted|ordered) by {v}", "by {v}", "sort(ed|) by {v}")),
    "deep": Slot(("recursive", "deep", "include subfolders", "recurse"), ("(also|look) (into|in) what lies below",
                                                                          "whether to go into subfolders"), "boolean",
                 says=("recursively", "with everything below", "and all subfolders", "including subfolders")),
    "full": Slot(("full", "verbose", "include history", "with details", "expand"), ("(include|return) every field",
                                                                                    "more detail"), "boolean",
                 says=("in full", "with all details", "in full detail", "verbosely")),
    "force": Slot(("force", "overwrite", "yes", "skip checks", "confirm"), ("do it (even if|although) it is in use",
                                                                            "(skip|without) the usual checks"), "boolean",
                  says=("by force", "even if it is in use", "force it", "without asking")),
    "loud": Slot(("urgent", "loud", "pinned", "bold"), ("(make|show) it (stand out|large)", "for what is important"),
                 "boolean", says=("loudly", "so that everybody sees it", "as urgent")),
    "head": Slot(("head", "lines", "max lines", "line count", "first lines"), ("(read |)only (so many|the first) lines",
                                                                               "number of lines"), "integer",
                 says=("only the first {v} lines", "the first {v} lines", "{v} lines( of it|)", "just {v} lines")),
    "lines": Slot(("context lines", "context", "unified", "lines of context"), ("(lines|rows) around each change",
                                                                               "number of context lines"), "integer",
                  says=("with {v} lines of context", "{v} context lines", "{v} lines around each")),
    "day": Slot(("date", "day", "on", "for date"), ("(day|date) (as |)YYYY-MM-DD(, today if left out|)",
                                                     "which day"), says=("on {v}", "for {v}")),
}  # fmt: skip

# Words that are drawn for a tool: what is done, what is computed.
ROLE_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "do": {"v": ("sync", "refresh", "reindex", "ping", "restart", "unlock", "test", "reload", "clean", "rebuild", "pause",
                 "resume", "calibrate", "reset", "warm up", "compact", "flush", "verify")},
    "numbers": {"how": ("difference", "product", "average", "ratio", "remainder", "larger one", "smaller one", "mean",
                        "gap", "quotient", "area", "distance")},
}  # fmt: skip

MORE = (
    "(Returns|Gives|The result is) (JSON|text|plain text|a JSON object|structured data) with (the |)(name|{f}|id|status|"
    "title) and (other fields|the {f}|more)",
    "(Use|Call|Choose) this (tool |)(when|if|whenever) (the user|somebody|you) (asks|ask|wants to know|want to work) (about|on|with) "
    "{ts}",
    "(Only works|Works) (within|inside|on) the {w}(s that were allowed|)",
    "The {w} (must be|has to be) (open|ready|reachable) (first|before)",
    "(Names|Ids|Keys) are (case-sensitive|compared exactly|unique in the {w})",
    "(Fails|Returns an error|Gives an error) (if|when) (there is no such {t}|the {t} does not exist|the {t} cannot be found)",
    "(See also|Compare|Related:) the other tools (of|for) the {w}",
    "(This|The) tool is (safe|fast|cheap)(, and can be called many times| and needs no network|)",
    "(Supports|Handles|Understands) (various|several|many) kinds of {ts}",
    "(Times are in UTC|Dates are written YYYY-MM-DD|Sizes are in bytes|Text is UTF-8)",
)
READS = (
    "(Nothing is changed|Reads only|This does not change anything)",
    "(Prefer|Use) this over (guessing|reading everything|other ways) (when|if) you need (one|a|several) {t}",
    "(Results|Entries|{ts}) come (sorted by {f}|newest first|in no fixed order|page by page)",
    "(An empty list|No result) means that (nothing was found|there are no {ts})",
    "(Each|Every) (entry|line|result) (has|holds|shows) (its|the|a) {f}(, which tells what it is|)",
    "(Large|Long) results (may be|are) (cut|truncated|shortened)( after 100 entries|)",
    "Useful for (understanding|getting to know|checking) (what the {w} holds|the {w}|a {t})",
)
WRITES = (
    "(This|The change) (cannot be undone|is made at once|takes effect immediately)",
    "(Use with caution|Be careful|Handle with care) as (it|this) (changes|overwrites) (the {w}|what is there)( without a question|)",
    "(Existing {ts} are kept|What exists already is left alone|An existing {t} is overwritten)",
    "(Returns|Gives back) (the changed|the new|the updated) {t}",
    "(Missing|Absent) fields (are left as they are|get their defaults|stay empty)",
    "(Writes|Adds) an entry (to|in) the {t} (history|log)",
)
