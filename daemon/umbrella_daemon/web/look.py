"""How the page looks: light or dark as the system is, narrow or wide."""

from typing import Final

from gradio.themes import Base

CSS: Final = """
main.contain, main.fillable { width: 100% !important; max-width: 1180px !important; }
footer { display: none !important; }
.umbrella-title { display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap;
  padding: .2rem .1rem; }
.umbrella-title b { font-size: 1.15rem; }
#chat .placeholder { padding: 1rem; text-align: center; }
.umbrella-quiet { color: var(--body-text-color-subdued); font-size: .85rem;
  font-variant-numeric: tabular-nums; }
.umbrella-code { font-family: var(--font-mono); font-size: .85rem; line-height: 1.5;
  white-space: pre-wrap; overflow-wrap: anywhere; padding: .8rem; margin: 0;
  border: 1px solid var(--border-color-primary); border-radius: 8px;
  background: var(--background-fill-secondary); }
.umbrella-ghost { color: #8a8f98; font-style: italic; background: rgba(127, 127, 127, .12);
  border-radius: 3px; }
.umbrella-step { border-top: 1px solid var(--border-color-primary); padding: .45rem 0; }
.umbrella-branch { display: flex; flex-wrap: wrap; gap: 3px; margin: 3px 0; align-items: center; }
.umbrella-node { font-family: var(--font-mono); font-size: .8rem; border-radius: 4px;
  padding: 0 .3rem; border: 1px solid var(--source); white-space: pre; max-width: 100%;
  overflow: hidden; text-overflow: ellipsis; }
.umbrella-node.kept { background: var(--source); color: #fff; }
.umbrella-node.refused { opacity: .75; text-decoration: line-through; border-style: dashed; }
.umbrella-node.bonus { border: 1px solid var(--body-text-color); }
.umbrella-legend { display: flex; gap: .9rem; flex-wrap: wrap; margin: .5rem 0; }
.umbrella-facts { width: 100%; border-collapse: collapse; font-size: .9rem; }
.umbrella-facts, .umbrella-facts tr { border: 0 !important; }
.umbrella-facts td { padding: .3rem .6rem .3rem 0; vertical-align: top;
  border: 0 !important; overflow-wrap: anywhere; }
.umbrella-facts td:first-child { color: var(--body-text-color-subdued); white-space: nowrap; }
.umbrella-big { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr));
  gap: .6rem; margin: .4rem 0 1rem; }
.umbrella-big div { border: 1px solid var(--border-color-primary); border-radius: 8px;
  padding: .6rem .8rem; font-size: .8rem; color: var(--body-text-color-subdued); }
.umbrella-big b { display: block; font-size: 1.3rem; color: var(--body-text-color);
  font-variant-numeric: tabular-nums; }
.umbrella-mono textarea { font-family: var(--font-mono) !important; font-size: .85rem; }
"""


def theme() -> Base:
    """Give gradio's plain theme; its fonts are part of gradio, and come from our own server."""
    return Base(primary_hue="blue", neutral_hue="slate")
