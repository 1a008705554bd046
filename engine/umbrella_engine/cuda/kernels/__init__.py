"""Triton kernels of the engine. They run on CUDA devices, and on a CPU in Triton's interpreter."""
