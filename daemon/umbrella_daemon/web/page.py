"""The whole page: its head, its tabs, and what is shown in all of them."""

from html import escape
from typing import Final

import gradio as gr

from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.client import DaemonError
from umbrella_daemon.web.chat_tab import ChatTab
from umbrella_daemon.web.pictures import state
from umbrella_daemon.web.playground import Playground

LOOKED_SECONDS: Final = 2.0  # between looks at the daemon


def build(partner: Partner) -> gr.Blocks:
    """Make the page of a connected partner."""

    async def look() -> str:
        try:
            daemon = await partner.daemon()
            return state(await daemon.status(0))
        except DaemonError as error:
            return f'<div class="umbrella-quiet">{escape(str(error))}</div>'

    page = gr.Blocks(title="Umbrella", analytics_enabled=False)
    with page:
        gr.HTML(
            '<div class="umbrella-title"><b>Umbrella</b>'
            f'<span class="umbrella-quiet">{escape(partner.title)}</span></div>'
        )
        with gr.Tab("Chat"):
            ChatTab(partner).build()
        with gr.Tab("Completion"):
            Playground(partner).build()
        with gr.Tab("Figures") as tab:
            shown = gr.HTML(elem_id="figures-of-all")
            timer = gr.Timer(LOOKED_SECONDS)
        for trigger in (timer.tick, tab.select, page.load):
            trigger(look, None, shown, show_progress="hidden", api_visibility="private")
    return page
