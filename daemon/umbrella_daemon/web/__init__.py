"""The page in a browser: chat, completion playground, live figures. Needs the extra `web` (gradio).

One process beside the daemon, on loopback; the models stay the daemon's.
"""
