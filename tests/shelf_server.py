"""A small MCP server over standard input and output, for tests: books on shelves, and a conversion."""

from mcp.server import MCPServer

server = MCPServer("shelf-server")
BOOKS: dict[str, str] = {}


@server.tool()
def add_book(title: str, author: str) -> dict[str, str]:
    """Add a book to the shelf. It must not be there yet."""
    BOOKS[title] = author
    return {"title": title}


@server.tool()
def get_book(title: str) -> dict[str, str]:
    """Show one book."""
    return {"title": title, "author": BOOKS[title]}


@server.tool()
def search_books(query: str) -> list[str]:
    """Search books by words."""
    return [title for title in BOOKS if query in title]


@server.tool()
def delete_book(title: str) -> dict[str, bool]:
    """Remove a book from the shelf."""
    return {"success": BOOKS.pop(title, None) is not None}


@server.tool()
def page_minutes(pages: int) -> dict[str, int]:
    """Work out how long reading takes."""
    return {"minutes": pages * 2}


if __name__ == "__main__":
    server.run()
