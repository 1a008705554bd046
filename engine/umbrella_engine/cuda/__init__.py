"""The engine on a GPU: fused kernels, one graph a step, results read one step late.

Knows devices and tensors; knows nothing of editors, prompts or where drafts come from otherwise.
Triton comes with torch's CUDA builds; nothing here is imported on a machine without one.
"""
