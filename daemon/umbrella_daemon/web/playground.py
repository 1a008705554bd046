"""The playground: text around a cursor, what an editor would show there, and how it was written."""

import itertools
from typing import Final

import gradio as gr

from umbrella_daemon.chat.partner import Partner
from umbrella_daemon.client import DaemonError
from umbrella_daemon.languages import BY_EXTENSION
from umbrella_daemon.web.pictures import completion
from umbrella_daemon.wire import Complete

PREFIX: Final = '''\
def mean(values):
    """Give the arithmetic mean of some numbers."""
    total = 0.0
    for value in values:
        total += value
    '''
SUFFIX: Final = """

print(mean([1.0, 2.0, 3.0]))
"""
LANGUAGES: Final = {language: extension for extension, language in BY_EXTENSION.items()} | {
    "c": "c",
    "css": "css",
    "go": "go",
    "java": "java",
    "lua": "lua",
    "php": "php",
    "python": "py",
    "sql": "sql",
    "swift": "swift",
}
DOCUMENT: Final = "umbrella-web://playground"


class Playground:
    """Completes with the daemon of `partner`."""

    def __init__(self, partner: Partner) -> None:
        self._partner = partner
        self._versions = itertools.count(1)

    def build(self) -> None:
        """Lay it out, in the page that is being made."""
        with gr.Row():
            with gr.Column(min_width=320):
                prefix = gr.Textbox(
                    PREFIX, label="Before the cursor", lines=9, elem_classes="umbrella-mono"
                )
                suffix = gr.Textbox(
                    SUFFIX, label="After the cursor", lines=4, elem_classes="umbrella-mono"
                )
                with gr.Row():
                    language = gr.Dropdown(
                        sorted(LANGUAGES), value="python", label="Language", min_width=140
                    )
                    max_tokens = gr.Slider(
                        1, 256, 64, step=1, label="Longest completion, tokens", min_width=140
                    )
                button = gr.Button("Complete", variant="primary")
            with gr.Column(min_width=320):
                shown = gr.HTML(elem_id="completion")
        gr.on(
            [button.click, prefix.submit],
            self.complete,
            [prefix, suffix, language, max_tokens],
            shown,
            trigger_mode="always_last",
            api_visibility="private",
        )

    async def complete(self, prefix: str, suffix: str, language: str, max_tokens: int) -> str:
        """Give the completion and its draft trees as HTML."""
        request = Complete(
            0,
            document=DOCUMENT,
            version=next(self._versions),
            language=language,
            path=f"playground.{LANGUAGES.get(language, language)}",
            prefix=prefix,
            suffix=suffix,
            explicit=True,
            max_tokens=int(max_tokens),
            context=False,
            explain=True,
        )
        try:
            daemon = await self._partner.daemon()
            return completion(prefix, suffix, await daemon.ask(request))
        except DaemonError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from None
