"""Music: songs and playlists."""

from moonlet.simulate.domains.actions import add, change, find, read, remove
from moonlet.simulate.domains.domain import Domain, Table
from moonlet.simulate.domains.slot import choice, number, ref, text

MEDIA = Domain(
    "media",
    (
        Table("songs", "SG", ("song", "เพลง", "歌曲"), "title", {
            "title": text("Title", "songs"), "artist": text("Artist", "people"), "minutes": number("Minutes", 2, 9), "rating": number("Stars", 1, 5),
        }),
        Table("playlists", "PL", ("playlist", "เพลย์ลิสต์", "歌单"), "name", {"name": text("Name", "playlists"), "sharing": choice("Sharing", "private public")}, 5),
        Table("listed", "L", ("entry", "รายการ", "条目"), "song_id", {"song_id": text("Song", "songs"), "playlist_id": text("Playlist", "playlists")}, 1),
    ),
    (
        find("search_songs", "Search songs by title or artist", "songs",
             ("Search for the song {query}|Do you have {query}?", "หาเพลง{query}", "搜索歌曲{query}")),
        read("song_info", "Artist and length of a song", "songs", "song_id", "artist minutes",
             ("Who sings {song_id}, and how long is it?|Artist and length of {song_id}", "{song_id}ใครร้อง ยาวกี่นาที", "{song_id}是谁唱的，多长")),
        change("rate_song", "Give a song stars", "songs", "song_id",
               ("Give {song_id} {rating} stars|Rate {song_id} with {rating}", "ให้{song_id} {rating} ดาว", "给{song_id}打{rating}星"), {"rating": number("Stars", 1, 5)}),
        find("search_playlists", "Search the user's playlists", "playlists",
             ("Do I have a playlist called {query}?|Search my playlists: {query}", "มีเพลย์ลิสต์ชื่อ{query}ไหม", "我有叫{query}的歌单吗")),
        add("create_playlist", "Make a playlist", "playlists", {"name": text("Name", "playlists"), "sharing": choice("Who sees it", "private public")},
            ("Make a {sharing} playlist called {name}|New playlist {name}, {sharing}", "สร้างเพลย์ลิสต์{name} แบบ{sharing}", "建一个{sharing}歌单，叫{name}")),
        add("add_to_playlist", "Put a song on a playlist", "listed",
            {"song_id": ref("Id of the song", "songs"), "playlist_id": ref("Id of the playlist", "playlists")},
            ("Put {song_id} on {playlist_id}|Add {song_id} to {playlist_id}", "เพิ่ม{song_id}ลง{playlist_id}", "把{song_id}加到{playlist_id}")),
        remove("delete_playlist", "Delete a playlist", "playlists", "playlist_id",
               ("Delete {playlist_id}|Remove {playlist_id}", "ลบ{playlist_id}", "删除{playlist_id}")),
    ),
)  # fmt: skip
