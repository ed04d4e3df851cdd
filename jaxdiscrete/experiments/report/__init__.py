"""Published numbers beside measured ones, as HTML, as Markdown, as a page of docs."""
