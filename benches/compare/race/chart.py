"""The bar chart: class A only, one panel a question, longest bar first, figures written out."""

from html import escape

PANELS = {
    "many_200": "64 threads, one job of 200 B a call, each on disk",
    "batch_200": "one thread, batches of 1,000",
    "cycle_200": "enqueue → handler → ack, 16 workers",
}
WIDTH, LABEL, BAR, ROW, HEAD = 720, 190, 420, 22, 34
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .bar { fill: #6e7681; } .ours { fill: #4493f8; } }
"""


def draw(rows, middle) -> str:
    parts, y = [], 8
    for key, title in PANELS.items():
        bars = [(middle(row, key), peer) for peer, row in rows if middle(row, key)]
        bars.sort(key=lambda bar: -bar[0])
        if bars:
            parts.append(f'<text class="title" x="8" y="{y + 16}">{escape(title)}: jobs per second</text>')
            y += HEAD
            for value, peer in bars:
                parts += row_of(peer, value, value / bars[0][0], y)
                y += ROW
            y += 10
    shapes = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
        f"<title>Durable jobs per second, backlog beside others</title>\n<style>{STYLE}</style>\n{shapes}\n</svg>\n"
    )


def row_of(peer, value, share, y):
    kind = "bar ours" if peer.name == "backlog" else "bar"
    label = escape(peer.label.replace("*", "").replace("`", ""))
    length = max(1, share * BAR)
    yield f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{label}</text>'
    yield f'<rect class="{kind}" x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{ROW - 7}" rx="2"/>'
    yield f'<text x="{LABEL + length + 6:.1f}" y="{y + 13}">{value:,.0f}</text>'
