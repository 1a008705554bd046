"""Engines that are elsewhere: llama.cpp's server, vLLM, SGLang and whatever speaks as they do.

A backend is one more `umbrella_engine.interface.Engine`. Prompt layouts, the store of suggestions,
prefetch, stopping, confidence, clean-up and the rules on files and secrets are the daemon's and
stay as they are; torch is not loaded. In the order of a request: `pieces` (text as ids), `remote`
(the engine), `openai` or `llama_server` (what is sent, how answers are read), `upstream` (HTTP).
Nothing is imported here: a daemon with a pair of its own needs no HTTP.
"""
