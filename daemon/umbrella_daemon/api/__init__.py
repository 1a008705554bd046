"""The resident pair over HTTP, in the shapes of OpenAI, llama.cpp and Ollama. Loopback only.

A process of its own, a client of the daemon like any other: it holds no weights and no engine, and
never logs what is asked or answered.
"""
